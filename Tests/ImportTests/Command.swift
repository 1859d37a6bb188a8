import Foundation
import SystemPackage

/// What a process printed and how it ended.
struct CommandResult {
    let exit: Int32
    /// Ended by a signal, whose number `exit` is then.
    let wasKilled: Bool
    let output: String
    let error: String

    var json: [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(output.utf8))) as? [String: Any] ?? [:]
    }
}

/// A program that was built together with these tests.
struct Command {
    let path: String

    init(_ name: String) {
        let tests = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let directory = tests.map { ($0 as NSString).deletingLastPathComponent }
        path = (directory ?? ".") + "/" + name
    }

    func run(_ arguments: String..., before: String = "") throws -> CommandResult {
        try run(arguments, before: before)
    }

    /// `before` is run by a shell in the process that becomes the program. If a condition is given,
    /// the program is killed (SIGKILL) as soon as it holds.
    func run(
        _ arguments: [String], before: String = "", killingWhen condition: (() -> Bool)? = nil
    ) throws -> CommandResult {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "\(before)\nexec \"$0\" \"$@\"", path] + arguments
        // Files and not pipes: nobody has to read while the process runs.
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("toymq-command-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        let files = ["output", "error"].map { folder.appendingPathComponent($0) }
        for file in files { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
        process.standardOutput = try FileHandle(forWritingTo: files[0])
        process.standardError = try FileHandle(forWritingTo: files[1])
        try process.run()
        if let condition {
            while !condition(), process.isRunning { usleep(1000) }
            kill(process.processIdentifier, SIGKILL)
        }
        process.waitUntilExit()
        let texts = try files.map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
        return CommandResult(
            exit: process.terminationStatus,
            wasKilled: process.terminationReason == .uncaughtSignal, output: texts[0],
            error: texts[1])
    }
}

func getProcessID() -> Int32 { ProcessInfo.processInfo.processIdentifier }
