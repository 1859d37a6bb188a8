import ArgumentParser
import Glibc
import ToolSupport

@main
enum ToymqDump {
    static func main() {
        StandardStreams.occupy(exitCode: Outcome.failed.rawValue)
        // A reader that has gone ends the program quietly, and not by a signal.
        signal(SIGPIPE, SIG_IGN)
        DumpCommand.main()
    }
}

/// How a dump ended: the exit codes of the contract.
enum Outcome: Int32, Comparable {
    case done = 0
    /// Something worse than a remark was found, or not all could be done.
    case incomplete = 1
    /// It could not be done.
    case failed = 2

    static func < (a: Outcome, b: Outcome) -> Bool { a.rawValue < b.rawValue }
}

/// Standard error.
let voice = ToolVoice("toymq-dump")
