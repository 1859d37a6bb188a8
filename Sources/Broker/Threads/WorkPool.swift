internal import DequeModule
internal import Threads

/// A fixed number of threads for work that blocks on the disk. Whoever makes one shuts it down.
public final class WorkPool: Sendable {
    private struct State {
        var jobs: Deque<@Sendable () -> Void> = []
        var isStopping = false
        /// Threads that have not come to their end.
        var alive = 0
    }

    private let state: Monitor<State>
    private let threads: [OwnedThread]

    /// Starts `count` threads.
    public init(threads count: Int) {
        precondition(count > 0)
        let state = Monitor(State(alive: count))
        self.state = state
        threads = (0..<count).map { _ in
            OwnedThread {
                while let job = WorkPool.next(state) { job() }
                state.withLock { $0.alive -= 1 }
                state.broadcast()
            }
        }
    }

    /// Has a thread do `job`, in the order of the calls. Behind `shutdown` nothing is done any
    /// more.
    public func run(_ job: @escaping @Sendable () -> Void) {
        state.withLock { if !$0.isStopping { $0.jobs.append(job) } }
        state.signal()
    }

    /// Lets the threads finish what was given to them, and joins them; also behind or beside
    /// another call that does. Blocks.
    public func shutdown() {
        state.withLock { $0.isStopping = true }
        state.broadcast()
        for thread in threads { thread.join() }
    }

    /// Lets the threads finish what was given to them, and joins them; false, and they are not
    /// joined, if they have not when `deadline` (monotonic nanoseconds) has passed: for the end of
    /// a process, which does not wait for what may hang. Blocks.
    public func finish(deadline: UInt64) -> Bool {
        state.withLock { $0.isStopping = true }
        state.broadcast()
        let haveEnded = state.wait(
            deadline: { _ in deadline }, until: { $0.alive == 0 ? true : nil })
        guard haveEnded ?? false else { return false }
        for thread in threads { thread.join() }
        return true
    }

    /// Runs `job` for every item, spread over the threads, and waits until all are done. Blocks:
    /// not from one of the threads.
    public func forEach<Item: Sendable>(_ items: [Item], _ job: @escaping @Sendable (Item) -> Void)
    {
        let left = Monitor(items.count)
        for item in items {
            run {
                job(item)
                if left.withLock({
                    $0 -= 1; return $0 == 0
                }) {
                    left.broadcast()
                }
            }
        }
        _ = left.wait { $0 == 0 ? true : nil }
    }

    private static func next(_ state: Monitor<State>) -> (@Sendable () -> Void)? {
        let job = state.wait { state -> (@Sendable () -> Void)?? in
            if let job = state.jobs.popFirst() { return .some(job) }
            return state.isStopping ? .some(nil) : nil
        }
        return job
    }
}
