import ArgumentParser
import DataDirectory
import Glibc
import Inspection
import Repair
import SystemPackage
import ToolSupport
import WAL

/// fsck(8) has its own exit codes: 16 for usage, where other tools have 64, which here means that
/// messages are lost. So the parser's codes are mapped by hand.
@main
enum ToymqFsck {
    static func main() {
        ProgramStart.prepare(exitCode: ExitBits.operational.rawValue)
        Arguments.check(exitCode: ExitBits.usage.rawValue)
        do {
            var command = try FsckCommand.parseAsRoot()
            try command.run()
        } catch {
            let code = FsckCommand.exitCode(for: error)
            if let exit = error as? ExitCode { Glibc.exit(exit.rawValue) }
            let isUsage = code == .validationFailure
            let text = FsckCommand.fullMessage(for: error)
            if !text.isEmpty {
                let stream: StandardStream = isUsage || !code.isSuccess ? .error : .output
                stream.put(text + "\n")
            }
            Glibc.exit(isUsage ? ExitBits.usage.rawValue : code.rawValue)
        }
    }
}

struct FsckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "toymq-fsck",
        abstract: "Checks and repairs the logs of a data directory, a topic, or one segment file.",
        discussion: """
            Without a flag it opens everything read-only and changes nothing. A log in use is \
            checked up to what is known durable.

            --preen and --repair take the log's lock, set aside what they change in \
            DATA/lost+found/<time>/ (beside PATH if that is not a data directory), write new files \
            beside the old ones, check them and rename them over. --undo puts it all back. Logs of \
            the Go program are only checked.

            The exit code is a sum, as that of fsck(8): 0 clean or only remarks, 1 something was \
            corrected, 4 something is left uncorrected (expected after a crash, newer, or damage), \
            8 operational error (a report that could not be printed, too; 13 may be a repair that one \
            has stopped halfway), 16 usage, 32 cancelled, 64 messages that were known durable are lost.
            """,
        version: ToolVersion.current)

    @Argument(help: "A data directory, a topic directory, or a segment file.")
    var path: String?

    @Flag(
        name: .shortAndLong,
        help: """
            Repair only what opening the log would deal with by itself: torn tails, left-over \
            temporary files. Writes nothing if anything worse is found, or if opening would refuse.
            """)
    var preen = false

    @Flag(
        name: [.customShort("y"), .long],
        help: """
            Repair all that can be repaired: keep every valid frame, and leave a lost frame for \
            what is gone. A log of a newer version is never touched.
            """)
    var `repair` = false

    @Option(
        help: ArgumentHelp(
            "Put back all that a repair set aside in this directory; goes with no <path>.",
            valueName: "dir"))
    var undo: String?

    @Flag(help: "Print one JSON object instead of text.")
    var json = false

    @Option(
        help: ArgumentHelp(
            "Also write the report as one HTML page, with a picture of each segment.",
            valueName: "file.html"))
    var report: String?

    @Flag(name: .shortAndLong, help: "Print only topics with something worse than a remark.")
    var quiet = false

    @Option(help: ArgumentHelp("Only this topic.", valueName: "name"))
    var topic: String?

    @Option(help: "Who wrote the logs: auto, native or go.")
    var dialect: DialectOption = .auto

    func validate() throws {
        if preen, `repair` { throw ValidationError("--preen and --repair exclude each other.") }
        if undo != nil, preen || `repair` || report != nil {
            throw ValidationError("--undo goes with none of --preen, --repair and --report.")
        }
        if path?.isEmpty ?? false { throw ValidationError("PATH is empty.") }
        if undo?.isEmpty ?? false { throw ValidationError("--undo: the path is empty.") }
        if report?.isEmpty ?? false { throw ValidationError("--report: the path is empty.") }
        if undo != nil, path != nil || topic != nil || dialect != .auto {
            throw ValidationError(
                "--undo puts back all of one repair: it goes with no <path>, --topic or --dialect.")
        }
        if path == nil, undo == nil { throw ValidationError("Missing expected argument '<path>'") }
    }

    func run() throws {
        Cancellation.listen(secondExits: ExitBits.cancelled.rawValue)
        var bits = try undo.map(putBack) ?? work()
        if Cancellation.isRequested { bits.insert(.cancelled) }
        if !bits.isEmpty { throw ExitCode(bits.rawValue) }
    }

    private static let voice = ToolVoice("toymq-fsck")

    /// Names of files stand in what is said, and may hold anything.
    private static func say(_ text: String) {
        voice.say(Printable.text(text))
    }

    private static func failed(_ text: String) -> ExitCode {
        say(text)
        return ExitCode(ExitBits.operational.rawValue)
    }

    private func work() throws -> ExitBits {
        let target = try resolve()
        if let reportFile { try refuse(reportFile, in: target) }
        // Drawn from the files as they are before anything is changed.
        var pictures = ReportPictures()
        if reportFile != nil { pictures = ReportPictures(of: target, on: .local) }
        let outcome = carryOut(target)
        var bits = outcome.bits.union(show(outcome.report))
        tell(outcome)
        let cancelled = outcome.report.topics.count { $0.isCancelled }
        if cancelled > 0 {
            // A page that says less must not take the place of one that says all.
            FsckCommand.say(
                "cancelled: \(cancelled) of \(outcome.report.topics.count) topics were not examined, "
                    + "nothing was decided about them"
                    + (reportFile == nil ? "" : "; the report was not written"))
        } else if let reportFile, !write(reportFile, outcome, pictures) {
            bits.insert(.operational)
        }
        return bits
    }

    private func resolve() throws -> Target {
        do {
            return try Target.resolve(
                FilePath(path ?? "."), dialect: dialect.dialect, topic: topic, on: .local)
        } catch {
            if json { _ = showUnreadable(error) }
            throw FsckCommand.failed("\(error)")
        }
    }

    /// Checks or repairs, and says at a terminal how far it has come.
    private func carryOut(_ target: Target) -> Repair.Outcome {
        let showsProgress = StandardStream.error.isTerminal
        let isRepair = preen || `repair`
        let verb = isRepair ? "repairing" : "checking"
        let progress = { (topic: String, number: Int, count: Int) in
            if showsProgress {
                StandardStream.error.put(
                    "\r\u{1b}[K\(verb) \(number)/\(count) \(Printable.text(topic))")
            }
        }
        defer { if showsProgress { StandardStream.error.put("\r\u{1b}[K") } }
        let isCancelled = { Cancellation.isRequested }
        let work = Repair(
            target, mode: preen ? .preen : .all, on: .local, now: WallClock.nanoseconds)
        return isRepair
            ? work.run(isCancelled: isCancelled, progress: progress)
            : work.check(isCancelled: isCancelled, progress: progress)
    }

    /// What the report has no place for.
    private func tell(_ outcome: Repair.Outcome) {
        tellProblems(of: outcome)
        if preen || `repair` { sayWhatIsOnlyChecked(outcome.report) }
        if let kept = outcome.keptIn, !json {
            FsckCommand.say(
                "the old files are in \(kept); toymq-fsck --undo \(kept) puts them back")
        }
    }

    /// Whether the page could be written.
    private func write(
        _ file: ReportFile, _ outcome: Repair.Outcome, _ pictures: ReportPictures
    ) -> Bool {
        let page = ReportHTML.render(
            outcome.report, pictures, keptIn: outcome.keptIn, version: ToolVersion.current,
            now: WallClock.nanoseconds)
        do {
            try file.write(page)
            return true
        } catch {
            FsckCommand.say("the report was not written: \(error)")
            return false
        }
    }

    /// A repair that does nothing is told from one that had nothing to do.
    private func sayWhatIsOnlyChecked(_ report: InspectionReport) {
        for topic in report.topics where topic.dialect == .go {
            FsckCommand.say(
                "topic \(topic.topic): logs of the Go program are only checked, "
                    + "\(preen ? "--preen" : "--repair") is not done for them; toymqctl import "
                    + "takes over what is whole")
        }
    }

    /// What a repair was stopped by, and every other topic that could not be read.
    private func tellProblems(of outcome: Repair.Outcome) {
        for problem in outcome.problems {
            FsckCommand.say("topic \(problem.topic): \(problem.error)")
        }
        let told = Set(outcome.problems.map(\.topic))
        for topic in outcome.report.topics
        where !told.contains(topic.topic) && !topic.isCancelled {
            guard let error = topic.errorText else { continue }
            FsckCommand.say("topic \(topic.topic): \(error); nothing was decided")
        }
    }

    private var reportFile: ReportFile? { report.map { ReportFile($0) } }

    /// Before anything is read or repaired: a page is not worth a log.
    private func refuse(_ file: ReportFile, in target: Target) throws {
        let belongs: Bool
        do {
            belongs = try file.belongs(to: target)
        } catch { throw FsckCommand.failed("\(error)") }
        let reason: String
        if belongs {
            reason = "is, or would be, a file of the data that is checked; name one elsewhere"
        } else if let obstacle = file.obstacle {
            reason = "is \(obstacle), and the page would take its place; name a regular file"
        } else {
            return
        }
        FsckCommand.say("--report: \(file.path) \(reason)")
        throw ExitCode(ExitBits.usage.rawValue)
    }

    /// Not even the topics could be listed: the report says so all the same.
    private func showUnreadable(_ error: TargetError) -> ExitBits {
        var report = InspectionReport(path: path ?? ".")
        var unread = TopicReport(topic: topic ?? "")
        unread.verdict = .error
        unread.error = error.asDiskError
        unread.problem = error.description
        report.topics = [unread]
        return show(report)
    }

    /// Prints it. A report that nobody gets is an error, whatever was done: the exit code says so.
    private func show(_ report: InspectionReport) -> ExitBits {
        put { () throws(OutputError) in
            if json {
                try ReportJSON.render(report, into: StandardOutput.put)
            } else {
                try ReportText.render(report, quiet: quiet, into: StandardOutput.put)
            }
        }
    }

    private func put(_ print: () throws(OutputError) -> Void) -> ExitBits {
        do throws(OutputError) {
            try print()
            return []
        } catch {
            FsckCommand.say("\(error)")
            return .operational
        }
    }

    private func putBack(_ directory: String) throws -> ExitBits {
        var report = InspectionReport(path: directory)
        var stopped: ExitBits = []
        do throws(RepairError) {
            report.actions = try Undo(FilePath(directory), on: .local).run()
        } catch {
            guard case .partly(let actions, _) = error else {
                throw FsckCommand.failed("\(error)")
            }
            FsckCommand.say("\(error)")
            report.actions = actions
            stopped = .operational
        }
        // It looks at no topic, so there is none to give a verdict on.
        if report.actions.isEmpty, !json, !quiet {
            return put { () throws(OutputError) in
                try StandardOutput.line(
                    "\(directory): nothing to put back; each file is what it was before the repair")
            }
        }
        let bits = show(report).union(stopped)
        return report.actions.isEmpty ? bits : bits.union(.corrected)
    }
}

extension DialectOption: ExpressibleByArgument {}
