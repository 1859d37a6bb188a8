internal import Synchronization
internal import Threads

/// A log that whoever opened it may have let go of.
struct WeakLog: Sendable { weak var log: LogCore? }

/// Which logs hold descriptors.
struct LogRegistry: Sendable {
    var holding: [ObjectIdentifier: WeakLog] = [:]

    mutating func insert(_ log: LogCore) { holding[ObjectIdentifier(log)] = WeakLog(log: log) }

    /// Logs that were let go of without being closed hold nothing any more. Gives those that are
    /// there: the last reference to one may be among these, and with it goes a file and a lock, for
    /// which whoever wants the registry's lock must not wait.
    mutating func forgetGone() -> [LogCore] {
        let there = logs(but: nil)
        holding = Dictionary(
            uniqueKeysWithValues: there.map { (ObjectIdentifier($0), WeakLog(log: $0)) })
        return there
    }

    mutating func remove(_ log: LogCore) { holding[ObjectIdentifier(log)] = nil }

    func logs(but log: LogCore?) -> [LogCore] {
        holding.values.compactMap(\.log).filter { $0 !== log }
    }
}

extension LogHost {
    /// Notes that a log has given up its descriptors.
    func gaveDescriptors(_ log: LogCore) {
        registry.withLock { $0.remove(log) }
        givenBack.add(1, ordering: .releasing)
    }

    /// Notes that a log holds descriptors, and has the longest idle ones give up theirs if that
    /// makes too many.
    func tookDescriptors(_ log: LogCore) {
        let limit = max(options.openLogs, 1)
        // The logs that it gives are let go of behind the lock.
        let (excess, _) = registry.withLock { registry in
            registry.insert(log)
            let there = registry.holding.count > limit ? registry.forgetGone() : []
            return (registry.holding.count - limit, there)
        }
        // Several at once, so that looking for the oldest is paid for seldom.
        if excess > 0 { park(excess + limit / 16, but: log) }
    }

    /// Runs a call that opens something; when the process or the system has no descriptor left,
    /// idle logs give up theirs and it is tried again.
    func withDescriptors<R>(
        for log: LogCore?, _ call: () throws(DiskError) -> R
    ) throws(DiskError) -> R {
        try makingRoom(but: log, { $0 }, call)
    }

    /// The same for a call that fails with something else; `cause` is the system call behind it, if
    /// there is one. What the call did until then has to be undone.
    ///
    /// Several threads may find none at once, and what one of them frees another one may take: so
    /// it is tried again as long as anything was given back since, by whomever, and not for ever.
    func makingRoom<R, Failure: Error>(
        but log: LogCore?, _ cause: (Failure) -> DiskError?, _ call: () throws(Failure) -> R
    ) throws(Failure) -> R {
        var attempts = 16
        while true {
            let before = givenBack.load(ordering: .acquiring)
            do {
                return try call()
            } catch {
                attempts -= 1
                guard attempts > 0, cause(error)?.isOutOfDescriptors ?? false,
                    park(64, but: log) > 0 || givenBack.load(ordering: .acquiring) != before
                else { throw error }
            }
        }
    }

    /// Has so many logs give up their descriptors, those that have been idle for longest; gives how
    /// many did.
    @discardableResult
    private func park(_ count: Int, but log: LogCore?) -> Int {
        let idleLongest = registry.withLock { $0.logs(but: log) }
            .map { (log: $0, lastCommit: $0.state.withLock(\.lastCommit)) }
            .sorted { $0.lastCommit < $1.lastCommit }
        var parked = 0
        for candidate in idleLongest where candidate.log.park() {
            parked += 1
            if parked == count { break }
        }
        return parked
    }
}
