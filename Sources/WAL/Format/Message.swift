/// The number of a message in its log. The first message of a log is 0, each next one is one
/// higher; none is ever given out twice.
///
/// "No message yet" is not an id: where there may be none, the contract says `MessageID?`.
public struct MessageID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number itself.
    public let rawValue: UInt64

    /// The id with this number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The id with this number.
    public init(_ number: UInt64) { self.rawValue = number }

    /// By number, which is also the order of appending.
    public static func < (a: MessageID, b: MessageID) -> Bool { a.rawValue < b.rawValue }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}

/// A name and a value that travel with a message. The log does not read them.
public struct MessageHeader: Hashable, Sendable {
    /// 1 to 65,535 bytes, by convention ASCII.
    public let name: [UInt8]
    /// Any bytes.
    public let value: [UInt8]

    /// A header of any bytes.
    public init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }

    /// A header of text.
    public init(_ name: String, _ value: String) {
        self.init(name: Array(name.utf8), value: Array(value.utf8))
    }
}

/// What to append. It borrows its bytes: they are copied once, into the commit, during `append`.
///
/// The whole frame is at most 4 MiB: 38 bytes and the payload, 2 bytes and the key if there is one,
/// and if there are headers (65,535 of them at most), 6 bytes and for each 6 bytes, name and value.
public struct Message: ~Escapable {
    /// Any bytes, also none.
    public let payload: RawSpan
    /// The key's bytes; empty and without meaning where there is none.
    let key: RawSpan
    /// How long the key is; nil where there is none, since an empty key is not an absent one.
    let keyBytes: Int?
    /// In order; names may repeat.
    public let headers: [MessageHeader]

    /// A message without a key.
    @_lifetime(copy payload)
    public init(payload: RawSpan, headers: [MessageHeader] = []) {
        self.payload = payload
        self.key = payload.extracting(0..<0)
        self.keyBytes = nil
        self.headers = headers
    }

    /// A message with a dedupe key of 1 to 65,535 bytes.
    @_lifetime(copy payload, copy key)
    public init(payload: RawSpan, key: RawSpan, headers: [MessageHeader] = []) {
        self.payload = payload
        self.key = key
        self.keyBytes = key.byteCount
        self.headers = headers
    }
}

/// A message as it was read. It borrows the reader's buffer and is valid inside the closure only.
public struct StoredMessage: ~Escapable {
    /// Its number.
    public let id: MessageID
    /// When it was committed, in nanoseconds since 1970-01-01 UTC; never lower than before.
    public let timestamp: UInt64
    /// The payload.
    public let payload: RawSpan
    /// Whether there is a dedupe key.
    public let hasKey: Bool
    private let keySpan: RawSpan
    private let headerBlock: RawSpan

    /// The dedupe key, empty where there is none (`hasKey` tells: no key is ever empty).
    public var key: RawSpan {
        @_lifetime(copy self)
        get { keySpan }
    }

    @_lifetime(copy frame)
    init(_ decoded: DecodedFrame, in frame: RawSpan) {
        id = MessageID(decoded.fields.id)
        timestamp = decoded.fields.timestamp
        payload = frame.extracting(decoded.payload)
        hasKey = decoded.key != nil
        keySpan = frame.extracting(decoded.key ?? 0..<0)
        headerBlock = frame.extracting(decoded.headers ?? 0..<0)
    }

    /// The headers, copied out.
    public var headers: [MessageHeader] { HeaderBlock.headers(headerBlock) }

    /// Whether there are headers; cheaper than asking for them.
    public var hasHeaders: Bool { headerBlock.byteCount > 0 }
}

/// The inside of the headers part.
package enum HeaderBlock {
    /// Takes apart a block that the decoder has found to fit; an empty one has no headers.
    package static func headers(_ block: RawSpan) -> [MessageHeader] {
        guard block.byteCount >= 2 else { return [] }
        var headers: [MessageHeader] = []
        var cursor = 2
        while cursor < block.byteCount {
            let nameBytes = Int(block.u16(at: cursor))
            let name = block.extracting(cursor + 2..<cursor + 2 + nameBytes)
            cursor += 2 + nameBytes
            let valueBytes = Int(block.u32(at: cursor))
            let value = block.extracting(cursor + 4..<cursor + 4 + valueBytes)
            cursor += 4 + valueBytes
            headers.append(MessageHeader(name: name.copied(), value: value.copied()))
        }
        return headers
    }
}
