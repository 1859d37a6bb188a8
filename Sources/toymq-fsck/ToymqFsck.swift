import ArgumentParser
import Glibc
import Inspection
import Synchronization
import SystemPackage
import WAL

/// fsck(8) has its own exit codes: 16 for usage, where other tools have 64, which here means that
/// messages are lost. So the parser's codes are mapped by hand.
@main
enum ToymqFsck {
    static func main() {
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
        abstract: "Checks the logs of a data directory, a topic directory, or one segment file.",
        discussion: """
            Opens everything read-only and changes nothing. A log in use is checked up to what is \
            known durable.

            The exit code is a sum, as that of fsck(8): 0 clean or only remarks, 4 something is \
            left uncorrected (expected after a crash, newer, or damage), 8 operational error, \
            16 usage, 32 cancelled, 64 messages that were known durable are lost.

            This version checks; it does not repair yet, and has no flags for it.
            """,
        version: Inspection.version)

    @Argument(help: "A data directory, a topic directory, or a segment file.")
    var path: String

    @Flag(help: "Print one JSON object instead of text.")
    var json = false

    @Flag(name: .shortAndLong, help: "Print only topics with something worse than a remark.")
    var quiet = false

    @Option(help: ArgumentHelp("Only this topic.", valueName: "name"))
    var topic: String?

    @Option(help: "Who wrote the logs: auto, native or go.")
    var dialect: DialectOption = .auto

    func run() throws {
        Cancellation.listen()
        let errors = StandardStream(.standardError)
        let target: Target
        do {
            target = try Target.resolve(
                FilePath(path), dialect: dialect.dialect, topic: topic, on: .local)
        } catch {
            errors.put("toymq-fsck: \(error)\n")
            throw ExitCode(ExitBits.operational.rawValue)
        }
        let showsProgress = isatty(STDERR_FILENO) == 1
        let report = Inspection.run(
            target, on: .local, isCancelled: { Cancellation.isRequested },
            progress: { topic, number, count in
                if showsProgress { errors.put("\r\u{1b}[Kchecking \(number)/\(count) \(topic)") }
            })
        if showsProgress { errors.put("\r\u{1b}[K") }
        let output = StandardStream(.standardOutput)
        if json {
            output.put(ReportJSON.render(report))
        } else {
            output.put(ReportText.render(report, quiet: quiet))
        }
        for topic in report.topics {
            if let error = topic.error {
                errors.put("toymq-fsck: topic \(topic.topic): \(error); nothing was decided\n")
            }
        }
        var bits = report.exitBits
        if Cancellation.isRequested { bits.insert(.cancelled) }
        if !bits.isEmpty { throw ExitCode(bits.rawValue) }
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
