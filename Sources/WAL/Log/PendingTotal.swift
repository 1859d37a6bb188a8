internal import Synchronization
internal import Threads

/// The bytes that wait for the disk in all logs of a host together, and those who wait until they
/// are fewer: what one log may hold, ten thousand may not hold each on a disk that hangs.
final class PendingTotal: Sendable {
    /// Half of it has room for the largest frame: who is told that half is free is not refused.
    private let limit: Int
    private let total = Atomic<Int>(0)
    /// Each commit looks at this, and at the lock that all logs share only if somebody waits.
    private let isAwaited = Atomic<Bool>(false)
    private let waiting = Monitor<[@Sendable () -> Void]>([])

    init(limit: Int) { self.limit = max(limit, 2 * FrameLayout.largestFrame) }

    /// How many bytes wait.
    var bytes: Int { total.load(ordering: .relaxed) }

    /// Takes room for so many bytes; false if there is none. What is refused is never in the total:
    /// whoever gives room back meanwhile would take it for bytes that wait, and tell nobody.
    func take(_ count: Int) -> Bool {
        var now = total.load(ordering: .relaxed)
        while now + count <= limit {
            let (isTaken, found) = total.weakCompareExchange(
                expected: now, desired: now + count, ordering: .sequentiallyConsistent)
            if isTaken { return true }
            now = found
        }
        return false
    }

    /// Gives room back. `tellIfRoom` belongs behind it, where no lock is held.
    func give(_ count: Int) { total.wrappingSubtract(count, ordering: .sequentiallyConsistent) }

    /// Calls `wake` once half of the room is free; at once if it is.
    func whenRoom(_ wake: @escaping @Sendable () -> Void) {
        waiting.withLock { waiting in
            waiting.append(wake)
            isAwaited.store(true, ordering: .sequentiallyConsistent)
        }
        // Whoever gave room back before that was set has told nobody.
        tellIfRoom()
    }

    /// Tells those who wait, if half of the room is free.
    func tellIfRoom() {
        guard isAwaited.load(ordering: .sequentiallyConsistent),
            total.load(ordering: .sequentiallyConsistent) <= limit / 2
        else { return }
        tell()
    }

    /// Tells all who wait: one of them may stand before a log that takes nothing any more.
    func tell() {
        guard isAwaited.load(ordering: .sequentiallyConsistent) else { return }
        let told = waiting.withLock { waiting in
            isAwaited.store(false, ordering: .sequentiallyConsistent)
            defer { waiting = [] }
            return waiting
        }
        for wake in told { wake() }
    }
}
