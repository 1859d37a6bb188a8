import Foundation
import Glibc
import SystemPackage

/// A run of LogAppender, the other process of the tests.
final class HelperProcess {
    private let process = Process()
    private let output = Pipe()
    private let input = Pipe()
    private var rest: [UInt8] = []

    /// Where the executables of this build are: beside the one that runs the tests.
    static let executable: FilePath = {
        let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return FilePath(own ?? CommandLine.arguments[0]).removingLastComponent()
            .appending("LogAppender")
    }()

    /// Runs LogAppender, through `wrapper` if there is one (a command that runs its arguments).
    init(_ arguments: [String], wrapper: [String] = []) throws {
        let command = wrapper + [HelperProcess.executable.string] + arguments
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = Array(command.dropFirst())
        process.standardOutput = output
        process.standardInput = input
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    var pid: Int32 { process.processIdentifier }

    /// The next line it prints; nil when it has ended and there is none.
    func line() -> String? {
        while true {
            if let end = rest.firstIndex(of: 0x0A) {
                defer { rest.removeFirst(end + 1) }
                return String(decoding: rest[..<end], as: UTF8.self)
            }
            let more = output.fileHandleForReading.availableData
            // A line without its end was never said.
            if more.isEmpty { return nil }
            rest += more
        }
    }

    /// All lines that are left.
    func lines() -> [String] {
        var lines: [String] = []
        while let line = line() { lines.append(line) }
        return lines
    }

    func kill() { _ = Glibc.kill(process.processIdentifier, SIGKILL) }

    /// Ends its standard input.
    func endInput() { try? input.fileHandleForWriting.close() }

    /// Waits for its end and gives the exit code, or the negative number of the signal.
    @discardableResult
    func wait() -> Int32 {
        process.waitUntilExit()
        return process.terminationReason == .exit
            ? process.terminationStatus : -process.terminationStatus
    }
}
