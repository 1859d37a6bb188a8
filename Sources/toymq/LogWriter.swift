import Broker
import Logging
import NIOConcurrencyHelpers
import Threads
import ToolSupport

/// Writes log lines to standard error on a thread of its own, each with one write(2). Whoever logs
/// never waits: a pipe that nobody reads would hold event loops, committers and the thread that
/// takes signals. When too much is waiting, further lines are left out and counted.
final class LogWriter: Sendable {
    private struct State {
        var lines: [String] = []
        /// Bytes of `lines`.
        var bytes = 0
        /// Lines that had no room behind them.
        var leftOut = 0
        /// The thread was told.
        var isScheduled = false
    }

    /// What may wait; as much again is with the thread.
    private static let mostBytes = 1 << 20
    /// How long the end of the process waits for a reader, in nanoseconds.
    private static let longestEnd: UInt64 = 1_000_000_000

    private let format: LogFormat
    /// No `Mutex`: ThreadSanitizer takes what that guards for unguarded.
    private let state = NIOLockedValueBox(State())
    private let thread = WorkPool(threads: 1)

    init(_ format: LogFormat) { self.format = format }

    /// Has a line written behind all before.
    func put(_ line: String) {
        let isNews = state.withLockedValue { state in
            guard state.bytes + line.utf8.count <= LogWriter.mostBytes else {
                state.leftOut += 1
                return false
            }
            state.bytes += line.utf8.count
            state.lines.append(line)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if isNews { thread.run { self.write() } }
    }

    private func write() {
        let taken = state.withLockedValue { state in
            defer { state = State() }
            return state
        }
        for line in taken.lines { StandardStream.error.put(line) }
        guard taken.leftOut > 0 else { return }
        let count = taken.leftOut == 1 ? "1 line was" : "\(taken.leftOut) lines were"
        StandardStream.error.put(
            LineLogHandler.line(
                format, .warning, "\(count) left out: standard error was not read in time"))
    }

    /// Waits until everything is written, but not for long. Nothing is written any more of what
    /// comes behind. Blocks.
    func close() { _ = thread.finish(deadline: MonotonicClock.now() + LogWriter.longestEnd) }
}
