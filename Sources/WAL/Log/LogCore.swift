internal import SystemPackage
internal import Threads

/// The state of an open log and the way of a message through it: staged into a batch under the
/// lock, written and forced by whoever holds the writer, published, completed.
final class LogCore: Sendable {
    enum Phase {
        case open
        /// Takes no appends; what was staged is still committed.
        case closing
        case closed
        case poisoned(DiskError)
        case takenOver
    }

    struct State {
        var phase = Phase.open
        /// Somebody closes it, or has: takes the writer for good. Others who close have nothing to
        /// do.
        var hasCloser = false
        /// The threads that would commit have ended.
        var isForsaken = false
        /// The writer; nil while a commit runs. Invariant: whoever took it puts it back, and only
        /// the one who has it touches the file or starts a commit.
        var writer: SegmentWriter?
        /// The lock of the directory; nil while the log is parked.
        var lock: (any DiskLock)?
        /// What `segment.log` was when the log gave up its descriptors.
        var parked: FileStatus?
        /// It is about to give them up, and the directory's lock with them.
        var isParking = false
        /// Batches that wait, oldest first; the last one is being filled.
        var pending = Fifo<Batch>()
        var spare: Batch?
        /// Commits that have ended and whose callers have not been told, in the order of the ids.
        var endings = Fifo<Ending>()
        /// Somebody is telling them, or has been asked to.
        var isTelling = false
        /// Tasks whose commits have ended, which jobs of their pool tell.
        var tasks = Fifo<WaitingTasks>()
        /// Bytes staged and not durable yet.
        var pendingBytes = 0
        /// Whether a committer has been told, or is at work.
        var isScheduled = false

        // Where the next frame goes, behind all that is staged.
        var nextID: UInt64
        var nextPosition: UInt64
        /// Bytes of the segment that the last staged batch is in.
        var segmentFill: UInt64
        /// The next batch has to begin a segment, since making one has failed before.
        var needsSegment = false
        var lastTimestamp: UInt64

        // What readers see.
        var firstID: UInt64
        var durableNextID: UInt64
        var durablePosition: UInt64
        var segments: [ReadableSegment]

        var watchers = Watchers()
        var spaceWaiters: [@Sendable () -> Void] = []
        var isWatchedForIdle = false
        /// An idle mark could not be written. None is tried until a commit has succeeded: the
        /// deadline has passed, so trying would never end on a full disk.
        var markFailed = false
        /// When the last commit ended, monotonic nanoseconds.
        var lastCommit: UInt64 = 0
        /// A caller is dropping segments.
        var isDropping = false
        /// A segment was dropped and its directory not forced yet.
        var dropIsUnforced = false
        /// The active segment's name after sealing is taken by a file that holds something.
        var cannotSeal = false
        var statistics = LogStatistics()
    }

    let directory: FilePath
    let options: LogOptions
    let host: LogHost
    let state: Monitor<State>

    /// A batch that has grown to this is committed before more is added.
    static let batchBytes = 1 << 20

    init(directory: FilePath, options: LogOptions, host: LogHost, state: sending State) {
        self.directory = directory
        self.options = options
        self.host = host
        self.state = Monitor(state)
    }

    /// What was staged for observers and never committed goes with a log that is let go of, and the
    /// room that it took is the other logs' again.
    deinit {
        host.pending.give(state.withLock { $0.pendingBytes })
        host.pending.tellIfRoom()
    }

    // MARK: Staging

    /// Copies a message into the batch that is being filled. Its place is final from here on,
    /// unless a commit before it fails: then it fails with that.
    func stage(
        _ message: borrowing Message, _ completion: Completion, _ state: inout State
    ) throws(LogError) {
        guard let frameBytes = FrameEncoder.frameBytes(message) else { throw .invalidMessage }
        try admit(frameBytes, &state)
        let batch = batch(for: frameBytes, &state)
        let nextID = batch.add(message, frameBytes: frameBytes, completion)
        staged(frameBytes, nextID: nextID, &state)
    }

    /// Stages a `lost` frame for `count` ids, alone in its commit. It has the timestamp of the
    /// frame before it: nobody knows when what it stands for was written.
    func stageLost(
        _ count: UInt64, _ completion: Completion, _ state: inout State
    ) throws(LogError) {
        let frameBytes = FrameLayout.countedLostFrame
        guard count >= 1 else { throw .invalidMessage }
        guard count < UInt64.max - state.nextID else { throw .idsUsedUp }
        try admit(frameBytes, &state)
        let batch = newBatch(for: frameBytes, timestamp: state.lastTimestamp, &state)
        let nextID = batch.addLost(count, completion)
        staged(frameBytes, nextID: nextID, &state)
    }

    /// Half of it has room for the largest frame: who is told that half is free is not refused.
    var pendingLimit: Int { max(options.pendingBytes, 2 * FrameLayout.largestFrame) }

    /// Throws, or takes room for a frame.
    private func admit(_ frameBytes: Int, _ state: inout State) throws(LogError) {
        try check(state)
        guard state.pendingBytes + frameBytes <= pendingLimit || state.pendingBytes == 0 else {
            throw .overloaded(pendingBytes: state.pendingBytes)
        }
        guard state.nextID < .max - 1 else { throw .idsUsedUp }
        // Last, since it is taken: whoever is admitted stages.
        guard host.pending.take(frameBytes) else {
            throw .overloaded(pendingBytes: host.pending.bytes)
        }
    }

    func check(_ state: borrowing State) throws(LogError) {
        switch state.phase {
        case .open: if state.isForsaken { throw .closed }
        case .closing, .closed: throw .closed
        case .poisoned(let error): throw .poisoned(error)
        case .takenOver: throw .takenOver(directory)
        }
    }

    private func staged(_ bytes: Int, nextID: UInt64, _ state: inout State) {
        state.nextID = nextID
        state.nextPosition &+= UInt64(bytes)
        state.segmentFill += UInt64(bytes)
        state.pendingBytes += bytes
    }

    /// Notes that there is something to commit. True if somebody has to be told: whoever is told,
    /// or is at work, looks again until nothing is left.
    func announce(_ state: inout State) -> Bool {
        defer { state.isScheduled = true }
        return !state.isScheduled
    }

    /// The batch that is being filled, if the frame may join it.
    private func batch(for frameBytes: Int, _ state: inout State) -> Batch {
        if let batch = state.pending.last, !batch.isClosed,
            batch.byteCount + frameBytes <= LogCore.batchBytes,
            state.segmentFill + UInt64(frameBytes) <= UInt64(options.segmentBytes)
                || state.cannotSeal
        {
            return batch
        }
        let timestamp = max(state.lastTimestamp, host.options.clock())
        return newBatch(for: frameBytes, timestamp: timestamp, &state)
    }

    private func newBatch(
        for frameBytes: Int, timestamp: UInt64, _ state: inout State
    ) -> Batch {
        // A segment without a message is never sealed: its name would be taken by the next.
        let isFull =
            state.segmentFill > UInt64(FrameLayout.smallestFrame) && !state.cannotSeal
            && state.segmentFill + UInt64(frameBytes) > UInt64(options.segmentBytes)
            && hasMessages(state)
        let opensSegment = isFull || state.needsSegment
        if opensSegment {
            state.needsSegment = false
            state.nextPosition &+= UInt64(FrameLayout.smallestFrame)
            state.segmentFill = UInt64(FrameLayout.smallestFrame)
        }
        state.lastTimestamp = timestamp
        let batch = state.spare.take() ?? Batch()
        batch.begin(
            id: state.nextID, position: state.nextPosition, timestamp: timestamp,
            opensSegment: opensSegment)
        state.pending.append(batch)
        return batch
    }

    /// Keeps the memory of a batch that has been told for the next one, unless it has grown: a log
    /// may be idle from here on, and ten thousand of them would each keep their largest commit.
    func keepSpare(_ batch: Batch, _ state: inout State) {
        if state.spare == nil, batch.memory <= Batch.keptBytes { state.spare = batch }
    }

    /// Whether the segment that is being staged into holds a message (staged or durable).
    private func hasMessages(_ state: borrowing State) -> Bool {
        guard let last = state.segments.last else { return false }
        return state.nextID > last.segment.firstID
    }

    // MARK: Publishing

    /// Shows the frames of a commit to readers. They are on stable storage.
    func publish(_ batch: Batch, _ writer: SegmentWriter, _ state: inout State) {
        if batch.opensSegment {
            state.segments.append(ReadableSegment(segment: writer.segment, end: 0))
        }
        let last = state.segments.count - 1
        let begin = writer.durableEnd - UInt64(batch.byteCount)
        for landmark in batch.landmarks {
            state.segments[last].index.note(
                id: landmark.id, offset: begin + UInt64(landmark.offset))
        }
        state.segments[last].end = writer.durableEnd
        state.durableNextID = batch.nextID
        state.durablePosition = writer.durablePosition
        state.pendingBytes -= batch.byteCount
        host.pending.give(batch.byteCount)
        state.statistics.commits += 1
        state.statistics.messages += UInt64(batch.frames)
        state.statistics.bytes += UInt64(batch.byteCount)
    }

    /// Who waits for a commit without having appended.
    func takeWakes(_ state: inout State) -> [@Sendable () -> Void] {
        if state.watchers.isEmpty, state.spaceWaiters.isEmpty { return [] }
        return takeWatchers(&state) + takeSpaceWaiters(&state)
    }

    /// The watchers that a new durable end satisfies.
    func takeWatchers(_ state: inout State) -> [@Sendable () -> Void] {
        guard !state.watchers.isEmpty else { return [] }
        guard case .open = state.phase else { return state.watchers.takeAll() }
        return state.watchers.take(below: state.durableNextID)
    }

    /// Those who wait for room in the queue, once half of it is free.
    func takeSpaceWaiters(_ state: inout State) -> [@Sendable () -> Void] {
        guard !state.spaceWaiters.isEmpty else { return [] }
        let isOver = if case .open = state.phase { false } else { true }
        guard isOver || state.pendingBytes <= pendingLimit / 2 else { return [] }
        defer { state.spaceWaiters.removeAll() }
        return state.spaceWaiters
    }
}
