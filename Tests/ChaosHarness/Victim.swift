public import DataDirectory
import Glibc
import ProcessSupport
public import SystemPackage

/// A broker that is made to crash. All calls block; one thread.
public protocol Victim: AnyObject {
    /// Starts it, on the same data as before, and gives the port that it listens on: the same as
    /// before, from the second time on.
    func start() throws -> Int
    /// Crashes it, and comes back when it is gone.
    func crash() throws
    /// Whether it has ended by itself, and how.
    var ending: String? { get }
    /// Ends it the orderly way; what went wrong, if anything did.
    func stop() throws -> String?
    /// Where the data is, while it does not run.
    var layout: DataLayout { get }
    /// Its refusals are what its crash looks like, and no finding.
    var refusesWhenCrashing: Bool { get }
}

/// Why the harness cannot go on.
public struct ChaosError: Error, CustomStringConvertible {
    /// One line for people.
    public let description: String
    /// An error in these words.
    public init(_ description: String) { self.description = description }
}

/// The broker as a process of its own, ended by SIGKILL.
public final class ProcessVictim: Victim {
    /// Where its data is.
    public let layout: DataLayout
    /// A process that is killed says nothing.
    public let refusesWhenCrashing = false
    private let path: String
    private let arguments: [String]
    private let log: FilePath
    private var port = 0
    private var process: ChildProcess?

    /// The program at `path`, with its data in `data` and what it says in `log`.
    public init(path: String, data: FilePath, log: FilePath, arguments: [String] = []) {
        self.path = path
        self.arguments = arguments
        self.log = log
        layout = DataLayout(data)
    }

    /// Runs it and waits for its `listening` line.
    public func start() throws -> Int {
        // A client on its way somewhere may have been given the port that was free for a moment.
        let deadline = ContinuousClock.now + .seconds(10)
        while true {
            do { return try startOnce() } catch {
                try? crash()
                guard port != 0, ContinuousClock.now < deadline else { throw error }
                usleep(50_000)
            }
        }
    }

    private func startOnce() throws -> Int {
        let started = try ChildProcess(
            [path, "--data-dir", layout.root.string, "--addr", "127.0.0.1:\(port)"] + arguments,
            error: .appending(log.string))
        process = started
        port = try readPort(started)
        return port
    }

    /// The first line says `listening ADDRESS:PORT`.
    private func readPort(_ process: ChildProcess) throws -> Int {
        var text: [UInt8] = []
        while !text.contains(UInt8(ascii: "\n")) {
            guard let more = process.readOutput(seconds: 60), !more.isEmpty else { break }
            text += more
        }
        let line = String(decoding: text.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        guard line.hasPrefix("listening "), let colon = line.lastIndex(of: ":"),
            let port = Int(line[line.index(after: colon)...])
        else {
            throw ChaosError("\(path) does not serve; its log is \(log)")
        }
        return port
    }

    /// SIGKILL.
    public func crash() throws {
        guard let process, process.isRunning else { return }
        process.signal(SIGKILL)
        process.wait()
    }

    /// How it ended, if it has.
    public var ending: String? {
        guard let process, !process.isRunning else { return nil }
        return process.wait().text
    }

    /// SIGTERM.
    public func stop() throws -> String? {
        guard let process, process.isRunning else { return "it had ended before" }
        process.signal(SIGTERM)
        let end = process.wait()
        return end == .exit(0) ? nil : "SIGTERM ended it with \(end.text)"
    }
}

extension ChildEnd {
    fileprivate var text: String {
        switch self {
        case .exit(let code): "exit \(code)"
        case .signal(let number): "signal \(number)"
        }
    }
}
