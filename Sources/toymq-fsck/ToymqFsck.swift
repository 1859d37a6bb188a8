import ArgumentParser
import DataDirectory
import Glibc
import Inspection
import Repair
import Synchronization
import SystemPackage
import ToolSupport
import WAL

/// fsck(8) has its own exit codes: 16 for usage, where other tools have 64, which here means that
/// messages are lost. So the parser's codes are mapped by hand.
@main
enum ToymqFsck {
    static func main() {
        StandardStreams.occupy(exitCode: ExitBits.operational.rawValue)
        do {
            var command = try FsckCommand.parseAsRoot()
            try command.run()
        } catch {
            let code = FsckCommand.exitCode(for: error)
            if let exit = error as? ExitCode { Glibc.exit(exit.rawValue) }
            let isUsage = code == .validationFailure
            let text = FsckCommand.fullMessage(for: error)
            if !text.isEmpty {
                StandardStream(isUsage || !code.isSuccess ? .standardError : .standardOutput)
                    .put(text + "\n")
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
            beside the old ones, check them and rename them over. --undo puts it all back.

            The exit code is a sum, as that of fsck(8): 0 clean or only remarks, 1 something was \
            corrected, 4 something is left uncorrected (expected after a crash, newer, or damage), \
            8 operational error, 16 usage, 32 cancelled, 64 messages that were known durable are \
            lost.
            """,
        version: Inspection.version)

    @Argument(help: "A data directory, a topic directory, or a segment file.")
    var path: String?

    @Flag(
        name: .shortAndLong,
        help: """
            Repair only what opening the log would deal with by itself: torn tails, left-over \
            temporary files. Writes nothing if anything worse is found.
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
            "Put back what a repair set aside in this directory.", valueName: "dir"))
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
        if path == nil, undo == nil { throw ValidationError("Missing expected argument '<path>'") }
    }

    func run() throws {
        Cancellation.listen()
        var bits = try undo.map(putBack) ?? work()
        if Cancellation.isRequested { bits.insert(.cancelled) }
        if !bits.isEmpty { throw ExitCode(bits.rawValue) }
    }

    private static let errors = StandardStream(.standardError)

    private static func failed(_ text: String) -> ExitCode {
        errors.put("toymq-fsck: \(text)\n")
        return ExitCode(ExitBits.operational.rawValue)
    }

    private func work() throws -> ExitBits {
        let target: Target
        do {
            target = try Target.resolve(
                FilePath(path ?? "."), dialect: dialect.dialect, topic: topic, on: .local)
        } catch {
            if json, case .io(let cause) = error { showUnreadable(cause) }
            throw FsckCommand.failed("\(error)")
        }
        if let reportFile { try refuse(reportFile, in: target) }
        let showsProgress = isatty(STDERR_FILENO) == 1
        let verb = preen || `repair` ? "repairing" : "checking"
        let progress = { (topic: String, number: Int, count: Int) in
            if showsProgress {
                FsckCommand.errors.put("\r\u{1b}[K\(verb) \(number)/\(count) \(topic)")
            }
        }
        // Drawn from the files as they are before anything is changed.
        var pictures = ReportPictures()
        if reportFile != nil { pictures = ReportPictures(of: target, on: .local) }
        var outcome: Repair.Outcome
        let work = Repair(target, mode: preen ? .preen : .all, on: .local, now: FsckCommand.now)
        let isCancelled = { Cancellation.isRequested }
        if preen || `repair` {
            outcome = work.run(isCancelled: isCancelled, progress: progress)
        } else {
            outcome = work.check(isCancelled: isCancelled, progress: progress)
        }
        if showsProgress { FsckCommand.errors.put("\r\u{1b}[K") }
        show(outcome.report)
        for problem in outcome.problems {
            FsckCommand.errors.put("toymq-fsck: topic \(problem.topic): \(problem.error)\n")
        }
        for topic in outcome.report.topics where outcome.problems.isEmpty {
            if let error = topic.errorText {
                FsckCommand.errors.put(
                    "toymq-fsck: topic \(topic.topic): \(error); nothing was decided\n")
            }
        }
        if let kept = outcome.keptIn, !json {
            FsckCommand.errors.put(
                "toymq-fsck: the old files are in \(kept); toymq-fsck --undo \(kept) puts them back\n"
            )
        }
        if let reportFile {
            let page = ReportHTML.render(outcome.report, pictures, now: FsckCommand.now)
            do {
                try reportFile.write(page)
            } catch {
                FsckCommand.errors.put("toymq-fsck: the report was not written: \(error)\n")
                outcome.bits.insert(.operational)
            }
        }
        return outcome.bits
    }

    private var reportFile: ReportFile? { report.map { ReportFile($0) } }

    /// Before anything is read or repaired: a page is not worth a log.
    private func refuse(_ file: ReportFile, in target: Target) throws {
        let belongs: Bool
        do {
            belongs = try file.belongs(to: target)
        } catch { throw FsckCommand.failed("\(error)") }
        guard belongs else { return }
        FsckCommand.errors.put(
            "toymq-fsck: --report: \(file.path) is, or would be, a file of the data that is "
                + "checked; name one elsewhere\n")
        throw ExitCode(ExitBits.usage.rawValue)
    }

    /// Not even the topics could be listed: the report says so all the same.
    private func showUnreadable(_ error: DiskError) {
        var report = InspectionReport(path: path ?? ".")
        var unread = TopicReport(topic: topic ?? "")
        unread.verdict = .error
        unread.error = error
        report.topics = [unread]
        show(report)
    }

    private func show(_ report: InspectionReport) {
        let output = StandardStream(.standardOutput)
        if json {
            output.put(ReportJSON.render(report))
        } else {
            output.put(ReportText.render(report, quiet: quiet))
        }
    }

    private func putBack(_ directory: String) throws -> ExitBits {
        var report = InspectionReport(path: directory)
        do {
            report.actions = try Undo(FilePath(directory), on: .local).run()
        } catch { throw FsckCommand.failed("\(error)") }
        show(report)
        return report.actions.isEmpty ? [] : .corrected
    }

    /// Nanoseconds since 1970.
    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// The values of `--dialect`.
enum DialectOption: String, ExpressibleByArgument, CaseIterable {
    case auto
    case native
    case go

    var dialect: LogDialect? {
        switch self {
        case .auto: nil
        case .native: .native
        case .go: .go
        }
    }
}

/// SIGINT and SIGTERM end the check after the topic at hand; a second one ends it at once.
enum Cancellation {
    private static let requested = Atomic(false)

    static var isRequested: Bool { requested.load(ordering: .relaxed) }

    static func listen() {
        // Whoever started this process may have blocked them, and masks are inherited.
        var mask = sigset_t()
        sigemptyset(&mask)
        sigaddset(&mask, SIGINT)
        sigaddset(&mask, SIGTERM)
        pthread_sigmask(SIG_UNBLOCK, &mask, nil)
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                if Cancellation.isRequested { _exit(ExitBits.cancelled.rawValue) }
                Cancellation.requested.store(true, ordering: .relaxed)
            }
        }
    }
}

/// Standard output or standard error, written in full; where nobody listens, quietly not.
struct StandardStream {
    private let descriptor: FileDescriptor

    init(_ descriptor: FileDescriptor) {
        self.descriptor = descriptor
        // A closed pipe is an error to be seen at the write, not a reason to die.
        signal(SIGPIPE, SIG_IGN)
    }

    func put(_ text: String) { put(Array(text.utf8)) }

    func put(_ bytes: [UInt8]) { _ = try? descriptor.writeAll(bytes) }
}
