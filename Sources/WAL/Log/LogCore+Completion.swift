internal import Threads

/// What is left to do when a commit has ended: its callers are told, and who waits is woken.
struct Ending {
    var batches: [Batch]
    /// Nil: durable.
    var failure: LogError?
    /// Watchers, and those who wait for room.
    var wakes: [@Sendable () -> Void]

    func tell() {
        for batch in batches { batch.complete(failure) }
        for wake in wakes { wake() }
    }
}

/// Completing callers, in the order of the ids: one thread at a time does, which is not always the
/// one that has the writer. Telling many takes a part of a sync's time, so a committer that finds
/// more to commit lets an idle thread do it and goes on.
extension LogCore {
    /// So many tasks are told by jobs of the pool that they run on, and not here.
    static let tasksWorthJobs = 8
    /// How many commits a teller may be behind before committers wait for it.
    private static let endingsBehind = 4

    /// Has the callers of a commit told, before this returns or soon. The caller has the writer.
    func complete(_ ending: Ending, hasMore: Bool) {
        let isTeller = state.withLock { state in
            state.endings.append(ending)
            defer { state.isTelling = true }
            return !state.isTelling
        }
        guard isTeller else {
            // Whoever tells goes on with this one.
            _ = state.wait { $0.endings.count <= LogCore.endingsBehind ? true : nil }
            return
        }
        if hasMore {
            // A thread needs a while to wake: the first quarter is told meanwhile, so that those
            // callers can join the next commit.
            if ending.failure == nil, let batch = ending.batches.first {
                batch.complete(nil, callers: batch.callersLeft / 4)
            }
            if host.handOverTelling(self) { return }
        }
        tellAll()
    }

    /// Keeps the tasks of a commit until jobs have come to them: closing does not wait for those.
    func remember(_ tasks: WaitingTasks, _ state: inout State) {
        while let earlier = state.tasks.first, earlier.left == 0 { _ = state.tasks.popFirst() }
        state.tasks.append(tasks)
    }

    /// All who append were in this commit, and nothing waits. Left to themselves they would stay
    /// together, and the disk idle while they are told. So the committer tells, too, until a
    /// quarter of them has come back, and goes on with those: from then on one half appends while
    /// the other's commit is forced.
    func tellUntilMoreWaits(_ tasks: WaitingTasks) {
        while tasks.tellOne() {
            let waiting = state.withLock { Int($0.pending.last?.frames ?? 0) }
            if waiting >= tasks.count / 4 { return }
        }
    }

    /// Tells what there is to tell, until there is no more.
    func tellAll() {
        while true {
            let (next, isAwaited) = state.withLock { state -> (Ending?, Bool) in
                let next = state.endings.popFirst()
                if next == nil { state.isTelling = false }
                let isClosing = if case .open = state.phase { false } else { true }
                return (
                    next,
                    next == nil ? isClosing : state.endings.count == LogCore.endingsBehind
                )
            }
            if isAwaited { state.broadcast() }
            guard let next else { return }
            next.tell()
            if next.failure == nil, let batch = next.batches.first {
                state.withLock { keepSpare(batch, &$0) }
            }
        }
    }
}
