internal import SystemPackage
internal import Threads

/// Retention: dropping whole sealed segments.
extension LogCore {
    func drop(below id: UInt64) throws(LogError) {
        // One at a time: two threads must not both take the same segment for the oldest.
        _ = state.wait { state -> Bool? in
            if state.isDropping { return nil }
            state.isDropping = true
            return true
        }
        defer {
            state.withLock { $0.isDropping = false }
            state.broadcast()
        }
        try unparkToDrop()
        if state.withLock({ $0.dropIsUnforced }) { try forceDrop() }
        while let segment = try oldestDroppable(below: id) {
            try checkPlace(of: segment)
            // Readers stop looking here before the name goes.
            let oldest = state.withLock { state in
                defer { state.firstID = state.segments[0].segment.firstID }
                state.dropIsUnforced = true
                return state.segments.removeFirst()
            }
            do {
                try host.disk.remove(segment.name.path(in: directory))
            } catch  where error.errno == .noSuchFileOrDirectory {
            } catch {
                // Still there, as what comes behind it has to be.
                state.withLock { state in
                    state.segments.insert(oldest, at: 0)
                    state.firstID = oldest.segment.firstID
                }
                throw .unreadable(error)
            }
            // A crash must not find a later segment gone and an earlier one there.
            if !Mutant.dropNotSynced.isOn { try forceDrop() }
        }
    }

    /// Names go by the path, the lock does not: if the directory was moved, another log's segment
    /// may have the name.
    private func checkPlace(of segment: Segment) throws(LogError) {
        let there: FileStatus?
        do {
            there = try host.disk.status(segment.name.path(in: directory))
        } catch { throw .unreadable(error) }
        guard there == nil || there?.identity == segment.identity else {
            throw .takenOver(directory)
        }
    }

    private func oldestDroppable(below id: UInt64) throws(LogError) -> Segment? {
        try state.withLock { (state) throws(LogError) -> Segment? in
            try check(state)
            guard state.segments.count >= 2 else { return nil }
            let next = state.segments[1].segment.firstID
            guard next <= id || Mutant.droppedTooMuch.isOn else { return nil }
            // Without the newest sealed segment an empty active one would be all that tells how
            // far the ids have come.
            if state.segments.count == 2, state.durableNextID == next { return nil }
            return state.segments[0].segment
        }
    }

    private func forceDrop() throws(LogError) {
        do {
            try host.withDescriptors(for: self) { () throws(DiskError) in
                try Force.names(in: directory, of: host.disk)
            }
        } catch {
            throw .unreadable(error)
        }
        state.withLock { $0.dropIsUnforced = false }
    }
}
