internal import DataDirectory
internal import Threads
internal import WAL

/// Positions, opening again, closing.
extension Topic {
    /// How long a write of offsets.json that failed waits before it is tried again, at most.
    private static let longestPause: UInt64 = 2_000_000_000
    /// How long it takes at most until something is opened or read once more.
    static let longestDelay: UInt64 = 30_000_000_000

    // MARK: Positions

    /// Something was acknowledged that is not in offsets.json.
    func offsetsChanged() {
        let isNews = state.withLock { state -> Bool in
            state.isDirty = true
            defer { state.isFlushing = true }
            return !state.isFlushing
        }
        if isNews { scheduleFlush(after: shared.options.offsetsDelay) }
    }

    private func scheduleFlush(after delay: UInt64, failures: Int = 0) {
        shared.timekeeper.at(MonotonicClock.now() + delay) { [weak self] in
            guard let self else { return }
            shared.keepers.run { self.flush(failures: failures) }
        }
    }

    private func flush(failures: Int) {
        do throws(OffsetsFileError) {
            try writeOffsets()
            let isAgain = state.withLock { state -> Bool in
                state.isFlushing = state.isDirty
                return state.isDirty
            }
            if isAgain { scheduleFlush(after: shared.options.offsetsDelay) }
        } catch {
            if failures == 0 { shared.events(.offsetsNotWritten(name, "\(error)")) }
            let pause = min(
                shared.options.offsetsDelay << UInt64(min(failures, 20)), Topic.longestPause)
            scheduleFlush(after: pause, failures: failures + 1)
        }
    }

    /// Writes offsets.json if anything has changed. Blocks; one thread at a time.
    func writeOffsets() throws(OffsetsFileError) {
        let consumers = state.withLock { state -> [Consumer]? in
            guard state.isDirty else { return nil }
            state.isDirty = false
            return Array(state.consumers.values)
        }
        guard let consumers else { return }
        // Of one that was damaged when it was opened, none can have acknowledged anything.
        var offsets = state.withLock { $0.offsets }
        for consumer in consumers {
            let acknowledgements = consumer.takeAcknowledgements()
            if acknowledgements.highest != nil { offsets[consumer.id] = acknowledgements }
        }
        do throws(OffsetsFileError) {
            let file = OffsetsFile(
                shared.layout.offsetsFile(of: name), storage: shared.layout.storage)
            try file.store(offsets)
        } catch {
            state.withLock { $0.isDirty = true }
            throw error
        }
        state.withLock { $0.offsets = offsets }
    }

    // MARK: Opening again

    /// Tries to open a topic whose log failed, and calls `done` when that has come to an end.
    func reopen(_ done: @escaping @Sendable () -> Void) {
        enum Next { case begin, join, over }
        let next = state.withLock { state -> Next in
            guard case .failed(_, _, let retryAt) = state.phase else { return .over }
            if state.reopening != nil {
                state.reopening?.append(done)
                return .join
            }
            guard MonotonicClock.now() >= retryAt else { return .over }
            state.reopening = [done]
            return .begin
        }
        switch next {
        case .over: done()
        case .join: break
        case .begin: shared.keepers.run { self.openAgain() }
        }
    }

    private func openAgain() {
        let failed = state.withLock { state -> (Log?, [Consumer])? in
            guard case .failed(let log, _, _) = state.phase else { return nil }
            return (log, Array(state.consumers.values))
        }
        // Found damaged meanwhile, or stopped: its log still has the directory.
        guard let (old, known) = failed else { return endReopening() }
        // It gives the directory up; what it could not make durable is cut off by the opening.
        try? old?.close()
        // Nor may a directory that somebody has emptied or put there be taken for this topic: ids
        // would be given out again.
        let durable = old?.durable
        let last = durable.flatMap { $0.isEmpty ? nil : MessageID($0.upperBound.rawValue - 1) }
        let highest = (known.map(\.highestAcknowledged) + [last]).compactMap(\.self).max()
        let opened = TopicOpening.open(name, shared, known: highest)
        let unwanted = state.withLock { state -> Log? in
            switch (opened, state.phase) {
            case (.success(let opened), .failed):
                state.phase = .open(opened.log)
                state.dedupe = opened.dedupe
                if state.consumers.isEmpty { state.offsets = opened.offsets }
                state.reopenDelay = shared.options.reopenDelay
            case (.failure(let error), .failed):
                state.reopenDelay = min(state.reopenDelay * 2, Topic.longestDelay)
                state.phase = Topic.phase(after: error, old, state.reopenDelay)
            case (.success(let opened), _): return opened.log
            case (.failure, _): break
            }
            return nil
        }
        // Behind the lock: it forces a mark to the disk.
        try? unwanted?.close()
        if case .failure(let error) = opened { shared.events(.topicClosed(name, "\(error)")) }
        endReopening()
        wakeSubscriptions()
    }

    private func endReopening() {
        for done in state.withLock({ $0.reopening.take() ?? [] }) { done() }
    }

    // MARK: Closing

    /// Closes the log. Publishes that wait are answered before. Blocks.
    func close() {
        do throws(LogError) {
            try log?.close()
        } catch {
            shared.events(.topicFailed(name, "\(error)"))
        }
        state.withLock { state in
            state.phase = .stopped
            state.ports = [:]
        }
    }
}
