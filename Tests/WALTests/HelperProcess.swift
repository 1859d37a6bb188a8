import Glibc
import ProcessSupport
import SystemPackage

/// A run of LogAppender, the other process of the tests.
final class HelperProcess {
    private let process: ChildProcess
    private var rest: [UInt8] = []

    static let executable = FilePath(builtProgram("LogAppender"))

    /// Runs LogAppender, through `wrapper` if there is one (a command that runs its arguments).
    init(_ arguments: [String], wrapper: [String] = []) throws {
        process = try ChildProcess(
            wrapper + [HelperProcess.executable.string] + arguments, input: .pipe)
    }

    var pid: Int32 { process.pid }

    /// The next line it prints; nil when it has ended and there is none.
    func line() -> String? {
        while true {
            if let end = rest.firstIndex(of: 0x0A) {
                defer { rest.removeFirst(end + 1) }
                return String(decoding: rest[..<end], as: UTF8.self)
            }
            let more = process.readOutput()
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

    func kill() { process.signal(SIGKILL) }

    /// Ends its standard input.
    func endInput() { process.endInput() }

    /// Waits for its end and gives the exit code, or the negative number of the signal.
    @discardableResult
    func wait() -> Int32 { process.wait().code }
}
