import ArgumentParser
import Glibc
import SystemPackage
import ToolSupport

@main
struct Toymqctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "toymqctl",
        abstract: "Talks to a broker; imports topics into a data directory and opens them.",
        discussion: """
            Exit codes: 0 done; 1 something worse than a remark was found, or not all could be \
            done; 2 could not do it; 64 usage. What is to be done next stands on standard error.
            """,
        version: ToolVersion.current,
        subcommands: [
            PubCommand.self, SubCommand.self, AckCommand.self, TopicsCommand.self, InfoCommand.self,
            ImportCommand.self, OpenCommand.self,
        ])

    static func main() {
        ProgramStart.prepare()
        Arguments.check(
            advice: "; a payload may be any bytes in a file (--file) or on standard input")
        main(nil)
    }
}

/// How a command ended.
enum Outcome: Int32, Comparable {
    case done = 0
    /// Something worse than a remark was found, or not all could be done.
    case incomplete = 1
    case failed = 2

    static func < (a: Outcome, b: Outcome) -> Bool { a.rawValue < b.rawValue }

    /// Prints what was found, if it was; ends the process, unless all is well. A report that nobody
    /// gets is not well either.
    func exit(printing text: String?) throws {
        var outcome = self
        do throws(OutputError) {
            if let text { try StandardOutput.line(text) }
        } catch {
            voice.say("\(error)")
            outcome = max(outcome, .incomplete)
        }
        try outcome.exit()
    }

    /// Ends the process, unless all is well.
    func exit() throws {
        if self != .done { throw ExitCode(rawValue) }
    }
}

/// Standard error.
let voice = ToolVoice("toymqctl")

/// The path with a name of its own at the end: `.` and `..` have none, and a topic takes its name
/// from its folder.
func namedPath(_ text: String) -> FilePath {
    let path = FilePath(text)
    if path.lastComponent?.kind == .regular { return path }
    guard let resolved = realpath(text, nil) else { return path }
    defer { free(resolved) }
    return FilePath(platformString: resolved)
}
