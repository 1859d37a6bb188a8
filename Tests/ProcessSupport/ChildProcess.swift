import Glibc
import Threads
import WAL

/// Where one of a child's three standard streams leads.
public enum ChildStream {
    /// /dev/null.
    case null
    /// The file at this path: read from its beginning, or emptied and written.
    case file(String)
    /// The file at this path, written to behind what it holds.
    case appending(String)
    /// This descriptor, which stays open and stays the caller's.
    case descriptor(Int32)
    /// A pipe; this process has the other end.
    case pipe
    /// What this process has.
    case inherited
}

/// How a child ended.
public enum ChildEnd: Equatable, Sendable {
    /// By itself, with this code.
    case exit(Int32)
    /// By this signal.
    case signal(Int32)

    /// The exit code, or the negative number of the signal.
    public var code: Int32 {
        switch self {
        case .exit(let code): code
        case .signal(let number): -number
        }
    }
}

/// A child that was not started, and why.
public struct ChildError: Error, CustomStringConvertible {
    /// One line for people.
    public let description: String
}

/// A program that a test runs.
///
/// Foundation's `Process` learns that a child has ended when all copies of a socket are closed, and
/// a child that another thread starts in the same moment may inherit one: the end of one test then
/// waits for the end of another, for ever where they wait for each other. This one asks waitpid(2),
/// and a child has no descriptor but its three streams.
///
/// May be used from any thread. A child that nobody has waited for is killed with its object.
public final class ChildProcess: Sendable {
    /// Its number.
    public let pid: Int32
    /// The end of it, once somebody has seen it.
    private let ended = Monitor<ChildEnd?>(nil)
    /// This process's ends of pipes.
    private let ends: ParentEnds

    /// Runs the program `words[0]` with the rest as its arguments, in `directory` if that is given
    /// and with this environment in place of its parent's.
    public init(
        _ words: [String], environment: [String: String]? = nil, directory: String? = nil,
        input: ChildStream = .null, output: ChildStream = .pipe, error: ChildStream = .null
    ) throws(ChildError) {
        var actions = SpawnActions()
        defer { actions.destroy() }
        // The directory comes last: paths of streams are this process's.
        let parent = [
            try actions.add(input, as: STDIN_FILENO), try actions.add(output, as: STDOUT_FILENO),
            try actions.add(error, as: STDERR_FILENO),
        ]
        ends = ParentEnds(input: parent[0], output: parent[1], error: parent[2])
        pid = try actions.spawn(words, environment, directory)
    }

    deinit {
        if isRunning {
            signal(SIGKILL)
            wait()
        }
        ends.close()
    }

    /// Sends it a signal, unless it is known to have ended: its number may be another's by then.
    public func signal(_ number: Int32) {
        ended.withLock { if $0 == nil { kill(pid, number) } }
    }

    /// Whether it has not ended yet.
    public var isRunning: Bool {
        ended.withLock { ended in
            if ended == nil { ended = reap(WNOHANG) }
            return ended == nil
        }
    }

    /// Waits for its end. One that has not ended after `seconds` is killed: it would keep the tests
    /// from ending, too.
    @discardableResult
    public func wait(seconds: Double = 240) -> ChildEnd {
        // Not in waitpid: that would keep the lock, or the number, from who wants to kill it.
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(seconds)
        var pause: useconds_t = 100
        while isRunning, clock.now < deadline {
            usleep(pause)
            pause = min(pause * 2, 10_000)
        }
        return ended.withLock { ended in
            if let ended { return ended }
            kill(pid, SIGKILL)
            let end = reap(0) ?? .signal(SIGKILL)
            ended = end
            return end
        }
    }

    /// Waits for what the process does and nobody announces; false if it ends or `seconds` pass
    /// first.
    public func comes(_ seconds: Double = 60, _ condition: () -> Bool) -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while !condition() {
            // Its last act may have been what is waited for.
            guard isRunning, ContinuousClock.now < deadline else { return condition() }
            usleep(1000)
        }
        return true
    }

    private func reap(_ options: Int32) -> ChildEnd? {
        var status: Int32 = 0
        while true {
            let gone = waitpid(pid, &status, options)
            if gone == pid { break }
            if gone == 0 { return nil }
            // Somebody else has waited for it: nothing is known but that it is gone.
            if errno != EINTR { return .signal(0) }
        }
        let number = status & 0x7F
        return number == 0 ? .exit(status >> 8 & 0xFF) : .signal(number)
    }

    // MARK: Streams

    /// What it has printed since the last call; waits for at least one byte. Empty at the end; nil
    /// if it printed nothing for so many seconds.
    public func readOutput(seconds: Int32) -> [UInt8]? {
        guard let end = ends.output else { return [] }
        var poller = pollfd(fd: end, events: Int16(POLLIN), revents: 0)
        return poll(&poller, 1, seconds * 1000) == 0 ? nil : ends.read(end)
    }

    /// What it has printed since the last call; waits for at least one byte. Empty at the end.
    public func readOutput() -> [UInt8] { ends.read(ends.output) }

    /// All that it says on standard error until its end.
    public func readErrorToEnd() -> [UInt8] { ends.readToEnd(ends.error) }

    /// Ends its standard input.
    public func endInput() { ends.closeInput() }
}

/// The parent's ends of a child's pipes, nil where there is none.
private final class ParentEnds: Sendable {
    private let input: Monitor<Int32?>
    let output: Int32?
    let error: Int32?

    init(input: Int32?, output: Int32?, error: Int32?) {
        self.input = Monitor(input)
        self.output = output
        self.error = error
    }

    func closeInput() {
        input.withLock { if let end = $0.take() { _ = Glibc.close(end) } }
    }

    func close() {
        closeInput()
        for end in [output, error] { if let end { _ = Glibc.close(end) } }
    }

    func read(_ end: Int32?) -> [UInt8] {
        guard let end else { return [] }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(end, &bytes, bytes.count)
            if count >= 0 { return Array(bytes[..<count]) }
            if errno != EINTR { return [] }
        }
    }

    func readToEnd(_ end: Int32?) -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let more = read(end)
            if more.isEmpty { return all }
            all += more
        }
    }
}
