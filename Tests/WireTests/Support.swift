import Wire

/// What a stream of commands comes to, with everything copied out of it.
enum Heard: Hashable, CustomStringConvertible {
    case publish(topic: String, key: String?, payload: String, headers: [WireHeader])
    case subscribe(String, String)
    case acknowledge(String, UInt64)
    case reject(String, UInt64)
    case hello(token: String?)
    case ping, info, quit
    case infoAfter(String)
    case refused(ErrorCode)
    case closed(ErrorCode)
    case rest(CommandParser.End)

    var description: String {
        switch self {
        case .publish(let topic, let key, let payload, let headers):
            "PUB \(topic) \(key ?? "-") \(payload) \(headers.count)"
        case .subscribe(let topic, let consumer): "SUB \(topic) \(consumer)"
        case .acknowledge(let consumer, let id): "ACK \(consumer) \(id)"
        case .reject(let consumer, let id): "NACK \(consumer) \(id)"
        case .hello(let token): "HELLO \(token ?? "")"
        case .ping: "PING"
        case .info: "INFO"
        case .infoAfter(let topic): "INFO after=\(topic)"
        case .quit: "QUIT"
        case .refused(let code): "refused \(code)"
        case .closed(let code): "closed \(code)"
        case .rest(let end): "\(end)"
        }
    }

    init(_ command: Command, in bytes: Span<UInt8>) {
        switch command {
        case .publish(let publish):
            self = .publish(
                topic: bytes.text(publish.topic), key: publish.key.map { bytes.text($0) },
                payload: bytes.text(publish.payload), headers: publish.headers)
        case .subscribe(let topic, let consumer):
            self = .subscribe(bytes.text(topic), bytes.text(consumer))
        case .acknowledge(let consumer, let id): self = .acknowledge(bytes.text(consumer), id)
        case .reject(let consumer, let id): self = .reject(bytes.text(consumer), id)
        case .hello(let token): self = .hello(token: token.map { bytes.text($0) })
        case .ping: self = .ping
        case .info(let after):
            self = after == nil ? .info : .infoAfter(String(decoding: after ?? [], as: UTF8.self))
        case .quit: self = .quit
        }
    }
}

/// A client's stream that arrives piece by piece.
struct Listener {
    var parser: CommandParser
    private var pending: [UInt8] = []
    private(set) var heard: [Heard] = []
    private var isClosed = false

    init(_ parser: CommandParser = CommandParser()) { self.parser = parser }

    mutating func receive(_ bytes: some Collection<UInt8>) {
        guard !isClosed else { return }
        pending.append(contentsOf: bytes)
        while true {
            let bytes = pending
            switch parser.next(in: bytes.span) {
            case .command(let command, let count):
                heard.append(Heard(command, in: bytes.span))
                pending.removeFirst(count)
            case .refused(let refusal, let count):
                heard.append(.refused(refusal.code))
                pending.removeFirst(count)
            case .outOfStep(let refusal):
                heard.append(.closed(refusal.code))
                isClosed = true
                return
            case .incomplete(let needed):
                precondition(needed > pending.count, "asks for bytes that are there")
                return
            }
        }
    }

    /// What was heard when the stream ends here.
    mutating func end() -> [Heard] {
        if !isClosed { heard.append(.rest(CommandParser.end(rest: pending.count))) }
        return heard
    }
}

func heard(_ text: String, _ parser: CommandParser = CommandParser()) -> [Heard] {
    heard(Array(text.utf8), parser)
}

func heard(_ bytes: [UInt8], _ parser: CommandParser = CommandParser()) -> [Heard] {
    var listener = Listener(parser)
    listener.receive(bytes)
    return listener.end()
}
