import JSONText
import ArgumentParser
import SystemPackage
import ToolSupport
import WAL

struct WalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wal",
        abstract: "Measures appends: messages and commits a second, latency, CPU, bytes written.",
        discussion: """
            The raw limit beside each figure is one thread that writes as many bytes as the log's \
            commits had on average, with one pwrite and one fdatasync each, into a file that was \
            filled with zeros beforehand. It makes no frames and answers nobody.

            CPU is that of the whole process, callers included. Bytes written are those given to \
            write calls: frames, and the zeros that the log writes ahead of them. Latency is from \
            before the append to when the caller knows that its message is durable.
            """)

    @Option(help: "How many callers append at once: one measurement for each number.")
    var callers = NumberList([1, 8, 64, 256])

    @Option(help: "Bytes of a message's payload: one measurement for each number.")
    var sizes = NumberList([256, 16_384])

    @Option(
        help: ArgumentHelp(
            "How the callers append: \(Style.allCases.map(\.rawValue).joined(separator: ", ")).",
            discussion: "\(Style.help) Without it: blocking for one caller, callback and async for "
                + "more."))
    var style: [Style] = []

    @Option(help: "Seconds of a slice. On a busy machine many short ones tell more than few.")
    var seconds = 0.1

    @Option(name: .customLong("repeat"), help: "Slices of the log, and as many of the raw limit.")
    var repetitions = 21

    @Option(
        help: ArgumentHelp(
            "Where to measure; a directory of its own is made there and removed again.",
            valueName: "path"))
    var dir = "."

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard seconds > 0, seconds <= 3600 else {
            throw ValidationError("--seconds is above 0 and at most 3600")
        }
        guard repetitions >= 1 else { throw ValidationError("--repeat is at least 1") }
        guard let largest = sizes.numbers.max(), largest <= 4_194_266 else {
            throw ValidationError("--sizes: at most 4194266 bytes each (4 MiB less the frame)")
        }
        guard callers.numbers.allSatisfy({ (1...65_536).contains($0) }) else {
            throw ValidationError("--callers: 1 to 65536 each")
        }
    }

    func run() throws {
        try reporting {
            let work = try WorkDirectory(in: FilePath(dir))
            defer { work.remove() }
            let host = LogHost()
            defer { host.shutdown() }
            var limit = try RawLimit(in: work.path)
            defer { limit.remove() }
            let measurement = WalMeasurement(
                directory: work.path, host: host, seconds: seconds, repetitions: repetitions)
            let cases = cases()
            let isTerminal = StandardStream.error.isTerminal
            var results: [WalResult] = []
            for (number, wal) in cases.enumerated() {
                if isTerminal {
                    StandardStream.error.put(
                        "\(number + 1) of \(cases.count): \(wal.callers) callers, "
                            + "\(wal.style.rawValue), \(wal.payloadBytes) bytes\n")
                }
                results.append(try measurement.measure(wal, against: &limit))
            }
            let report = WalReport(results: results, seconds: seconds, repetitions: repetitions)
            try StandardOutput.line(json ? report.json.text : report.text)
        }
    }

    private func cases() -> [WalCase] {
        sizes.numbers.flatMap { size in
            callers.numbers.flatMap { count in
                (style.isEmpty ? Style.usual(callers: count) : style).map {
                    WalCase(callers: count, style: $0, payloadBytes: size)
                }
            }
        }
    }
}
