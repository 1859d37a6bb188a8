import Foundation
import ProcessSupport

/// A program that was built together with these tests.
struct Command {
    let path: String

    init(_ name: String) { path = builtProgram(name) }

    func run(_ arguments: String..., before: String = "") throws -> FinishedProcess {
        try run(arguments, before: before)
    }

    /// `before` is run by a shell in the process that becomes the program. If a condition is given,
    /// the program is killed (SIGKILL) as soon as it holds.
    func run(
        _ arguments: [String], before: String = "", killingWhen condition: (() -> Bool)? = nil
    ) throws -> FinishedProcess {
        try FinishedProcess(
            ["/bin/sh", "-c", "\(before)\nexec \"$0\" \"$@\"", path] + arguments,
            killingWhen: condition)
    }
}

func getProcessID() -> Int32 { ProcessInfo.processInfo.processIdentifier }
