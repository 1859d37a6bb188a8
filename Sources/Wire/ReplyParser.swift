/// Takes replies off the front of the bytes that a broker has sent: the client's side. It keeps no
/// byte, as the parser of commands.
public struct ReplyParser: Hashable, Sendable {
    /// What the front of the bytes is.
    public enum Step: Hashable, Sendable {
        /// A reply; the next one begins `bytes` further on.
        case reply(Reply, bytes: Int)
        /// Not a whole reply. Asking again is of use when there are `bytes` altogether.
        case incomplete(bytes: Int)
        /// Nothing that a broker says: the connection is of no more use.
        case broken(String)
    }

    /// How many bytes of the front hold no end of a line.
    private var searched = 0
    /// INFO is answered with one line that may be longer than those of the protocol.
    private static let lineLimit = 1 << 20

    /// A parser for the beginning of a stream.
    public init() {}

    /// The first reply of `bytes`. What it takes has to be taken off before the next call.
    public mutating func next(in bytes: Span<UInt8>) -> Step {
        guard bytes.count > searched else { return .incomplete(bytes: searched + 1) }
        switch LineScan.first(bytes, limit: ReplyParser.lineLimit, searched: searched) {
        case .incomplete:
            searched = bytes.count
            return .incomplete(bytes: searched + 1)
        case .tooLong:
            return .broken("a line has more than \(ReplyParser.lineLimit) bytes")
        case .line(let content, let next):
            let step = ReplyParser.line(bytes, content, next)
            if case .incomplete = step { searched = next - 1 } else { searched = 0 }
            return step
        }
    }

    private static func line(_ bytes: Span<UInt8>, _ content: Range<Int>, _ next: Int) -> Step {
        if bytes.begins(with: "{", at: content) { return .reply(.info(content), bytes: next) }
        var fields = Fields(bytes, content.lowerBound, content.upperBound)
        guard let verb = fields.next() else { return .broken("an empty line") }
        if bytes.holds("MSG", at: verb) { return message(bytes, fields, next) }
        if bytes.holds("PONG", at: verb) { return .reply(.pong, bytes: next) }
        if bytes.holds("ERR", at: verb) { return error(bytes, fields, content, next) }
        guard let field = fields.next(), let number = bytes.number(at: field) else {
            return .broken("neither OK, DUP, MSG, ERR, PONG nor HELLO with its fields")
        }
        if bytes.holds("OK", at: verb) { return .reply(.ok(number), bytes: next) }
        if bytes.holds("DUP", at: verb) { return .reply(.duplicate(number), bytes: next) }
        if bytes.holds("HELLO", at: verb) {
            return .reply(.hello(version: number), bytes: next)
        }
        return .broken("an unknown reply")
    }

    private static func error(
        _ bytes: Span<UInt8>, _ rest: borrowing Fields, _ content: Range<Int>, _ next: Int
    ) -> Step {
        var fields = rest.duplicate()
        guard let code = fields.next() else { return .broken("ERR without a code") }
        var start = code.upperBound
        while start < content.upperBound, bytes[start] == UInt8(ascii: " ") { start += 1 }
        return .reply(
            .error(
                code: ErrorCode(rawValue: bytes.text(code)), codeText: code,
                text: start..<content.upperBound), bytes: next)
    }

    private static func message(
        _ bytes: Span<UInt8>, _ rest: borrowing Fields, _ next: Int
    ) -> Step {
        var fields = rest.duplicate()
        guard let topic = fields.next(), let idField = fields.next(), let length = fields.next(),
            let id = bytes.number(at: idField), let count = bytes.number(at: length)
        else { return .broken("it is MSG <topic> <id> <len>") }
        guard count <= UInt64(WireLimits.largestDeliveryBytes) else {
            return .broken("a message of \(count) bytes")
        }
        let payload = next..<next + Int(count)
        guard bytes.count > payload.upperBound else {
            return .incomplete(bytes: payload.upperBound + 1)
        }
        guard bytes[payload.upperBound] == UInt8(ascii: "\n") else {
            return .broken("no newline follows the payload")
        }
        guard let options = options(bytes, fields) else {
            return .broken("an option of MSG is not <name>=<value>")
        }
        return .reply(
            .message(
                Delivery(
                    topic: topic, id: id, payload: payload, attempt: options.attempt,
                    timestamp: options.timestamp, key: options.key, headers: options.headers)),
            bytes: payload.upperBound + 1)
    }

    /// What follows the length of a MSG.
    private struct MessageOptions {
        var attempt: UInt64?
        var timestamp: UInt64?
        var key: [UInt8]?
        var headers: [WireHeader] = []
    }

    /// All options that are left; nil if one of them is none.
    private static func options(
        _ bytes: Span<UInt8>, _ rest: borrowing Fields
    ) -> MessageOptions? {
        var fields = rest.duplicate()
        var options = MessageOptions()
        while let field = fields.next() {
            guard let equals = bytes.firstIndex(of: UInt8(ascii: "="), in: field),
                let value = PercentEncoding.decode(bytes, at: equals + 1..<field.upperBound)
            else { return nil }
            let name = field.lowerBound..<equals
            let number = bytes.number(at: equals + 1..<field.upperBound)
            if bytes.holds("attempt", at: name) {
                options.attempt = number
            } else if bytes.holds("ts", at: name) {
                options.timestamp = number
            } else if bytes.holds("key", at: name) {
                options.key = value
            } else if bytes.begins(with: "h.", at: name) {
                options.headers.append(
                    WireHeader(
                        name: bytes.copied(name.lowerBound + 2..<name.upperBound), value: value))
            } else if let own = Options.ownName(bytes, name) {
                options.headers.append(WireHeader(name: own, value: value))
            }
            // Options that this version does not know are a later broker's, and no harm.
        }
        return options
    }
}
