import JSONText
import ArgumentParser
import Threads
import ToolSupport
import ToyMQClient

/// What the measurements of a broker have in common.
struct BrokerOptions: ParsableArguments {
    @Option(help: "The broker's address and port.")
    var addr = "127.0.0.1:6789"

    @Option(
        help: ArgumentHelp("A file whose first line is the token to show.", valueName: "path"))
    var tokenFile: String?

    @Option(help: "The topic; what it holds already stays.")
    var topic = "bench"

    @Option(help: "Bytes of a payload.")
    var size = 256

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        _ = try address()
        let largest = Message.largestPayloadBytes
        guard (16...largest).contains(size) else {
            throw ValidationError("--size is 16 to \(largest)")
        }
    }

    private func address() throws -> HostPort {
        let address = HostPort(addr, ports: 1...65_535, defaultHost: "127.0.0.1")
        guard let address else { throw ValidationError("--addr: '\(addr)' is not ADDRESS:PORT") }
        return address
    }

    /// Reads the token: for measurements, and not while arguments are checked.
    func clientOptions() throws -> ClientOptions {
        let address = try address()
        var options = ClientOptions(host: address.host, port: address.port)
        options.token = try tokenFile.map {
            try TokenFile.token($0, setting: "--token-file")
        }
        options.reconnect.attempts = 3
        options.publishWindow = 1 << 20
        options.publishWindowBytes = 256 << 20
        return options
    }

    /// A payload; its first bytes are the time.
    func payload(at time: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: UInt8(ascii: "x"), count: size)
        for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: time >> (8 * UInt64(index))) }
        return bytes
    }

    static func time(of payload: Span<UInt8>) -> UInt64 {
        (0..<min(8, payload.count)).reduce(0) { $0 | UInt64(payload[$1]) << (8 * UInt64($1)) }
    }
}

/// How long to measure: for those that go on until it is over.
struct Period: ParsableArguments {
    @Option(help: "Seconds to measure.")
    var seconds = 3.0

    @Option(help: "Seconds before that, which do not count.")
    var warmup = 0.5

    func validate() throws {
        guard seconds > 0, seconds <= 3600 else {
            throw ValidationError("--seconds is above 0 and at most 3600")
        }
        guard (0...3600).contains(warmup) else {
            throw ValidationError("--warmup is 0 to 3600")
        }
    }

    /// What counts, from now on, in nanoseconds of the monotonic clock.
    var nanoseconds: Range<UInt64> {
        let begin = MonotonicClock.now() + UInt64(warmup * 1e9)
        return begin..<begin + UInt64(seconds * 1e9)
    }
}

/// What a measurement of a broker has found.
struct BrokerReport {
    let measurement: String
    /// What was asked for.
    let setting: [(String, Int)]
    let messages: UInt64
    let seconds: Double
    /// What the latency is of; nil if there is none.
    let latency: Histogram?

    private static let shares: [(name: String, share: Double)] = [
        ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999),
    ]

    func print(json: Bool) throws(OutputError) {
        try StandardOutput.line(json ? document.text : text)
    }

    private var text: String {
        var heads = setting.map(\.0) + ["msg/s"]
        var row = setting.map { String($0.1) } + [fixed(Double(messages) / seconds, digits: 0)]
        if let latency {
            heads += BrokerReport.shares.map(\.name) + ["max"]
            row += BrokerReport.shares.map { microseconds(latency.percentile($0.share)) }
            row.append(microseconds(latency.longest))
        }
        let unit = latency == nil ? "" : "\nLatency in µs."
        return table([heads, row]) + unit
    }

    private var document: JSON {
        var members: [(String, JSON)] = [
            ("version", .integer(1)), ("measurement", .string(measurement)),
        ]
        members += setting.map { ($0.0, .integer(UInt64($0.1))) }
        members += [
            ("messages", .integer(messages)), ("seconds", .number(seconds)),
            ("messages_per_second", .number(Double(messages) / seconds)),
        ]
        if let latency {
            let percentiles = BrokerReport.shares.map { name, share in
                (name, latency.percentile(share).map { .number(Double($0) / 1000) } ?? JSON.null)
            }
            members.append(
                (
                    "latency_us",
                    .object(percentiles + [("max", .number(Double(latency.longest) / 1000))])
                ))
        }
        return .object(members)
    }

    private func microseconds(_ nanoseconds: UInt64?) -> String {
        nanoseconds.map { fixed(Double($0) / 1000, digits: 0) } ?? "-"
    }
}
