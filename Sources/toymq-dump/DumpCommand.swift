import ArgumentParser
import Inspection
import SystemPackage
import ToolSupport

struct DumpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "toymq-dump",
        abstract: "Prints the frames of toymq's logs, live or damaged, and writes nothing.",
        discussion: """
            One line a frame: id, time (UTC), bytes of the frame, first id of its commit (or \
            `mark` or `lost`), then key, headers and payload. What is damaged is passed over and \
            told in lines that begin with #. TIME is RFC 3339 (2026-11-23T04:09:00Z), nanoseconds \
            since 1970, or an age (90s, 10m, 2h, 3d).

            Exit codes: 0 done; 1 something worse than a remark was found, or not all could be \
            done; 2 could not do it; 64 usage.
            """,
        version: ToolVersion.current)

    @Argument(
        help: ArgumentHelp(
            "A data directory, a topic directory or one segment file.", valueName: "path"),
        completion: .file())
    var path: String

    @Flag(help: "Print JSON, one object a line.")
    var json = false

    @Option(help: ArgumentHelp("Leave out ids below this.", valueName: "n"))
    var fromID: UInt64?

    @Option(help: ArgumentHelp("Leave out ids above this.", valueName: "n"))
    var toID: UInt64?

    @Option(
        help: ArgumentHelp("Leave out what was written before.", valueName: "time"),
        transform: time)
    var since: UInt64?

    @Option(
        help: ArgumentHelp("Leave out what was written after.", valueName: "time"),
        transform: time)
    var until: UInt64?

    @Option(help: ArgumentHelp("Only messages with this key.", valueName: "key"))
    var key: String?

    @Option(help: ArgumentHelp("Stop after so many frames.", valueName: "n"))
    var limit: UInt64?

    @Option(help: "How payloads are shown.")
    var payload: PayloadForm = .text

    @Flag(
        name: [.short, .long],
        help: "Go on with what is appended, past damage too, until SIGINT or SIGTERM.")
    var follow = false

    @Flag(help: "Print numbers about the messages instead of the messages.")
    var stats = false

    @Flag(help: "Show marks, too.")
    var marks = false

    @Option(help: ArgumentHelp("Only this topic.", valueName: "name"))
    var topic: String?

    @Option(help: "Who wrote the logs: auto, native or go.")
    var dialect: DialectOption = .auto

    func validate() throws {
        if path.isEmpty { throw ValidationError("PATH is empty.") }
        if let fromID, let toID, fromID > toID {
            throw ValidationError("--from-id is above --to-id: nothing can match.")
        }
        if let since, let until, since > until {
            throw ValidationError("--since is after --until: nothing can match.")
        }
        if let key, !(1...65_535).contains(key.utf8.count) {
            throw ValidationError("--key: a key has 1 to 65535 bytes.")
        }
        if stats, follow { throw ValidationError("--stats and --follow exclude each other.") }
    }

    func run() throws {
        let outcome = Dump(options).run(FilePath(path), dialect: dialect.dialect, topic: topic)
        if outcome != .done { throw ExitCode(outcome.rawValue) }
    }

    private var options: DumpOptions {
        var options = DumpOptions()
        options.filter.fromID = fromID
        options.filter.toID = toID
        options.filter.since = since
        options.filter.until = until
        options.filter.key = key.map { Array($0.utf8) }
        options.filter.marks = marks
        options.limit = limit
        options.payload = payload
        options.json = json
        options.stats = stats
        options.follow = follow
        options.heading = StandardStream.output.isTerminal
        return options
    }

    private static func time(_ text: String) throws -> UInt64 {
        if let time = TimeArgument.parse(text, now: WallClock.nanoseconds) { return time }
        throw ValidationError(
            "'\(text)' is no time: give RFC 3339 (2026-11-23T04:09:00Z), nanoseconds since 1970, "
                + "or an age (90s, 10m, 2h, 3d).")
    }
}

/// What to print, and how.
struct DumpOptions {
    var filter = FrameFilter()
    /// Stop after so many frames; nil for no limit.
    var limit: UInt64?
    var payload = PayloadForm.text
    /// One object a line instead of text.
    var json = false
    /// Counts instead of frames.
    var stats = false
    /// Go on with what is appended.
    var follow = false
    /// Whether the names of the columns come first: for people at a terminal.
    var heading = false
}

extension PayloadForm: ExpressibleByArgument {}
extension DialectOption: ExpressibleByArgument {}
