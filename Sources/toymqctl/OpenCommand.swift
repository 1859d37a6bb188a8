import JSONText
import ArgumentParser
import DataDirectory
import Glibc
import SystemPackage
import ToolSupport
import WAL

struct OpenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "open",
        abstract: "Opens each topic's log as the library does, and prints what opening found.",
        discussion: """
            A torn tail, which is what a crash leaves, is copied to a file beside the log and cut \
            off. A log that is damaged or of a later version is left as it is and stays closed. \
            Logs that were opened are closed cleanly again.

            Exit codes: 0 all were opened, torn tails included; 1 one is damaged or of a later \
            version, or its offsets.json is damaged, or the report could not be printed; 2 DATA or a \
            topic is not there, in use or the Go program's, or a call failed; 64 usage. If several apply, the highest one.
            """)

    @Argument(help: "The data directory.")
    var data: String

    @Option(
        help: ArgumentHelp("Open this topic only.", valueName: "name"),
        transform: TopicName.init(argument:))
    var topic: TopicName?

    @Flag(help: "Print a report as one JSON object.")
    var json = false

    func validate() throws {
        if data.isEmpty { throw ValidationError("DATA is empty.") }
    }

    func run() throws {
        let layout = DataLayout(FilePath(data))
        let results: [OpenResult]
        do {
            let topics = try topics(layout)
            let lock = try DataLock.acquire(layout)
            defer { lock.release() }
            let host = LogHost()
            defer { host.shutdown() }
            results = topics.map { OpenResult.open($0, in: layout, host: host) }
        } catch {
            let text = "\(error)"
            voice.say(text)
            return try Outcome.failed.exit(
                printing: json ? JSON.object(head + [("error", .string(text))]).text : nil)
        }
        for result in results { if let problem = result.problem { voice.say(problem) } }
        let text =
            if json {
                JSON.object(head + [("topics", .array(results.map(\.json)))]).text
            } else if results.isEmpty {
                "no topics in \(layout.topicsDirectory)"
            } else {
                results.map(\.text).joined(separator: "\n")
            }
        try (results.map(\.outcome).max() ?? .done).exit(printing: text)
    }

    private var head: [(String, JSON)] { [("version", .integer(1)), ("path", .string(data))] }

    /// The topics to open. Nothing is written before it is known that DATA is a data directory:
    /// neither the lock file nor, into an empty folder, a new log.
    private func topics(_ layout: DataLayout) throws -> [TopicName] {
        let all = try layout.topics().topics
        if all.isEmpty, access(layout.topicsDirectory.string, F_OK) != 0 {
            throw InputError(
                "\(layout.root) is not a data directory: it has no topics/; give the one that has")
        }
        guard let name = topic else { return all }
        guard all.contains(name) else {
            throw InputError(
                "there is no topic \(name) in \(layout.topicsDirectory); leave out --topic to "
                    + "open all")
        }
        return [name]
    }
}
