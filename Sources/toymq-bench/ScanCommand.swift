import JSONText
import ArgumentParser
import Glibc
import SystemPackage
import ToolSupport
import WAL

struct ScanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scan",
        abstract: "Measures how fast a log is checked when it is opened.",
        discussion: """
            Makes two topics of 256-byte messages by appending them, then opens them: first one \
            after the other on one thread, then both at once on two threads, then one after the \
            other again with the help of a second thread, as it is when a program opens a log. The \
            files are in the page cache.

            The limit beside it is zlib's crc32 over the same bytes, read into memory beforehand, \
            in the same pieces (each frame without its checksum), on as many threads \
            (the help not counted). Opening \
            computes the same checksums and does all the rest besides.
            """)

    @Option(help: "Bytes of both topics together.")
    var bytes = 1 << 30

    @Option(name: .customLong("repeat"), help: "How many times each is measured, in turns.")
    var repetitions = 5

    @Option(
        help: ArgumentHelp(
            "Where the topics are kept and used again.",
            discussion: "Without it they are made in a temporary directory below the current one "
                + "and removed again.", valueName: "path"))
    var dir: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard bytes >= 1 << 16, bytes <= 1 << 40 else {
            throw ValidationError("--bytes is 65536 to \(1 << 40)")
        }
        guard repetitions >= 1 else { throw ValidationError("--repeat is at least 1") }
    }

    func run() throws {
        try reporting {
            let work = dir == nil ? try WorkDirectory(in: ".") : nil
            defer { work?.remove() }
            let parent = work?.path ?? FilePath(dir ?? ".")
            var alone = LogHost.Options()
            alone.helpsOpening = false
            let host = LogHost(options: alone)
            defer { host.shutdown() }
            let helpingHost = LogHost()
            defer { helpingHost.shutdown() }
            let topics = try ["toymq-scan-1", "toymq-scan-2"].map { name in
                try ScanTopic(parent.appending(name), atLeast: bytes / 2, host: host)
            }
            let measurement = ScanMeasurement(
                topics: topics, host: host, helpingHost: helpingHost)
            let results = try [(1, false), (2, false), (1, true)].map { threads, isHelped in
                try measurement.measure(
                    threads: threads, isHelped: isHelped, repetitions: repetitions)
            }
            let report = ScanReport(results: results)
            try StandardOutput.line(json ? report.json.text : report.text)
        }
    }
}
