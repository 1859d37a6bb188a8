import Wire

/// What a client or a broker sends: however the bytes arrive, the same is understood, nothing is
/// taken that is not there, and what is asked for is bounded by the limits.
enum WireTarget {
    static func check(_ bytes: [UInt8]) throws {
        guard let first = bytes.first else { return }
        let stream = Array(bytes.dropFirst())
        if first & 1 == 0 {
            let whole = try commands(stream, pieces: [stream.count])
            let split = try commands(stream, pieces: pieces(stream, first))
            try require(whole == split, "commands differ with how they arrive")
        } else {
            let whole = try replies(stream, pieces: [stream.count])
            let split = try replies(stream, pieces: pieces(stream, first))
            try require(whole == split, "replies differ with how they arrive")
        }
    }

    /// Sizes of the pieces, each from 1 to the first byte's upper bits.
    private static func pieces(_ stream: [UInt8], _ first: UInt8) -> [Int] {
        let size = max(1, Int(first >> 1))
        return Array(repeating: size, count: stream.count / size + 1)
    }

    private static let limits = WireLimits(payloadBytes: 256)

    /// What was understood, and how many bytes of it had come before.
    private static func commands(_ stream: [UInt8], pieces: [Int]) throws -> [String] {
        var parser = CommandParser(limits: limits)
        var pending: [UInt8] = []
        var next = 0
        var taken = 0
        var heard: [String] = []
        for size in pieces {
            pending += stream[next..<min(next + size, stream.count)]
            next = min(next + size, stream.count)
            while true {
                let bytes = pending
                let step = parser.next(in: bytes.span)
                switch step {
                case .command(let command, let count):
                    try require(count > 0 && count <= bytes.count, "takes \(count) bytes")
                    try require(isInside(command, count), "beyond its end: \(command)")
                    heard.append("\(taken) \(command)")
                    taken += count
                    pending.removeFirst(count)
                    continue
                case .refused(let refusal, let count):
                    try require(count > 0 && count <= bytes.count, "takes \(count) bytes")
                    heard.append("\(taken) \(refusal)")
                    taken += count
                    pending.removeFirst(count)
                    continue
                case .outOfStep(let refusal):
                    heard.append("\(taken) closed: \(refusal)")
                    return heard
                case .incomplete(let needed):
                    try require(needed > bytes.count, "asks for what is there")
                    let most = WireLimits.lineBytes + 2 + limits.payloadBytes + 1
                    try require(needed <= most, "asks for \(needed) bytes")
                    // What is there is no more than that either.
                    try require(bytes.count < most, "keeps \(bytes.count) bytes")
                }
                break
            }
        }
        heard.append("\(CommandParser.end(rest: pending.count))")
        return heard
    }

    private static func isInside(_ command: Command, _ count: Int) -> Bool {
        let ranges: [Range<Int>] =
            switch command {
            case .publish(let publish):
                [publish.topic, publish.payload] + (publish.key.map { [$0] } ?? [])
            case .subscribe(let topic, let consumer): [topic, consumer]
            case .acknowledge(let consumer, _), .reject(let consumer, _): [consumer]
            case .hello(let token): token.map { [$0] } ?? []
            case .ping, .info, .quit: []
            }
        return ranges.allSatisfy { $0.upperBound <= count }
    }

    private static func replies(_ stream: [UInt8], pieces: [Int]) throws -> [String] {
        var parser = ReplyParser()
        var pending: [UInt8] = []
        var next = 0
        var heard: [String] = []
        for size in pieces {
            pending += stream[next..<min(next + size, stream.count)]
            next = min(next + size, stream.count)
            while true {
                let bytes = pending
                switch parser.next(in: bytes.span) {
                case .reply(let reply, let count):
                    try require(count > 0 && count <= bytes.count, "takes \(count) bytes")
                    if case .message(let delivery) = reply {
                        try require(delivery.payload.upperBound < count, "beyond its end")
                    }
                    heard.append("\(reply)")
                    pending.removeFirst(count)
                    continue
                case .broken(let text):
                    heard.append("broken: \(text)")
                    return heard
                case .incomplete(let needed):
                    try require(needed > bytes.count, "asks for what is there")
                }
                break
            }
        }
        return heard
    }

    /// Streams to begin with.
    static var seeds: [[UInt8]] {
        let commands = [
            "PING\nINFO\nINFO after=a%20\nQUIT\n", "HELLO 2\nHELLO 2 AUTH x\n", "HELLO 3\n",
            "PUB t - 5\nhello\nPUB t k:1 0\n\nPUB t k 3 h.a=%20 traceparent=00-1 tracestate=a\nabc\n",
            "SUB t c\nACK c 0\nNACK c 18446744073709551615\nACK c x\n",
            "PUB t - 300\nPING\n", "PUB t - 3\nabcd\n", "PUB t - x\n", " \n\r\nNOISE\r\n",
        ]
        let replies = [
            "OK 0\nDUP 7\nPONG\nHELLO 2 OK\n{\"a\": 1}\n", "ERR INVALID what is this\nERR NEW x\n",
            "MSG t 0 3\nabc\nMSG t 1 0 attempt=2 ts=5 key=a%20b h.x= traceparent=00\n\n",
            "MSG t 0 5000000\n", "HI\n",
        ]
        return commands.map { [6] + Array($0.utf8) } + replies.map { [7] + Array($0.utf8) }
    }
}
