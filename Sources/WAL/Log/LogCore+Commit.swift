internal import SystemPackage
internal import Threads

/// Committing. One thread at a time has a log's writer; it commits what waits, batch by batch, and
/// takes the next one itself, so that the disk is not idle while threads wake each other.
extension LogCore {
    /// A batch that was taken out together with the writer.
    private struct TakenBatch {
        let batch: Batch
        var writer: SegmentWriter
        /// How writing it went; nil if it has not been tried.
        var written: Result<Void, SegmentWriter.Failure>?

        init(_ batch: Batch, _ writer: SegmentWriter) {
            self.batch = batch
            self.writer = writer
        }
    }

    private enum CommitEnd {
        /// What to commit next, if the caller goes on and that could be taken already.
        case next(TakenBatch)
        /// Nothing was taken: the writer is to be put back.
        case idle(SegmentWriter)
        /// Whoever was in it has been told, and the writer put back.
        case failed
    }

    /// How many commits a committer makes for one log before it lets others have a turn.
    private static let commitsPerTurn = 64
    /// Of how many bytes a batch may be that is written before others are told: that they hear of
    /// theirs is not to take longer than waking a thread does.
    private static let earlyBytes = 64 << 10

    /// A committer has been told that there is something to commit.
    func commitScheduled() {
        var next = takeBatch()
        for turn in 1...LogCore.commitsPerTurn {
            guard let taken = next else { return }
            let goesOn = turn < LogCore.commitsPerTurn
            switch commit(taken, takesNext: goesOn) {
            case .next(let taken): next = taken
            case .idle(let writer) where goesOn: next = putBackOrTake(writer)
            case .idle(let writer): putBack(writer)
            // Not on the last turn: what is taken has to be committed.
            case .failed: next = goesOn ? takeBatch() : nil
            }
        }
        host.schedule(self)
    }

    /// Commits the oldest batch. False if there is none, or somebody else has the writer and will
    /// look again when done.
    func commitNext() -> Bool {
        guard let taken = takeBatch() else { return false }
        if case .idle(let writer) = commit(taken, takesNext: false) { putBack(writer) }
        return true
    }

    /// Commits one batch on the calling thread, which has found that nobody is at work.
    func commitHere() {
        guard commitNext() else { return }
        let (isDone, idleFrom) = state.withLock { state -> (Bool, UInt64?) in
            guard state.pending.isEmpty else { return (false, nil) }
            state.isScheduled = false
            return (true, startIdleWatch(&state))
        }
        if let idleFrom { host.watchIdle(self, deadline: idleFrom) }
        if !isDone { host.schedule(self) }
    }

    /// The next batch for the one who has the writer. Without one, or if somebody waits for the
    /// writer, it goes back.
    private func putBackOrTake(_ writer: SegmentWriter) -> TakenBatch? {
        let batch = state.withLock { popForWriter(&$0) }
        if let batch { return TakenBatch(batch, writer) }
        putBack(writer)
        return takeBatch()
    }

    /// The next batch for the one who has the writer, unless others wait for that.
    private func popForWriter(_ state: inout State) -> Batch? {
        guard case .open = state.phase, !state.isDropping else { return nil }
        return state.pending.popFirst()
    }

    /// The oldest batch with the writer; without one, the log is not scheduled any more.
    private func takeBatch() -> TakenBatch? {
        let (taken, idleFrom) = state.withLock { state -> (TakenBatch?, UInt64?) in
            guard let writer = state.writer else { return (nil, nil) }
            guard let batch = state.pending.popFirst() else {
                state.isScheduled = false
                return (nil, startIdleWatch(&state))
            }
            state.writer = nil
            return (TakenBatch(batch, writer), nil)
        }
        if let idleFrom { host.watchIdle(self, deadline: idleFrom) }
        return taken
    }

    /// When the log will have been idle for long enough; an idle time may be endless.
    private func idleDeadline(_ state: borrowing State) -> UInt64 {
        let sum = state.lastCommit.addingReportingOverflow(host.options.idleNanoseconds)
        return sum.overflow ? .max : sum.partialValue
    }

    private func startIdleWatch(_ state: inout State) -> UInt64? {
        guard !state.isWatchedForIdle, case .open = state.phase, let writer = state.writer,
            !writer.endsInMark, !writer.needsSegment, !state.markFailed
        else { return nil }
        state.isWatchedForIdle = true
        return idleDeadline(state)
    }

    /// Writes, forces, publishes and completes a batch that was taken out with the writer.
    private func commit(_ taken: TakenBatch, takesNext: Bool) -> CommitEnd {
        var taken = taken
        do {
            try write(&taken)
            try taken.writer.force(taken.batch)
        } catch {
            fail(taken.batch, taken.writer, error)
            return .failed
        }
        let next = publishAndTell(taken.batch, taken.writer, takesNext: takesNext)
        return next.map { .next($0) } ?? .idle(taken.writer)
    }

    /// What follows a batch that has been forced. Gives what to commit next, if that was taken.
    private func publishAndTell(
        _ batch: Batch, _ writer: SegmentWriter, takesNext: Bool
    ) -> TakenBatch? {
        // From here to the next write, an early one if there is one, the disk is idle: what is
        // needed for telling the callers was made by those who appended.
        let now = MonotonicClock.now()
        let tasks = batch.takeTasks(atLeast: LogCore.tasksWorthJobs)
        let hasOthers = batch.callersLeft > 0
        let (wakes, hasMore, early) = state.withLock { state in
            publish(batch, writer, &state)
            state.lastCommit = now
            state.markFailed = false
            if let tasks { remember(tasks, &state) }
            if !hasOthers { keepSpare(batch, &state) }
            let wakes = takeWakes(&state)
            let hasMore = !state.pending.isEmpty
            let early = takesNext && tasks != nil && !hasOthers ? popForWriter(&state) : nil
            return (wakes, hasMore, early)
        }
        var next = early.map { writtenEarly($0, writer) }
        tasks?.startJobs()
        host.pending.tellIfRoom()
        guard !hasOthers else {
            complete(Ending(batches: [batch], failure: nil, wakes: wakes), hasMore: hasMore)
            return nil
        }
        // Those who are told here may append, and join the next one.
        for wake in wakes { wake() }
        if takesNext, next == nil {
            next = state.withLock { popForWriter(&$0) }.map { TakenBatch($0, writer) }
        }
        if let tasks, !hasMore, next == nil { tellUntilMoreWaits(tasks) }
        return next
    }

    /// Writes what is committed next and has the disk begin with it, so that it is not idle while
    /// threads are woken for those in the commit before. Whether that failed is told when its turn
    /// has come.
    private func writtenEarly(_ batch: Batch, _ writer: SegmentWriter) -> TakenBatch {
        var taken = TakenBatch(batch, writer)
        // Beginning a segment takes syncs, for which those who are to be told would wait.
        guard !batch.opensSegment, batch.byteCount <= LogCore.earlyBytes else { return taken }
        do throws(SegmentWriter.Failure) {
            try write(&taken)
            try taken.writer.startWriting(batch)
        } catch {
            taken.written = .failure(error)
        }
        return taken
    }

    /// Writes a batch, unless that has been tried.
    private func write(_ taken: inout TakenBatch) throws(SegmentWriter.Failure) {
        if let written = taken.written { return try written.get() }
        try unparkIfNeeded(&taken.writer)
        try taken.writer.checkPlace(every: host.options.placeNanoseconds)
        beforeWrite(taken.batch)
        // Sealing needs descriptors; where none is left, idle logs give theirs up.
        try host.makingRoom(
            but: self, { if case .notWritten(let cause) = $0 { cause } else { nil } }
        ) { () throws(SegmentWriter.Failure) in
            try taken.writer.write(taken.batch)
        }
        taken.written = .success(())
    }

    /// Lets others commit, or close.
    func putBack(_ writer: SegmentWriter) {
        let isAwaited = state.withLock { take(back: writer, &$0) }
        if isAwaited { state.broadcast() }
    }

    /// True if those who wait for the writer have to be told.
    func take(back writer: SegmentWriter, _ state: inout State) -> Bool {
        state.writer = writer
        if case .open = state.phase { return state.isDropping }
        return true
    }

    /// A commit failed: it and everything staged behind it, whose places relied on it, fail alike.
    func fail(
        _ batch: Batch, _ writer: SegmentWriter, _ failure: SegmentWriter.Failure
    ) {
        switch failure {
        case .notWritten(let cause): failAll(batch, writer, .notWritten(cause))
        case .final(let cause): failAll(batch, writer, .poisoned(cause))
        case .takenOver: failAll(batch, writer, .takenOver(directory))
        }
    }

    private func failAll(_ batch: Batch, _ after: SegmentWriter, _ error: LogError) {
        if case .poisoned = error { rememberFailedEnd(after) }
        let (failed, wakes) = state.withLock { state in
            if case .poisoned(let cause) = error { state.phase = .poisoned(cause) }
            if case .takenOver = error { state.phase = .takenOver }
            // Somebody has put a file there: the segment grows, and is sealed after a restart.
            if case .notWritten(let cause) = error, cause.operation == .rename,
                cause.errno == .fileExists
            {
                state.cannotSeal = true
            }
            var failed = [batch]
            while let next = state.pending.popFirst() { failed.append(next) }
            reset(&state, to: after)
            return (failed, takeWakes(&state))
        }
        complete(Ending(batches: failed, failure: error, wakes: wakes), hasMore: false)
        host.pending.tell()
        putBack(after)
    }

    /// No thread is left that would commit: what is staged is told so, and nothing more is taken,
    /// or a caller that tries again would never come to an end.
    func hostHasEnded() {
        state.withLock { $0.isForsaken = true }
        while let taken = takeBatch() { failAll(taken.batch, taken.writer, .closed) }
    }

    /// Staging goes on behind the last durable byte. Ids and positions of failed appends are given
    /// out again: nobody was told of them and no reader has seen them.
    private func reset(_ state: inout State, to writer: SegmentWriter) {
        state.nextID = state.durableNextID
        // A mark that nothing forced is still there if the file could not be opened to write to it.
        state.nextPosition = writer.segment.base &+ writer.writtenEnd
        state.segmentFill = writer.writtenEnd
        state.needsSegment = writer.needsSegment
        host.pending.give(state.pendingBytes)
        state.pendingBytes = 0
        if writer.segment !== state.segments.last?.segment {
            // The commit had sealed a segment and made the next before it failed.
            state.segments.append(
                ReadableSegment(segment: writer.segment, end: writer.durableEnd))
            state.durablePosition = writer.durablePosition
        }
    }

    func rememberFailedEnd(_ writer: SegmentWriter) {
        guard let status = try? writer.file?.status() else { return }
        host.storage.failedEnds.note(status, end: writer.durableEnd)
    }

    // MARK: Idle logs

    /// A mark takes its place in the file before anything that is staged from now on.
    func makeRoomForMark(_ state: inout State) {
        state.nextPosition &+= UInt64(FrameLayout.smallestFrame)
        state.segmentFill += UInt64(FrameLayout.smallestFrame)
    }

    /// The log has just been opened, and may have been killed before it had a mark: if it is left
    /// alone, it gets that now.
    func watchFromOpening() {
        let idleFrom = state.withLock { state in
            state.lastCommit = MonotonicClock.now()
            return startIdleWatch(&state)
        }
        if let idleFrom { host.watchIdle(self, deadline: idleFrom) }
    }

    /// The log was idle when the watch began. If it still is, it gets a mark, so that its last
    /// commit has a witness.
    func idleDeadlinePassed(now: UInt64) {
        enum Next { case mark(SegmentWriter, UInt64, UInt64), again(UInt64), nothing }
        let next = state.withLock { state -> Next in
            guard case .open = state.phase else { return .nothing }
            let deadline = idleDeadline(state)
            guard deadline <= now else { return .again(deadline) }
            state.isWatchedForIdle = false
            // Whoever has the writer, or commits what waits, begins a new watch when done.
            guard let writer = state.writer, state.pending.isEmpty else { return .nothing }
            guard !writer.endsInMark, writer.file != nil, !writer.needsSegment else {
                return .nothing
            }
            state.writer = nil
            makeRoomForMark(&state)
            state.isScheduled = true
            return .mark(writer, state.nextID, state.lastTimestamp)
        }
        switch next {
        case .nothing: break
        case .again(let deadline): host.watchIdle(self, deadline: deadline)
        case .mark(var writer, let id, let timestamp):
            do throws(SegmentWriter.Failure) {
                try writer.writeMark(id: id, timestamp: timestamp)
                // Where that cannot be told, the next commit asks before it writes.
                if (try? writer.isInPlace()) == false { throw .takenOver }
                putBack(writer)
            } catch {
                state.withLock { $0.markFailed = true }
                fail(Batch(), writer, error)
            }
            // Appends staged meanwhile found the log scheduled: they are this thread's now.
            commitScheduled()
        }
    }
}
