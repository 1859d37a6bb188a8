/// Writes what a client says. Each appends a whole command; fields are the caller's to check.
public enum CommandWriter {
    /// Bytes of a token that fits a line of HELLO.
    public static let tokenBytes = WireLimits.lineBytes - "HELLO 2 AUTH ".utf8.count

    /// Whether HELLO can show this. An end of a line in it would make a command of what follows.
    public static func isToken(_ text: String) -> Bool {
        (1...tokenBytes).contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// `HELLO 2 [AUTH <token>]`; anything but a token is a mistake of the caller.
    public static func hello(token: String? = nil, to output: inout [UInt8]) {
        output.append("HELLO 2")
        if let token {
            precondition(isToken(token))
            output.append(" AUTH ")
            output.append(contentsOf: token.utf8)
        }
        output.append(UInt8(ascii: "\n"))
    }

    /// `PUB …` and the payload. False, and nothing is appended, if the line would be too long.
    public static func publish(
        topic: String, key: [UInt8]?, payload: [UInt8], headers: [WireHeader] = [],
        to output: inout [UInt8]
    ) -> Bool {
        let start = output.count
        output.append("PUB ")
        output.append(contentsOf: topic.utf8)
        output.append(UInt8(ascii: " "))
        if let key { output.append(contentsOf: key) } else { output.append(UInt8(ascii: "-")) }
        output.append(UInt8(ascii: " "))
        output.append(decimal: UInt64(payload.count))
        for header in headers { MessageLine.append(header, &output) }
        guard output.count - start <= WireLimits.lineBytes else {
            output.removeSubrange(start...)
            return false
        }
        output.append(UInt8(ascii: "\n"))
        output.append(contentsOf: payload)
        output.append(UInt8(ascii: "\n"))
        return true
    }

    /// `SUB <topic> <consumer>`
    public static func subscribe(topic: String, consumer: String, to output: inout [UInt8]) {
        output.append("SUB ")
        output.append(contentsOf: topic.utf8)
        output.append(UInt8(ascii: " "))
        output.append(contentsOf: consumer.utf8)
        output.append(UInt8(ascii: "\n"))
    }

    /// `ACK <consumer> <id>`
    public static func acknowledge(consumer: String, id: UInt64, to output: inout [UInt8]) {
        output.append("ACK ")
        output.append(contentsOf: consumer.utf8)
        output.append(line: " ", id)
    }

    /// `NACK <consumer> <id>`
    public static func reject(consumer: String, id: UInt64, to output: inout [UInt8]) {
        output.append("NACK ")
        output.append(contentsOf: consumer.utf8)
        output.append(line: " ", id)
    }

    /// `PING`
    public static func ping(to output: inout [UInt8]) { output.append("PING\n") }
    /// `INFO`
    public static func info(to output: inout [UInt8]) { output.append("INFO\n") }
    /// `INFO after=<topic>`: the topics behind that name; all from the first for an empty one.
    public static func info(after topic: String, to output: inout [UInt8]) {
        output.append("INFO after=")
        PercentEncoding.append(Array(topic.utf8), to: &output)
        output.append(UInt8(ascii: "\n"))
    }
    /// `QUIT`
    public static func quit(to output: inout [UInt8]) { output.append("QUIT\n") }
}
