public import DataDirectory
import Glibc
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
    private var pid: pid_t?
    private var status: Int32?

    /// The program at `path`, with its data in `data` and what it says in `log`.
    public init(path: String, data: FilePath, log: FilePath, arguments: [String] = []) {
        self.path = path
        self.arguments = arguments
        self.log = log
        layout = DataLayout(data)
    }

    deinit { if pid != nil, status == nil { try? crash() } }

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
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw ChaosError("no pipe: \(lastError())") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        pid = try spawn(output: ends[1])
        status = nil
        close(ends[1])
        port = try readPort(ends[0])
        return port
    }

    private func spawn(output: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        // Sockets of this process are not closed on exec by those who made them: a broker that had
        // inherited a listening one would keep its port from everybody.
        for descriptor in STDERR_FILENO + 1..<ProcessVictim.descriptorEnd {
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }
        posix_spawn_file_actions_addopen(
            &actions, STDERR_FILENO, log.string, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        let words =
            [path, "--data-dir", layout.root.string, "--addr", "127.0.0.1:\(port)"] + arguments
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        var pid = pid_t()
        let code = posix_spawn(&pid, path, &actions, nil, pointers, environ)
        guard code == 0 else {
            throw ChaosError("cannot run \(path): \(String(cString: strerror(code)))")
        }
        return pid
    }

    /// Above all descriptors that are open, and those that other threads may open meanwhile.
    private static var descriptorEnd: Int32 {
        var highest: Int32 = 64
        guard let directory = opendir("/proc/self/fd") else { return 1024 }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            highest = max(highest, Int32(name) ?? 0)
        }
        return highest + 64
    }

    /// The first line says `listening ADDRESS:PORT`.
    private func readPort(_ descriptor: Int32) throws -> Int {
        var text: [UInt8] = []
        let deadline = ContinuousClock.now + .seconds(60)
        while !text.contains(UInt8(ascii: "\n")) {
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&poller, 1, 1000)
            guard ContinuousClock.now < deadline else { break }
            guard ready > 0 else { continue }
            var bytes = [UInt8](repeating: 0, count: 256)
            let count = read(descriptor, &bytes, bytes.count)
            guard count > 0 else { break }
            text += bytes[..<count]
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
        guard let pid, status == nil else { return }
        kill(pid, SIGKILL)
        wait()
    }

    /// How it ended, if it has.
    public var ending: String? {
        guard let pid, status == nil else { return status.map { ProcessVictim.text($0) } }
        var number: Int32 = 0
        guard waitpid(pid, &number, WNOHANG) == pid else { return nil }
        status = number
        return ProcessVictim.text(number)
    }

    /// SIGTERM.
    public func stop() throws -> String? {
        guard let pid, status == nil else { return "it had ended before" }
        kill(pid, SIGTERM)
        wait()
        return status == 0 ? nil : "SIGTERM ended it with \(ProcessVictim.text(status ?? 0))"
    }

    private func wait() {
        guard let pid else { return }
        var number: Int32 = 0
        while waitpid(pid, &number, 0) < 0, errno == EINTR {}
        status = number
    }

    private static func text(_ status: Int32) -> String {
        status & 0x7F == 0 ? "exit \(status >> 8 & 0xFF)" : "signal \(status & 0x7F)"
    }
}

func lastError() -> String { String(cString: strerror(errno)) }
