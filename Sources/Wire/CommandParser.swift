/// Takes commands off the front of the bytes that a client has sent. It keeps no byte: what is
/// asked again with the same bytes and more behind them answers the same, only sooner.
public struct CommandParser: Hashable, Sendable {
    /// What the front of the bytes is.
    public enum Step: Hashable, Sendable {
        /// A command; the next one begins `bytes` further on.
        case command(Command, bytes: Int)
        /// Something that is answered with ERR; the next command begins `bytes` further on.
        case refused(Refusal, bytes: Int)
        /// Something that is answered with ERR, behind which nothing can be understood: the
        /// connection has to be closed.
        case outOfStep(Refusal)
        /// Not a whole command. Asking again is of use when there are `bytes` altogether.
        case incomplete(bytes: Int)
    }

    /// How a stream of commands ended.
    public enum End: Hashable, Sendable {
        /// Between commands: a client that left.
        case clean
        /// Inside a command: a client that crashed.
        case torn
    }

    /// What is taken.
    public let limits: WireLimits
    /// Whether nothing but HELLO is taken: anything else is out of step, before its payload is
    /// waited for. For clients that have to show a token first. One that speaks another version is
    /// told so all the same: it could not show its token.
    public var takesOnlyHello = false
    /// How many bytes of the front hold no end of a line.
    private var searched = 0

    /// Whether `bytes`, the front of a stream of commands, begin with a PUB, whole or not.
    public static func beginsWithPublish(_ bytes: Span<UInt8>) -> Bool {
        var start = 0
        while start < bytes.count, bytes[start] == UInt8(ascii: " ") { start += 1 }
        let end = start + 3
        guard end < bytes.count, bytes.holds("PUB", at: start..<end) else { return false }
        return [UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r")].contains(bytes[end])
    }

    /// A parser for the beginning of a stream.
    public init(limits: WireLimits = WireLimits()) { self.limits = limits }

    /// What it means that the stream ends with `rest` bytes that are no whole command.
    public static func end(rest: Int) -> End { rest == 0 ? .clean : .torn }

    /// The first command of `bytes`. What it takes has to be taken off before the next call.
    public mutating func next(in bytes: Span<UInt8>) -> Step {
        guard bytes.count > searched else { return .incomplete(bytes: searched + 1) }
        switch LineScan.first(bytes, limit: WireLimits.lineBytes, searched: searched) {
        case .incomplete:
            searched = bytes.count
            return .incomplete(bytes: searched + 1)
        case .tooLong:
            searched = 0
            return .outOfStep(
                takesOnlyHello
                    ? CommandParser.helloFirst
                    : Refusal(.invalid, "a line has more than \(WireLimits.lineBytes) bytes"))
        case .line(let content, let next):
            searched = 0
            let step = line(bytes, content, next)
            // The line's end is known: it is found at once when its payload is there.
            if case .incomplete = step { searched = next - 1 }
            return step
        }
    }

    /// To whoever has not shown a token, whatever else they have said.
    private static let helloFirst = Refusal(
        .authentication, "say HELLO \(WireVersion.current) AUTH <token> first")

    private func line(_ bytes: Span<UInt8>, _ content: Range<Int>, _ next: Int) -> Step {
        var fields = Fields(bytes, content.lowerBound, content.upperBound)
        let verb = fields.next()
        if takesOnlyHello {
            guard let verb, bytes.holds("HELLO", at: verb) else {
                return .outOfStep(CommandParser.helloFirst)
            }
            let hello = CommandParser.hello(bytes, fields, next)
            if case .refused = hello { return .outOfStep(CommandParser.helloFirst) }
            return hello
        }
        guard let verb else { return .refused(Refusal(.invalid, "an empty line"), bytes: next) }
        let result: Result<Command, Refusal>
        if bytes.holds("PUB", at: verb) { return publish(bytes, fields, next) }
        if bytes.holds("ACK", at: verb) {
            result = CommandParser.settle(bytes, fields, "ACK") {
                .acknowledge(consumer: $0, id: $1)
            }
        } else if bytes.holds("SUB", at: verb) {
            result = CommandParser.subscribe(fields)
        } else if bytes.holds("NACK", at: verb) {
            result = CommandParser.settle(bytes, fields, "NACK") { .reject(consumer: $0, id: $1) }
        } else if bytes.holds("HELLO", at: verb) {
            return CommandParser.hello(bytes, fields, next)
        } else if bytes.holds("PING", at: verb) {
            result = CommandParser.alone(.ping, fields, "PING")
        } else if bytes.holds("INFO", at: verb) {
            result = CommandParser.info(bytes, fields)
        } else if bytes.holds("QUIT", at: verb) {
            result = CommandParser.alone(.quit, fields, "QUIT")
        } else {
            result = .failure(Refusal(.invalid, "an unknown command"))
        }
        switch result {
        case .success(let command): return .command(command, bytes: next)
        case .failure(let refusal): return .refused(refusal, bytes: next)
        }
    }

    // MARK: Commands of one line

    private static func alone(
        _ command: Command, _ rest: borrowing Fields, _ verb: String
    ) -> Result<Command, Refusal> {
        var fields = rest.duplicate()
        guard fields.isAtEnd() else { return .failure(Refusal(.invalid, "\(verb) stands alone")) }
        return .success(command)
    }

    private static func info(
        _ bytes: Span<UInt8>, _ rest: borrowing Fields
    ) -> Result<Command, Refusal> {
        var fields = rest.duplicate()
        guard let field = fields.next() else { return .success(.info(after: nil)) }
        let name = "after="
        guard bytes.begins(with: "after=", at: field), fields.isAtEnd() else {
            return .failure(Refusal(.invalid, "it is INFO [after=<topic>]"))
        }
        let value = field.lowerBound + name.utf8.count..<field.upperBound
        guard let topic = PercentEncoding.decode(bytes, at: value) else {
            return .failure(
                Refusal(.invalid, "an option's % is not followed by two hexadecimal digits"))
        }
        return .success(.info(after: topic))
    }

    private static func subscribe(_ rest: borrowing Fields) -> Result<Command, Refusal> {
        var fields = rest.duplicate()
        guard let topic = fields.next(), let consumer = fields.next(), fields.isAtEnd() else {
            return .failure(Refusal(.invalid, "it is SUB <topic> <consumer>"))
        }
        return .success(.subscribe(topic: topic, consumer: consumer))
    }

    private static func settle(
        _ bytes: Span<UInt8>, _ rest: borrowing Fields, _ verb: String,
        _ command: (Range<Int>, UInt64) -> Command
    ) -> Result<Command, Refusal> {
        var fields = rest.duplicate()
        guard let consumer = fields.next(), let number = fields.next(), fields.isAtEnd(),
            let id = bytes.number(at: number)
        else { return .failure(Refusal(.invalid, "it is \(verb) <consumer> <id>")) }
        return .success(command(consumer, id))
    }

    private static func hello(
        _ bytes: Span<UInt8>, _ rest: borrowing Fields, _ next: Int
    ) -> Step {
        var fields = rest.duplicate()
        guard let version = fields.next(), bytes.number(at: version) == UInt64(WireVersion.current)
        else {
            return .outOfStep(
                Refusal(.hello, "version \(WireVersion.current) is spoken here, and no other"))
        }
        if fields.isAtEnd() { return .command(.hello(token: nil), bytes: next) }
        guard let word = fields.next(), bytes.holds("AUTH", at: word), let token = fields.next(),
            fields.isAtEnd()
        else {
            return .refused(Refusal(.invalid, "it is HELLO 2 [AUTH <token>]"), bytes: next)
        }
        return .command(.hello(token: token), bytes: next)
    }
}

extension CommandParser {
    // MARK: PUB

    /// Without its length nothing behind a PUB can be understood; with it, everything can, whatever
    /// else is wrong with the line.
    private func publish(_ bytes: Span<UInt8>, _ rest: borrowing Fields, _ next: Int) -> Step {
        var fields = rest.duplicate()
        guard let topic = fields.next(), let key = fields.next(), let number = fields.next() else {
            return .outOfStep(Refusal(.invalid, "it is PUB <topic> <key> <len> [option …]"))
        }
        guard let length = bytes.number(at: number) else {
            return .outOfStep(Refusal(.invalid, "a length is 1 to 20 digits below 2^64"))
        }
        guard length <= UInt64(limits.payloadBytes) else {
            return .outOfStep(
                Refusal(
                    .tooLarge, "\(length) bytes, a payload has at most \(limits.payloadBytes)"))
        }
        let payload = next..<next + Int(length)
        guard bytes.count > payload.upperBound else {
            return .incomplete(bytes: payload.upperBound + 1)
        }
        guard bytes[payload.upperBound] == UInt8(ascii: "\n") else {
            return .outOfStep(Refusal(.invalid, "no newline follows the payload"))
        }
        let taken = payload.upperBound + 1
        do throws(Refusal) {
            let hasKey = !bytes.holds("-", at: key)
            guard !hasKey || key.count <= WireLimits.keyBytes else {
                throw Refusal(.invalid, "a key has at most \(WireLimits.keyBytes) bytes")
            }
            var headers: [WireHeader] = []
            while let field = fields.next() {
                headers.append(try Options.header(bytes, field, before: headers))
            }
            if !headers.isEmpty {
                try Options.checkFit(bytes, topic, hasKey ? key : nil, headers)
            }
            let command = Publish(
                topic: topic, key: hasKey ? key : nil, payload: payload, headers: headers)
            return .command(.publish(command), bytes: taken)
        } catch {
            return .refused(error, bytes: taken)
        }
    }
}
