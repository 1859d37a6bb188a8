import SystemPackage
import Foundation
import TestSupport

/// Where a program of this build is: beside the one that runs the tests.
public func builtProgram(_ name: String) -> String {
    let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return ((own ?? CommandLine.arguments[0]) as NSString).deletingLastPathComponent + "/" + name
}

/// A program that was run to its end, and what it said.
public struct FinishedProcess {
    /// How it ended.
    public let end: ChildEnd
    /// What it printed.
    public let output: String
    /// What it said on standard error.
    public let error: String

    /// The exit code, or the negative number of the signal that ended it.
    public var exit: Int32 { end.code }

    /// What it printed, if that is a JSON object; empty if it is not.
    public var json: [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(output.utf8))) as? [String: Any] ?? [:]
    }

    /// Runs the program `words[0]` with the rest as its arguments, `input` on its standard input.
    /// If a condition is given, it is killed (SIGKILL) as soon as that holds.
    public init(
        _ words: [String], input: String = "", directory: String? = nil,
        killingWhen condition: (() -> Bool)? = nil
    ) throws {
        // Files and not pipes: nobody has to read or write while it runs.
        let folder = try TemporaryDirectory()
        defer { withExtendedLifetime(folder) {} }
        let paths = ["in", "out", "err"].map { folder.appending($0) }
        try folder.write(input.utf8, to: "in")
        let child = try ChildProcess(
            words, directory: directory, input: .file(paths[0].string),
            output: .file(paths[1].string), error: .file(paths[2].string))
        if let condition {
            _ = child.comes(240, condition)
            child.signal(SIGKILL)
        }
        end = child.wait()
        let texts = try paths[1...].map {
            String(decoding: try bytes(of: $0), as: UTF8.self)
        }
        output = texts[0]
        error = texts[1]
    }
}
