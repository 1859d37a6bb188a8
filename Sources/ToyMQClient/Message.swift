internal import Wire

/// A message to publish.
public struct Message: Hashable, Sendable {
    /// Any bytes; the broker has a limit, 1 MiB by default and never more than
    /// `largestPayloadBytes`.
    public var payload: [UInt8]
    /// No broker takes a payload of more bytes, however it is set up.
    public static let largestPayloadBytes = WireLimits.largestPayloadBytes
    /// The dedupe key, 1 to 1,024 bytes without spaces and other than `-`; by convention
    /// `<producer>:<number>`. A key that the topic has seen lately is not appended again. Only
    /// messages with a key are sent again when a connection ends before their answer.
    public var key: String?
    /// Headers besides the trace context.
    public var headers: [Header]
    /// The W3C trace context, handed to the consumers.
    public var traceparent: String?
    /// What vendors add to the trace context.
    public var tracestate: String?

    /// A message of these bytes.
    public init(
        _ payload: [UInt8], key: String? = nil, headers: [Header] = [], traceparent: String? = nil,
        tracestate: String? = nil
    ) {
        self.payload = payload
        self.key = key
        self.headers = headers
        self.traceparent = traceparent
        self.tracestate = tracestate
    }

    /// A message of this text.
    public init(_ text: String, key: String? = nil, headers: [Header] = []) {
        self.init(Array(text.utf8), key: key, headers: headers)
    }
}

/// A name and a value that travel with a message.
public struct Header: Hashable, Sendable {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`; not `traceparent` and `tracestate`, which a message has
    /// properties for.
    public var name: String
    /// Any bytes. The whole line of a message, headers and key included, has at most 8 KiB.
    public var value: [UInt8]

    /// A header of any bytes.
    public init(_ name: String, _ value: [UInt8]) {
        self.name = name
        self.value = value
    }

    /// A header of text.
    public init(_ name: String, _ value: String) { self.init(name, Array(value.utf8)) }
}

/// The broker's word for a message.
public struct PublishReceipt: Hashable, Sendable {
    /// The number of the message in its topic; the first is 0.
    public let id: UInt64
    /// The key was there already, under this id, and nothing was appended. That is also what
    /// becomes of a message that is sent again although its first answer was only lost.
    public let isDuplicate: Bool
}

extension Message {
    /// The command for this message. Whatever could be taken for something else than was meant, a
    /// space in a key or a newline in a name, is refused here.
    func command(topic: String) throws(ClientError) -> [UInt8] {
        try Fields.check(topic, "a topic's name")
        if let key {
            try Fields.check(key, "a key")
            guard key.utf8.count <= WireLimits.keyBytes else {
                throw .invalidArgument("a key has at most \(WireLimits.keyBytes) bytes")
            }
            guard key != "-" else {
                throw .invalidArgument("'-' stands for no key and cannot be one")
            }
        }
        guard payload.count <= WireLimits.largestPayloadBytes else {
            throw .invalidArgument(
                "a payload of \(payload.count) bytes; no broker takes more than "
                    + "\(WireLimits.largestPayloadBytes)")
        }
        var command: [UInt8] = []
        command.reserveCapacity(payload.count + 128)
        guard
            CommandWriter.publish(
                topic: topic, key: key.map { Array($0.utf8) }, payload: payload,
                headers: try wireHeaders(), to: &command)
        else {
            throw .invalidArgument(
                "topic, key and headers have more than \(WireLimits.lineBytes) bytes together")
        }
        return command
    }

    private func wireHeaders() throws(ClientError) -> [WireHeader] {
        var list: [WireHeader] = []
        let context = [("traceparent", traceparent), ("tracestate", tracestate)]
        for case (let name, let value?) in context {
            guard !value.isEmpty else { throw .invalidArgument("an empty \(name)") }
            list.append(WireHeader(name, value))
        }
        for header in headers {
            let wire = WireHeader(name: Array(header.name.utf8), value: header.value)
            guard wire.isSendable else {
                throw .invalidArgument(
                    "a header's name is 1 to \(WireLimits.headerNameBytes) of A-Z a-z 0-9 . _ -, "
                        + "unlike '\(header.name)'")
            }
            guard wire.name != WireHeader.traceparent, wire.name != WireHeader.tracestate else {
                throw .invalidArgument(
                    "\(header.name) is no header: it goes into the message's property "
                        + header.name)
            }
            list.append(wire)
        }
        return list
    }
}

/// What may stand between the spaces of a line.
enum Fields {
    static func check(_ text: String, _ what: String) throws(ClientError) {
        guard !text.isEmpty else { throw .invalidArgument("\(what) is empty") }
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw .invalidArgument("\(what) has no spaces and no control characters")
        }
    }

    static func checkConsumer(_ text: String) throws(ClientError) {
        let isName = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: ":"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isName, (1...200).contains(text.utf8.count) else {
            throw .invalidArgument("a consumer's name is 1 to 200 of A-Z a-z 0-9 . _ : -")
        }
    }
}
