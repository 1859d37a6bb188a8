import Foundation
import Glibc
import ProcessSupport
import TestSupport
import WALTestSupport

/// A running toymq on a port that the kernel has chosen.
final class BrokerProcess: Sendable {
    private let process: ChildProcess
    private let errors: String
    /// Kept for as long as the process needs it.
    private let data: DataFolder
    let port: Int
    let metricsPort: Int?

    struct NotStarted: Error { let text: String }

    /// Starts it, with at most so many descriptors if that is given, and waits until it serves. Its
    /// log goes to a pipe if that is wanted, which is read with `readErrorToEnd`, and else to a
    /// file.
    init(
        _ data: DataFolder, _ arguments: [String] = [], environment: [String: String] = [:],
        descriptors: Int? = nil, pipesLog: Bool = false
    ) throws {
        self.data = data
        errors =
            data.url.deletingLastPathComponent().path
            + "/errors-\(UInt64.random(in: 0...UInt64.max))"
        let limited = descriptors.map { ["/bin/sh", "-c", "ulimit -n \($0); exec \"$@\"", "sh"] }
        process = try ChildProcess(
            (limited ?? [])
                + [builtProgram("toymq"), "--data-dir", data.path, "--addr", "127.0.0.1:0"]
                + arguments,
            environment: ProcessInfo.processInfo.environment.merging(environment) { $1 },
            error: pipesLog ? .pipe : .file(errors))
        var text = ""
        let wanted = arguments.contains("--metrics-addr") ? 2 : 1
        while text.filter(\.isNewline).count < wanted {
            let bytes = process.readOutput()
            guard !bytes.isEmpty else { break }
            text += String(decoding: bytes, as: UTF8.self)
        }
        func port(_ word: String) -> Int? {
            let line = text.split(separator: "\n").first { $0.hasPrefix(word + " ") }
            return line?.split(separator: ":").last.flatMap { Int($0) }
        }
        guard let listening = port("listening") else {
            process.wait()
            throw NotStarted(text: (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "")
        }
        self.port = listening
        metricsPort = port("metrics")
    }

    /// In an orderly way, if it has not ended: one that is killed leaves no profile of what it ran.
    deinit {
        process.signal(SIGTERM)
        process.wait(seconds: 5)
    }

    /// What it has logged so far: the last lines may be on their way.
    var log: String { (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "" }

    /// What its pipe holds until its end.
    func readErrorToEnd() -> String { String(decoding: process.readErrorToEnd(), as: UTF8.self) }

    func client() throws -> RawClient { try RawClient(port: port) }

    /// What the metrics' port answers for that path, with its headers.
    func get(_ path: String) throws -> String {
        try ask("GET \(path) HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    }

    /// What the metrics' port answers to these bytes, until it closes.
    func ask(_ request: String) throws -> String {
        guard let metricsPort else { throw NotStarted(text: "it serves no metrics") }
        let client = try RawClient(port: metricsPort)
        try client.send(request)
        var text = ""
        while let line = try? client.line() { text += line + "\n" }
        return text
    }

    func signal(_ number: Int32) { process.signal(number) }

    /// Runs `body` while the process stands still.
    func paused(_ body: () throws -> Void) throws {
        signal(SIGSTOP)
        defer { signal(SIGCONT) }
        let tasks = "/proc/\(process.pid)/task"
        let hasStopped = comesTrue {
            let numbers = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
            return numbers.allSatisfy { number in
                let line = try? String(contentsOfFile: "\(tasks)/\(number)/stat", encoding: .utf8)
                // Behind the name in parentheses.
                return line?.split(separator: ")").last?.hasPrefix(" T") == true
            }
        }
        guard hasStopped else { throw NotStopped() }
        try body()
    }

    struct NotStopped: Error {}

    /// Resident memory in bytes.
    var residentBytes: Int {
        let path = "/proc/\(process.pid)/status"
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return (line?.split(separator: " ").dropLast().last.flatMap { Int($0) } ?? 0) << 10
    }

    /// Whether it has that file open.
    func hasOpen(_ path: String) -> Bool {
        let files = FileManager.default
        let folder = "/proc/\(process.pid)/fd"
        let links = (try? files.contentsOfDirectory(atPath: folder)) ?? []
        return links.contains {
            (try? files.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")) == path
        }
    }

    /// Processor time in nanoseconds: of its event loops, and of all threads that there are.
    var processorTime: (loops: Int, all: Int) {
        let tasks = "/proc/\(process.pid)/task"
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
        var time = (loops: 0, all: 0)
        for number in numbers {
            func text(_ name: String) -> String {
                (try? String(contentsOfFile: "\(tasks)/\(number)/\(name)", encoding: .utf8)) ?? ""
            }
            let nanoseconds = Int(text("schedstat").prefix { $0.isNumber }) ?? 0
            time.all += nanoseconds
            if text("comm").hasPrefix("NIO-ELT") { time.loops += nanoseconds }
        }
        return time
    }

    /// Threads it has.
    var threads: Int {
        (try? FileManager.default.contentsOfDirectory(
            atPath: "/proc/\(process.pid)/task"))?.count ?? 0
    }

    /// The exit code, or the negative number of the signal: SIGKILL's if it does not end by itself.
    @discardableResult
    func wait() -> Int32 { process.wait().code }

    /// Stops it in an orderly way, and gives what `wait` does.
    @discardableResult
    func stop(_ number: Int32 = SIGTERM) -> Int32 {
        signal(number)
        return wait()
    }

    func kill() {
        signal(SIGKILL)
        wait()
    }
}

/// A folder for a data directory, removed when nobody needs it.
final class DataFolder: Sendable {
    let url: URL
    var path: String { url.path }
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        url = directory.url.appendingPathComponent("data")
    }
}
