internal import SystemPackage
internal import Threads

/// Parking an idle log, waking it, closing it.
extension LogCore {
    /// Gives up the descriptors of the log if nobody is using it. What the directory looks like is
    /// remembered: without the lock another process may take it. A mark goes before, so that the
    /// last commit has its witness.
    func park() -> Bool {
        let taken = state.withLock { state -> (SegmentWriter, UInt64, UInt64)? in
            guard case .open = state.phase, let writer = state.writer, state.pending.isEmpty,
                !state.isDropping, !writer.needsSegment, writer.file != nil
            else { return nil }
            state.writer = nil
            state.isScheduled = true
            state.isParking = true
            if !writer.endsInMark { makeRoomForMark(&state) }
            return (writer, state.nextID, state.lastTimestamp)
        }
        guard let (taken, id, timestamp) = taken else { return false }
        var writer = taken
        do {
            if !writer.endsInMark { try writer.writeMark(id: id, timestamp: timestamp) }
        } catch {
            state.withLock { $0.isParking = false }
            fail(Batch(), writer, error)
            commitScheduled()
            return false
        }
        let status = try? writer.file?.status()
        if let status {
            writer.park()?.close()
            // Given up before the writer is back: whoever needs it next takes the lock again.
            state.withLock { state in
                state.parked = status
                return state.lock.take()
            }?.release()
            host.gaveDescriptors(self)
        }
        handBack(writer)
        return status != nil
    }

    /// Puts the writer back for somebody who is no committer: what was staged meanwhile, and found
    /// the log scheduled or without its writer, is left to one. Under one lock: whoever stages in
    /// between would schedule a committer that finds no writer, and leaves it to the one who has
    /// it.
    private func handBack(_ writer: SegmentWriter) {
        let (hasWork, isAwaited) = state.withLock { state in
            state.isParking = false
            state.isScheduled = !state.pending.isEmpty
            return (state.isScheduled, take(back: writer, &state))
        }
        if isAwaited { state.broadcast() }
        if hasWork { host.schedule(self) }
    }

    /// Takes the directory's lock again if the log is parked. It stays while segments are dropped.
    func unparkToDrop() throws(LogError) {
        let taken = state.wait { state -> SegmentWriter?? in
            guard case .open = state.phase else { return .some(nil) }
            // The lock is still there, and will not be in a moment.
            if state.isParking { return nil }
            guard state.parked != nil else { return .some(nil) }
            return state.writer.take().map { .some($0) }
        }
        guard var writer = taken else { return }
        do {
            try unparkIfNeeded(&writer)
            handBack(writer)
        } catch {
            guard case .notWritten(let cause) = error else {
                fail(Batch(), writer, error)
                commitScheduled()
                return
            }
            handBack(writer)
            throw .unreadable(cause)
        }
    }

    /// Takes the descriptors of a parked log again for as long as it is in use; others may have to
    /// give up theirs.
    func unparkIfNeeded(_ writer: inout SegmentWriter) throws(SegmentWriter.Failure) {
        if try unpark(&writer) { host.tookDescriptors(self) }
    }

    /// Takes the descriptors of a parked log again, and makes sure that the log is as it was left.
    /// False if it is not parked.
    private func unpark(_ writer: inout SegmentWriter) throws(SegmentWriter.Failure) -> Bool {
        guard writer.file == nil else { return false }
        let parked = state.withLock { $0.parked }
        guard let parked else { return false }
        let path = SegmentName.active.path(in: directory)
        do throws(DiskError) {
            let lock = try host.withDescriptors(for: self) { () throws(DiskError) in
                try host.disk.lock(directory)
            }
            let file = try host.withDescriptors(for: self) { () throws(DiskError) in
                try host.disk.open(path, .readWrite)
            }
            let now = try file.status()
            guard now.identity == parked.identity, now.size == parked.size,
                now.modified == parked.modified
            else {
                throw DiskError(operation: .open, path: path, errno: .staleNFSFileHandle)
            }
            writer.unpark(file)
            state.withLock { state in
                state.parked = nil
                state.lock = lock
            }
        } catch {
            switch error.errno {
            case .wouldBlock, .staleNFSFileHandle, .noSuchFileOrDirectory: throw .takenOver
            // Nothing was written; the log stays parked and the next append tries again.
            default: throw .notWritten(error)
            }
        }
        return true
    }

    /// Commits what was staged, writes a mark, cuts the file to its last frame, forces it, and
    /// gives up the directory. Blocks.
    func close() throws(LogError) {
        enum Way { case orderly, afterFailure, none }
        let way = state.withLock { state -> Way in
            // A failure while the first one waits changes the phase, not who takes the writer away.
            guard !state.hasCloser else { return .none }
            state.hasCloser = true
            switch state.phase {
            case .open:
                state.phase = .closing
                return .orderly
            case .poisoned, .takenOver: return .afterFailure
            case .closing, .closed: return .none
            }
        }
        switch way {
        case .none: return
        case .afterFailure: return closeFailed()
        case .orderly: try closeOrderly()
        }
    }

    private func closeOrderly() throws(LogError) {
        var writer = drain()
        host.gaveDescriptors(self)
        // A commit that failed for good on the way: nothing is tried again on that descriptor.
        let failure = state.withLock { state -> LogError? in
            switch state.phase {
            case .poisoned(let cause): .poisoned(cause)
            case .takenOver: .takenOver(directory)
            case .open, .closing, .closed: nil
            }
        }
        if let failure {
            if case .poisoned = failure { cutRefused() }
            release(&writer)
            throw failure
        }
        let result: Result<Void, LogError>
        do throws(SegmentWriter.Failure) {
            try unparkToClose(&writer)
            let (id, timestamp) = state.withLock { ($0.nextID, $0.lastTimestamp) }
            if !writer.endsInMark { try writer.writeMark(id: id, timestamp: timestamp) }
            try writer.finish()
            // Behind the mark: a log that was moved ends with it all the same. One that is parked
            // and has nothing to write does without the disk.
            if writer.file != nil, (try? writer.isInPlace()) == false { throw .takenOver }
            result = .success(())
        } catch {
            switch error {
            case .notWritten(let cause): result = .failure(.notWritten(cause))
            case .final(let cause):
                rememberFailedEnd(writer)
                result = .failure(.poisoned(cause))
            case .takenOver: result = .failure(.takenOver(directory))
            }
        }
        release(&writer)
        host.closingGate.leave()
        try result.get()
    }

    /// Takes a turn to close, and the descriptors of a parked log if there is anything to write.
    /// For a moment only: were others parked for it, those would have to be unparked for their own
    /// closing, and closing many logs would take as long as their square.
    private func unparkToClose(_ writer: inout SegmentWriter) throws(SegmentWriter.Failure) {
        while true {
            let isAlone = host.closingGate.enter()
            if writer.isFinished { return }
            do {
                _ = try unpark(&writer)
                return
            } catch {
                guard case .notWritten(let cause) = error, cause.isOutOfDescriptors, !isAlone
                else { throw error }
                host.closingGate.leave(foundNone: true)
            }
        }
    }

    /// Waits until nothing is staged and everybody has been told, and takes the writer, for good.
    private func drain() -> SegmentWriter {
        while true {
            let writer = state.withLock { state -> SegmentWriter? in
                guard state.pending.isEmpty, !state.isTelling, !state.isDropping else {
                    return nil
                }
                return state.writer.take()
            }
            if let writer { return writer }
            // Commits here what a committer has not come to yet; where it is at work, waits for
            // it to put the writer back.
            if !commitNext() { waitForWriter() }
        }
    }

    private func waitForWriter() {
        _ = state.wait { state in
            state.writer != nil && !state.isTelling && !state.isDropping ? true : nil
        }
    }

    private func closeFailed() {
        // Whoever met the failure may still have the writer, and puts it back.
        var writer = state.wait { $0.isTelling || $0.isDropping ? nil : $0.writer.take() }
        host.gaveDescriptors(self)
        if case .poisoned = state.withLock(\.phase) { cutRefused() }
        release(&writer)
    }

    /// What a failed commit has left in the file was refused, and the next process would take it
    /// for messages. So it goes as it does when this process opens the log again. If it cannot, it
    /// stays: after a kill it would, too.
    private func cutRefused() {
        try? host.storage.cutFailedEnd(in: directory)
    }

    private func release(_ writer: inout SegmentWriter) {
        writer.park()?.close()
        let (lock, watchers, space, tasks) = state.withLock { state in
            state.phase = .closed
            defer { state.tasks = Fifo() }
            return (state.lock.take(), takeWatchers(&state), takeSpaceWaiters(&state), state.tasks)
        }
        state.broadcast()
        lock?.release()
        // Whom no job has come to: the pool may be busy, with this very call for one.
        var rest = tasks
        while let waiting = rest.popFirst() { waiting.tell() }
        for wake in watchers { wake() }
        for wake in space { wake() }
        host.pending.tell()
    }
}
