internal import HeapModule
internal import Threads

/// Runs short work at a time: one thread, the earliest deadline first. The work must not block;
/// what does is handed to a pool.
final class Timekeeper: Sendable {
    /// Entries are compared by their deadlines alone.
    private struct Entry: Comparable {
        let deadline: UInt64
        let work: @Sendable () -> Void

        static func < (a: Entry, b: Entry) -> Bool { a.deadline < b.deadline }
        static func == (a: Entry, b: Entry) -> Bool { a.deadline == b.deadline }
    }

    private struct State {
        var entries = Heap<Entry>()
        var isStopping = false
    }

    private let state: Monitor<State>
    private let thread: OwnedThread

    init() {
        let state = Monitor(State())
        self.state = state
        thread = OwnedThread {
            while let work = Timekeeper.next(state) { work() }
        }
    }

    /// Runs `work` soon after `deadline` (monotonic nanoseconds), unless it is shut down before.
    func at(_ deadline: UInt64, _ work: @escaping @Sendable () -> Void) {
        let isFirst = state.withLock { state in
            state.entries.insert(Entry(deadline: deadline, work: work))
            return state.entries.min?.deadline == deadline
        }
        if isFirst { state.signal() }
    }

    /// Forgets what waits and joins the thread.
    func shutdown() {
        state.withLock { state in
            state.isStopping = true
            state.entries = Heap()
        }
        state.broadcast()
        thread.join()
    }

    private static func next(_ state: Monitor<State>) -> (@Sendable () -> Void)? {
        while true {
            let work = state.wait(
                deadline: { $0.entries.min?.deadline },
                until: { state -> (@Sendable () -> Void)?? in
                    if state.isStopping { return .some(nil) }
                    guard let first = state.entries.min, first.deadline <= MonotonicClock.now()
                    else { return nil }
                    return .some(state.entries.removeMin().work)
                })
            if let work { return work }
        }
    }
}
