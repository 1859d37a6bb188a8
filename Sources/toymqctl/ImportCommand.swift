import JSONText
import ArgumentParser
import DataDirectory
import GoImport
import SystemPackage
import ToolSupport
import WAL

struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Turns topics of the Go program of the same name into native ones.",
        discussion: """
            Partition p of a topic becomes the topic NAME.p. Ids and keys are kept; ids whose \
            messages are gone are kept free. The time of a message goes into its header \
            imported-timestamp and a delay into imported-visible-at, both in nanoseconds since \
            1970. Positions that consumers have acknowledged are taken over.

            What cannot be taken over is listed on standard error, and so is damage in the Go log; \
            the exit code is 1 then. Nothing is changed under PATH: DATA may not lie in it, nor it in \
            DATA.

            The topics appear in DATA when all are whole and durable. An import that was \
            interrupted leaves none, or, while they got their names, some: run it again. The next \
            import into DATA, also of something else, finishes it first and says so on standard \
            error, and does not import again what came from the same PATH. Do that before a broker uses \
            DATA: a topic that it makes keeps its name.

            Exit codes: 0 all was taken over, or had been by an import that is finished now; 1 not \
            all, or the Go log has something worse than a remark, or the report could not be printed; \
            2 nothing was imported: a topic exists already, DATA is in use, or a call failed; what is \
            said to be unfinished the next run finishes; 64 usage.
            """)

    @Argument(help: "A data directory, a topic's folder or a partition's folder of the Go program.")
    var path: String

    @Argument(help: "The data directory to import into; made if its parent exists.")
    var data: String

    @Option(
        help: ArgumentHelp(
            "What the topic is to be called; without it, it has the name of its folder.",
            valueName: "name"),
        transform: TopicName.init(argument:))
    var topic: TopicName?

    @Flag(help: "Print a report as one JSON object.")
    var json = false

    func validate() throws {
        if path.isEmpty { throw ValidationError("PATH is empty.") }
        if data.isEmpty { throw ValidationError("DATA is empty.") }
    }

    func run() throws {
        let work = GoImport(
            namedPath(path), into: DataLayout(FilePath(data)), as: topic)
        let bar = ProgressLine()
        let report: ImportReport
        var finished: [TopicName] = []
        do throws(ImportError) {
            report = try work.run(
                progress: { bar.show($0) },
                finished: {
                    finished = $0
                    let names = $0.map(\.text).joined(separator: ", ")
                    voice.say(
                        "an import into \(data) that was interrupted is finished now: it has "
                            + (names.isEmpty ? "no topic of it any more" : names))
                })
            bar.clear()
        } catch {
            bar.clear()
            voice.say("\(error)")
            return try Outcome.failed.exit(
                printing: json
                    ? JSON.object(head(finished) + [("error", .string("\(error)"))]).text : nil)
        }
        for issue in report.issues where !issue.isRemark { voice.say("\(issue)") }
        let outcome = report.isComplete ? Outcome.done : .incomplete
        try outcome.exit(printing: json ? document(report, finished).text : text(report, finished))
    }

    private func text(_ report: ImportReport, _ finished: [TopicName]) -> String {
        if report.topics.isEmpty {
            return finished.isEmpty ? "nothing was imported" : "nothing else was imported"
        }
        return report.topics.map { topic in
            var parts = ["\(topic.messages) message\(topic.messages == 1 ? "" : "s")"]
            if let last = topic.ids.last { parts.append("ids \(topic.ids.lowerBound) to \(last)") }
            if !topic.lost.isEmpty {
                let lost = topic.lost.reduce(UInt64(0)) { $0 + $1.count }
                parts.append("\(lost) of them without a message")
            }
            if !topic.consumers.isEmpty {
                let count = topic.consumers.count
                parts.append("\(count) consumer\(count == 1 ? "" : "s")")
            }
            return "\(topic.name): \(parts.joined(separator: ", "))"
        }.joined(separator: "\n")
    }

    private func head(_ finished: [TopicName]) -> [(String, JSON)] {
        [
            ("version", .integer(1)), ("path", .string(path)), ("data", .string(data)),
            ("finished", .array(finished.map { .string($0.text) })),
        ]
    }

    private func document(_ report: ImportReport, _ finished: [TopicName]) -> JSON {
        .object(
            head(finished) + [
                ("complete", .bool(report.isComplete)),
                ("topics", .array(report.topics.map(member))),
                ("issues", .array(report.issues.map(member))),
            ])
    }

    private func member(_ topic: ImportReport.Topic) -> JSON {
        .object([
            ("topic", .string(topic.name.text)), ("source", .string(topic.source.string)),
            ("messages", .integer(topic.messages)),
            ("next_id", .integer(topic.ids.upperBound.rawValue)),
            ("lost", .array(topic.lost.map(JSON.init))),
            ("consumers", .array(topic.consumers.map { .string($0.text) })),
        ])
    }

    private func member(_ issue: ImportIssue) -> JSON {
        var members: [(String, JSON)] = [
            ("issue", .string(issue.kind.name)), ("remark", .bool(issue.isRemark)),
            ("path", .string(issue.path.string)),
        ]
        if let offset = issue.offset { members.append(("offset", .integer(offset))) }
        if !issue.ids.isEmpty { members.append(("ids", .array(issue.ids.map(JSON.init)))) }
        return .object(members + [("detail", .string(issue.text))])
    }
}

/// How far an import has come: one line of a terminal, written over again and again.
private final class ProgressLine {
    private var isShown = false
    private var nextTime = ContinuousClock.now

    func show(_ progress: ImportProgress) {
        guard StandardStream.error.isTerminal, ContinuousClock.now >= nextTime else { return }
        nextTime = .now + .milliseconds(200)
        isShown = true
        let percent = progress.totalBytes == 0 ? 100 : progress.bytes * 100 / progress.totalBytes
        StandardStream.error.put(
            "\r\u{1b}[K\(progress.topic): \(progress.bytes >> 20) of "
                + "\(progress.totalBytes >> 20) MiB, \(percent) %")
    }

    func clear() {
        if isShown { StandardStream.error.put("\r\u{1b}[K") }
        isShown = false
    }
}

extension JSON {
    /// `[first, last]`
    fileprivate init(_ ids: ClosedRange<MessageID>) {
        self = .array([.integer(ids.lowerBound.rawValue), .integer(ids.upperBound.rawValue)])
    }
}

extension ClosedRange<MessageID> {
    /// How many ids. Only for ranges of a log, none of which has all 2^64.
    fileprivate var count: UInt64 { upperBound.rawValue - lowerBound.rawValue + 1 }
}

extension Range<MessageID> {
    /// The last id; nil if there is none.
    var last: MessageID? { isEmpty ? nil : MessageID(upperBound.rawValue - 1) }
}
