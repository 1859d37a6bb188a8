internal import Synchronization
internal import SystemPackage
internal import Threads

/// What the logs of a process share: the disk, a fixed number of threads that commit, the timer for
/// idle marks, and a budget of descriptors. Ten thousand logs need no more threads than one.
///
/// Whoever makes a host shuts it down, after closing its logs. All methods may be called from any
/// thread; `shutdown` blocks.
public final class LogHost: Sendable {
    /// How a host behaves.
    public struct Options: Sendable {
        /// Threads that commit, 1 to 64. A commit mostly waits for the disk: more threads let
        /// more logs wait at once.
        public var committers = 2
        /// After this long without an append a log gets a mark, in nanoseconds.
        public var idleNanoseconds: UInt64 = 1_000_000_000
        /// For so long at most a log that is appended to does not look whether its file still
        /// stands where it was opened, in nanoseconds. Only tests choose it.
        package var placeNanoseconds: UInt64 = 1_000_000_000
        /// How many bytes of all logs together may wait for the disk before appends are refused or
        /// delayed; less than 8 MiB count as 8 MiB. Beside what one log may hold
        /// (`LogOptions.pendingBytes`): a disk that hangs is every log's.
        public var pendingBytes: Int = 256 << 20
        /// How many logs may hold descriptors (two each, three once they are read) before those
        /// that were idle for longest give theirs up; less than 1 counts as 1. By default a fourth
        /// of the descriptors that the process may have now, 4,096 at most. A log gives up none
        /// while something of it waits for the disk: where the descriptors run out first, appends
        /// to others fail as `LogError.notWritten`.
        public var openLogs = min(4_096, System.descriptorLimit / 4)
        /// Whether a thread that has nothing to commit helps to check a long log while that is
        /// opened. Otherwise opening one takes one core, and somewhat less than twice as long.
        public var helpsOpening = true
        /// The wall clock, nanoseconds since 1970.
        public var clock: @Sendable () -> UInt64 = { System.realtime() }
        /// Where the positions of a new log begin. Nobody outside may be able to tell: only tests
        /// that have to come out the same each time choose it.
        package var startPosition: @Sendable () -> UInt64 = {
            UInt64.random(in: 0..<FrameLayout.firstPositionLimit)
        }

        /// The defaults.
        public init() {}
    }

    /// Where its logs are kept.
    public let storage: Storage
    /// How it behaves.
    public let options: Options
    let queue = Monitor(CommitSchedule())
    let registry = Monitor(LogRegistry())
    /// How often a log has given up its descriptors. Beside the registry: each commit looks at it,
    /// and a lock that all logs share is not for that.
    let givenBack = Atomic<UInt64>(0)
    let closingGate = ClosingGate()
    let pending: PendingTotal
    private let threads: [OwnedThread]

    var disk: any Disk { storage.disk }

    /// Makes a host and starts its threads.
    public convenience init(storage: Storage = .local, options: Options = Options()) {
        precondition((1...64).contains(options.committers), "1 to 64 committers")
        self.init(storage: storage, options: options, threads: options.committers)
    }

    /// With 0 threads nothing is committed but by `step`: tests decide then what happens when.
    package init(storage: Storage, options: Options, threads: Int) {
        self.storage = storage
        self.options = options
        pending = PendingTotal(limit: options.pendingBytes)
        let queue = queue
        self.threads = (0..<threads).map { _ in
            OwnedThread {
                while let work = LogHost.nextWork(queue) { work() }
            }
        }
    }

    /// Waits for what is scheduled, then ends and joins the threads. Close the logs first: what
    /// they are given afterwards fails as `closed`, unless its caller commits it.
    public func shutdown() {
        queue.withLock { $0.isStopping = true }
        queue.broadcast()
        for thread in threads { thread.join() }
        for log in queue.withLock({ $0.end() }) { log.hostHasEnded() }
        pending.tell()
    }

    /// Has a committer take up a log that has something to commit.
    func schedule(_ log: LogCore) {
        let hasEnded = queue.withLock { schedule in
            if !schedule.hasEnded { schedule.ready.append(log) }
            return schedule.hasEnded
        }
        if hasEnded { return log.hostHasEnded() }
        queue.signal()
    }

    /// Has a thread that is idle tell the callers of commits that have ended; false if none is.
    func handOverTelling(_ log: LogCore) -> Bool { handOver { log.tellAll() } }

    /// Has a thread that is idle do a short piece of work; false if none is.
    func handOver(_ work: @escaping @Sendable () -> Void) -> Bool {
        let isTaken = queue.withLock { schedule in
            guard schedule.handedOver.count < schedule.idleThreads else { return false }
            schedule.handedOver.append(work)
            return true
        }
        if isTaken { queue.signal() }
        return isTaken
    }

    /// Has a committer look whether the log is still idle when `deadline` has passed.
    func watchIdle(_ log: LogCore, deadline: UInt64) {
        let isFirst = queue.withLock { schedule in
            if schedule.hasEnded { return false }
            schedule.idle.insert(WeakLog(log: log), deadline)
            return schedule.idle.first?.key == deadline
        }
        // Only the first deadline matters to a thread that waits.
        if isFirst { queue.signal() }
    }

    /// Does one piece of scheduled work on the calling thread; false if there is none. `now`
    /// decides which idle logs are due: all of them, or with 0 none.
    package func step(now: UInt64 = .max) -> Bool {
        guard case .run(let work) = queue.withLock({ $0.takeWork(now: now) }) else { return false }
        work()
        return true
    }

    /// Waits for something to do; nil when the thread may end.
    private static func nextWork(_ queue: Monitor<CommitSchedule>) -> (@Sendable () -> Void)? {
        var isIdle = false
        while true {
            let next = queue.wait(
                deadline: { $0.idle.first?.key },
                until: { schedule -> CommitSchedule.Work? in
                    if isIdle { schedule.idleThreads -= 1 }
                    let next = schedule.takeWork(now: MonotonicClock.now())
                    isIdle = if case .wait = next { true } else { false }
                    if isIdle { schedule.idleThreads += 1 }
                    return isIdle ? nil : next
                })
            switch next {
            case .run(let work): return work
            case .end: return nil
            // The wait has ended, but nothing is due yet.
            case .wait, nil: break
            }
        }
    }
}
