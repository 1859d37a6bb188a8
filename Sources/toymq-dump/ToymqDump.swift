import ArgumentParser
import Glibc
import ToolSupport

@main
enum ToymqDump {
    static func main() {
        ProgramStart.prepare(exitCode: Outcome.failed.rawValue)
        Arguments.check()
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
