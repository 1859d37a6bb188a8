/// What a client can ask for. Closed: whoever handles commands handles all of them, or does not
/// compile.
///
/// Ranges are offsets into the bytes that were parsed: nothing is copied for a command but options.
public enum Command: Hashable, Sendable {
    /// `PUB <topic> <key> <len> [option …]` and the payload.
    case publish(Publish)
    /// `SUB <topic> <consumer>`
    case subscribe(topic: Range<Int>, consumer: Range<Int>)
    /// `ACK <consumer> <id>`
    case acknowledge(consumer: Range<Int>, id: UInt64)
    /// `NACK <consumer> <id>`
    case reject(consumer: Range<Int>, id: UInt64)
    /// `HELLO 2 [AUTH <token>]`
    case hello(token: Range<Int>?)
    /// `PING`
    case ping
    /// `INFO`, or `INFO after=<topic>`: the topics behind that name, which may be empty.
    case info(after: [UInt8]?)
    /// `QUIT`
    case quit
}

/// A message to publish.
public struct Publish: Hashable, Sendable {
    /// Where the topic's name is. Nothing is known of it yet but that it is a field.
    public let topic: Range<Int>
    /// Where the dedupe key is, 1 to 1,024 bytes; nil if there is none.
    public let key: Range<Int>?
    /// Where the payload is.
    public let payload: Range<Int>
    /// What came as options: `traceparent`, `tracestate` and others without their `h.`.
    public let headers: [WireHeader]

    /// A message whose parts are at these offsets.
    public init(
        topic: Range<Int>, key: Range<Int>?, payload: Range<Int>, headers: [WireHeader] = []
    ) {
        self.topic = topic
        self.key = key
        self.payload = payload
        self.headers = headers
    }
}

/// A name and a value that travel with a message.
public struct WireHeader: Hashable, Sendable {
    /// 1 to 64 bytes of `A-Z a-z 0-9 . _ -`.
    public let name: [UInt8]
    /// Any bytes.
    public let value: [UInt8]

    /// A header of any bytes; whether it may travel is for `isSendable` to say.
    public init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }

    /// A header of text.
    public init(_ name: String, _ value: String) {
        self.init(name: Array(name.utf8), value: Array(value.utf8))
    }

    /// The W3C trace context of the publisher.
    public static let traceparent = Array("traceparent".utf8)
    /// What vendors add to it.
    public static let tracestate = Array("tracestate".utf8)

    /// Whether the name is one that the protocol can carry.
    public var isSendable: Bool { WireHeader.isName(name) }

    static func isName(_ bytes: [UInt8]) -> Bool {
        (1...WireLimits.headerNameBytes).contains(bytes.count) && bytes.allSatisfy(isNameByte)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

/// Why a command was not done, as an `ERR` line says it.
public struct Refusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// For programs.
    public let code: ErrorCode
    /// For people: one line.
    public let text: String

    /// A refusal for this reason.
    public init(_ code: ErrorCode, _ text: String) {
        self.code = code
        self.text = text
    }

    /// `INVALID a line is empty`
    public var description: String { "\(code.rawValue) \(text)" }
}

/// The first word of an `ERR` line behind it.
public enum ErrorCode: String, Hashable, Sendable, CaseIterable {
    /// A line that cannot be understood.
    case invalid = "INVALID"
    /// A payload over the limit.
    case tooLarge = "TOO_LARGE"
    /// The message is not in the log.
    case publishFailed = "PUB_FAILED"
    /// There is no subscription.
    case subscribeFailed = "SUB_FAILED"
    /// ACK or NACK on a connection without a SUB.
    case noSubscription = "NO_SUB"
    /// The id is not in flight for the consumer, or the consumer is not the SUB's.
    case acknowledgeFailed = "ACK_FAILED"
    /// The same for NACK.
    case rejectFailed = "NACK_FAILED"
    /// No token, or not the right one.
    case authentication = "AUTH"
    /// A version that is not spoken, or HELLO in the wrong place.
    case hello = "HELLO"
    /// Not allowed to this client.
    case denied = "DENIED"
    /// The topic is damaged and closed.
    case damaged = "DAMAGED"
    /// A limit of the broker is reached: try again later.
    case busy = "BUSY"
}
