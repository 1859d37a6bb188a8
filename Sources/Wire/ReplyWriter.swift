/// Writes what a broker says. Each appends whole lines.
public enum ReplyWriter {
    /// `OK <id>`
    public static func ok(_ id: UInt64, to output: inout [UInt8]) {
        output.append(line: "OK ", id)
    }

    /// `OK <id>` for `count` ids from `first` on.
    public static func ok(first: UInt64, count: Int, to output: inout [UInt8]) {
        for number in 0..<UInt64(count) { output.append(line: "OK ", first + number) }
    }

    /// `DUP <id>`
    public static func duplicate(_ id: UInt64, to output: inout [UInt8]) {
        output.append(line: "DUP ", id)
    }

    /// `ERR <code> <text>`; what would break the line is replaced, what is too long is cut.
    public static func error(_ refusal: Refusal, to output: inout [UInt8]) {
        output.append("ERR ")
        output.append(contentsOf: refusal.code.rawValue.utf8)
        output.append(UInt8(ascii: " "))
        let limit = WireLimits.lineBytes - 32
        for byte in refusal.text.utf8.prefix(limit) {
            output.append(byte < 0x20 || byte == 0x7F ? UInt8(ascii: "?") : byte)
        }
        output.append(UInt8(ascii: "\n"))
    }

    /// `PONG`
    public static func pong(to output: inout [UInt8]) { output.append("PONG\n") }

    /// `HELLO 2 OK`
    public static func hello(to output: inout [UInt8]) { output.append("HELLO 2 OK\n") }

    /// The answer to INFO: `json` has to be an object in one line.
    public static func info(_ json: String, to output: inout [UInt8]) {
        output.append(contentsOf: json.utf8)
        output.append(UInt8(ascii: "\n"))
    }

    /// `MSG <topic> <id> <len>`; payload and newline follow.
    public static func message(
        topic: [UInt8], id: UInt64, payloadBytes: Int, to output: inout [UInt8]
    ) {
        MessageLine.begin(topic, id, payloadBytes, &output)
        output.append(UInt8(ascii: "\n"))
    }

    /// The same with options. Those that do not fit the line are left out: messages that came into
    /// the log by another way than PUB may have such headers.
    public static func message(
        topic: [UInt8], id: UInt64, payloadBytes: Int, attempt: UInt64, timestamp: UInt64,
        key: [UInt8]?, headers: [WireHeader], to output: inout [UInt8]
    ) {
        let start = output.count
        MessageLine.begin(topic, id, payloadBytes, &output)
        output.append(" attempt=")
        output.append(decimal: attempt)
        output.append(" ts=")
        output.append(decimal: timestamp)
        if let key, output.count - start + 5 + PercentEncoding.length(key) <= WireLimits.lineBytes {
            output.append(" key=")
            PercentEncoding.append(key, to: &output)
        }
        for header in headers where header.isSendable {
            let length = output.count - start + MessageLine.length(header)
            if length <= WireLimits.lineBytes { MessageLine.append(header, &output) }
        }
        output.append(UInt8(ascii: "\n"))
    }
}

/// The line of a delivery.
enum MessageLine {
    /// All of it but topic, key and headers, with numbers of 20 digits.
    static let fixedBytes = "MSG  ".utf8.count + 20 + 1 + 20 + " attempt=".utf8.count + 20 + 4 + 20

    static func begin(_ topic: [UInt8], _ id: UInt64, _ payloadBytes: Int, _ output: inout [UInt8])
    {
        output.append("MSG ")
        output.append(contentsOf: topic)
        output.append(UInt8(ascii: " "))
        output.append(decimal: id)
        output.append(UInt8(ascii: " "))
        output.append(decimal: UInt64(payloadBytes))
    }

    private static func isOwn(_ header: WireHeader) -> Bool {
        header.name == WireHeader.traceparent || header.name == WireHeader.tracestate
    }

    /// How many bytes ` h.<name>=<value>` takes.
    static func length(_ header: WireHeader) -> Int {
        (isOwn(header) ? 2 : 4) + header.name.count + PercentEncoding.length(header.value)
    }

    static func append(_ header: WireHeader, _ output: inout [UInt8]) {
        output.append(isOwn(header) ? " " : " h.")
        output.append(contentsOf: header.name)
        output.append(UInt8(ascii: "="))
        PercentEncoding.append(header.value, to: &output)
    }
}

extension [UInt8] {
    mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { unsafe append(contentsOf: $0) }
    }

    /// `prefix`, a number and a newline: the line of nearly every answer.
    mutating func append(line prefix: StaticString, _ number: UInt64) {
        append(prefix)
        append(decimal: number)
        append(UInt8(ascii: "\n"))
    }

    mutating func append(decimal number: UInt64) {
        var digits = 1
        var power: UInt64 = 10
        while digits < 20, number >= power {
            digits += 1
            power = power.multipliedReportingOverflow(by: 10).partialValue
        }
        let start = count
        append(contentsOf: repeatElement(UInt8(ascii: "0"), count: digits))
        var rest = number
        for index in stride(from: start + digits - 1, through: start, by: -1) {
            self[index] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
    }
}
