/// What a broker says, as a client reads it. Ranges are offsets into the bytes that were parsed.
public enum Reply: Hashable, Sendable {
    /// `OK <id>`
    case ok(UInt64)
    /// `DUP <id>`
    case duplicate(UInt64)
    /// `MSG <topic> <id> <len> [option …]` and the payload.
    case message(Delivery)
    /// `ERR <code> <text>`; the code is nil if this version does not know it.
    case error(code: ErrorCode?, codeText: Range<Int>, text: Range<Int>)
    /// `PONG`
    case pong
    /// `HELLO <version> OK`
    case hello(version: UInt64)
    /// The answer to INFO: a JSON object.
    case info(Range<Int>)
}

/// A message on its way to a consumer.
public struct Delivery: Hashable, Sendable {
    /// The topic's name.
    public let topic: Range<Int>
    /// Its number in the topic.
    public let id: UInt64
    /// The payload.
    public let payload: Range<Int>
    /// The first delivery is 1; only after HELLO.
    public let attempt: UInt64?
    /// When it was committed, nanoseconds since 1970; only after HELLO.
    public let timestamp: UInt64?
    /// The dedupe key; only after HELLO.
    public let key: [UInt8]?
    /// `traceparent`, `tracestate` and others without their `h.`; only after HELLO.
    public let headers: [WireHeader]

    /// A delivery whose parts are at these offsets.
    public init(
        topic: Range<Int>, id: UInt64, payload: Range<Int>, attempt: UInt64? = nil,
        timestamp: UInt64? = nil, key: [UInt8]? = nil, headers: [WireHeader] = []
    ) {
        self.topic = topic
        self.id = id
        self.payload = payload
        self.attempt = attempt
        self.timestamp = timestamp
        self.key = key
        self.headers = headers
    }
}
