/// Runs short work at a time: one thread, the earliest deadline first. The work must not block; what
/// does is handed to a pool.
final class Timekeeper: Sendable {
    private struct Entry {
        let deadline: UInt64
        let work: @Sendable () -> Void
    }

    private struct State {
        /// A binary heap by deadline.
        var heap: [Entry] = []
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
            Timekeeper.insert(Entry(deadline: deadline, work: work), &state.heap)
            return state.heap[0].deadline == deadline
        }
        if isFirst { state.signal() }
    }

    /// Forgets what waits and joins the thread.
    func shutdown() {
        state.withLock { state in
            state.isStopping = true
            state.heap = []
        }
        state.broadcast()
        thread.join()
    }

    private static func next(_ state: Monitor<State>) -> (@Sendable () -> Void)? {
        while true {
            let work = state.wait(
                deadline: { $0.heap.first?.deadline },
                until: { state -> (@Sendable () -> Void)?? in
                    if state.isStopping { return .some(nil) }
                    guard let first = state.heap.first, first.deadline <= MonotonicClock.now()
                    else { return nil }
                    return .some(removeFirst(&state.heap).work)
                })
            if let work { return work }
        }
    }

    private static func insert(_ entry: Entry, _ heap: inout [Entry]) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0, heap[child].deadline < heap[(child - 1) / 2].deadline {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private static func removeFirst(_ heap: inout [Entry]) -> Entry {
        heap.swapAt(0, heap.count - 1)
        let first = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].deadline < heap[least].deadline {
                least = child
            }
            if least == parent { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
