/// The work that waits for a committer.
struct CommitSchedule: Sendable {
    /// What is to be done at once, such as telling callers: no more than there are threads that are
    /// idle, since a committer that is busy might come to it only after many syncs.
    var handedOver = Fifo<@Sendable () -> Void>()
    /// Threads that wait for work.
    var idleThreads = 0
    /// Logs with something to commit, each at most once.
    var ready = Fifo<LogCore>()
    /// Logs to look at when they have been idle, if somebody still has them; by when that is.
    var idle = MinHeap<UInt64, WeakLog>()
    /// Logs that were taken up since one that was idle.
    private var takenSinceIdle = 0
    /// After so many, one that is idle has its turn: logs that always have something to commit
    /// would keep it from its mark.
    private static let logsPerIdle = 8
    /// Threads end when they have done what is scheduled.
    var isStopping = false
    /// No thread is left.
    private(set) var hasEnded = false

    /// Lets go of the logs that were to be looked at when idle, and takes none any more: they and
    /// their host would keep each other in memory for ever. Gives those that came too late.
    mutating func end() -> [LogCore] {
        hasEnded = true
        handedOver = Fifo()
        idle = MinHeap()
        var late: [LogCore] = []
        while let log = ready.popFirst() { late.append(log) }
        return late
    }

    /// What a committer does next.
    enum Work {
        case run(@Sendable () -> Void)
        /// Nothing yet.
        case wait
        /// Nothing any more: the thread may end.
        case end
    }

    mutating func takeWork(now: UInt64) -> Work {
        if let work = handedOver.popFirst() { return .run(work) }
        if takenSinceIdle >= CommitSchedule.logsPerIdle, let work = takeIdle(now) {
            return .run(work)
        }
        if let log = ready.popFirst() {
            takenSinceIdle += 1
            return .run { log.commitScheduled() }
        }
        if isStopping { return .end }
        return takeIdle(now).map { .run($0) } ?? .wait
    }

    private mutating func takeIdle(_ now: UInt64) -> (@Sendable () -> Void)? {
        guard let next = idle.first, next.key <= now else { return nil }
        idle.removeFirst()
        takenSinceIdle = 0
        return { next.item.log?.idleDeadlinePassed(now: now) }
    }
}
