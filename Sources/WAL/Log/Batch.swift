/// Told when appends have become durable or failed, many at a time. For callers with so many
/// appends that a closure for each would cost more than the append.
///
/// Called by the thread that commits, in the order of the ids; must not block and must not call
/// back into the log but to append. What was appended to a log that is let go of, with neither
/// `Log.commit` nor `Log.close` behind it, is dropped, and nobody told.
public protocol AppendObserver: AnyObject, Sendable {
    /// `count` consecutive appends with this tag, the first of them `first`, are durable.
    func appended(first: MessageID, count: Int, tag: UInt64)
    /// `count` appends with this tag failed together.
    func appendFailed(count: Int, tag: UInt64, error: LogError)
    /// Behind all that there was to tell about one commit: what was gathered meanwhile can be
    /// handed on at once.
    func commitEnded()
}

extension AppendObserver {
    /// Nothing, for observers that gather nothing.
    public func commitEnded() {}
}

/// Whom to tell how an append ended.
enum Completion: Sendable {
    case callback(@Sendable (Result<MessageID, LogError>) -> Void)
    /// A task.
    case ticket(AppendTicket)
    case observer(any AppendObserver, tag: UInt64)
}

/// The frames of one commit while they are being gathered, and whom to tell about them.
///
/// Belongs to the queue under the log's lock, and from the moment it is taken out to the thread
/// that commits, then to the one that tells: never to two, which is why it needs no lock of its
/// own.
final class Batch: @unchecked Sendable {
    /// All of it in one property: Swift checks each access to a property of a class for overlap
    /// with another, and an append would make a dozen.
    private var content = BatchContent()

    /// The memory that an unused batch keeps.
    static let keptBytes = 256 << 10

    var firstID: UInt64 { content.firstID }
    var nextID: UInt64 { content.nextID }
    /// Position of its first frame.
    var position: UInt64 { content.position }
    /// Nanoseconds since 1970, the same for every frame of a commit.
    var timestamp: UInt64 { content.timestamp }
    var frames: UInt32 { content.frames }
    /// It does not fit the active segment: that is sealed first, and a new one begun.
    var opensSegment: Bool { content.opensSegment }
    /// It is a `lost` frame, which is alone in its commit.
    var isClosed: Bool { content.isClosed }
    /// Where frames begin, for the index: at most one per interval.
    var landmarks: [(id: UInt64, offset: Int)] { content.landmarks }
    var byteCount: Int { content.bytes.count }
    /// How many bytes of frames it has room for.
    var memory: Int { content.bytes.capacity }

    func begin(id: UInt64, position: UInt64, timestamp: UInt64, opensSegment: Bool) {
        content.begin(
            id: id, position: position, timestamp: timestamp, opensSegment: opensSegment)
    }

    /// Appends the frame of `message`; its size is `frameBytes`. Gives the id behind it.
    func add(_ message: borrowing Message, frameBytes: Int, _ completion: Completion) -> UInt64 {
        content.add(message, frameBytes: frameBytes, completion)
    }

    /// Makes the batch one `lost` frame for `count` ids. Gives the id behind them.
    func addLost(_ count: UInt64, _ completion: Completion) -> UInt64 {
        content.addLost(count, completion)
    }

    func write(to file: any DiskFile, at offset: UInt64) throws(DiskError) {
        try file.writeAll(content.bytes, at: offset)
    }

    /// Takes the tasks out, if there are at least so many, to be told by others.
    func takeTasks(atLeast limit: Int) -> WaitingTasks? {
        guard let tasks = content.tasks, tasks.count >= limit else { return nil }
        content.tasks = nil
        return tasks
    }

    /// Callers that have not been told.
    var callersLeft: Int { content.callersLeft }

    /// Tells the next callers: all of them, or so many. Those that are no tasks come first, in the
    /// order of the ids.
    func complete(_ failure: LogError?, callers limit: Int = .max) {
        let first = content.told
        let end = first + min(limit, content.runs.count - first)
        for run in content.runs[first..<end] { run.tell(failure) }
        content.told = end
        var left = limit - (end - first)
        while left > 0, let tasks = content.tasks {
            if !tasks.tellOne(failure) { content.tasks = nil }
            left -= 1
        }
        if content.callersLeft == 0 { tellObserversOfTheEnd() }
    }

    private func tellObserversOfTheEnd() {
        var told: [any AppendObserver] = []
        for run in content.runs {
            if case .observer(let observer, _) = run.caller,
                !told.contains(where: { $0 === observer })
            {
                told.append(observer)
            }
        }
        for observer in told { observer.commitEnded() }
        content.forgetRuns()
    }
}

/// Consecutive appends of one caller that is no task: one entry for many messages.
private struct CompletionRun: Sendable {
    enum Caller {
        case callback(@Sendable (Result<MessageID, LogError>) -> Void)
        case observer(any AppendObserver, tag: UInt64)
    }
    let caller: Caller
    let first: UInt64
    var count = 1

    func tell(_ failure: LogError?) {
        switch (caller, failure) {
        case (.callback(let call), nil): call(.success(MessageID(first)))
        case (.callback(let call), let error?): call(.failure(error))
        case (.observer(let observer, let tag), nil):
            observer.appended(first: MessageID(first), count: count, tag: tag)
        case (.observer(let observer, let tag), let error?):
            observer.appendFailed(count: count, tag: tag, error: error)
        }
    }
}

/// What a batch holds.
private struct BatchContent: ~Copyable {
    var bytes = ByteBuffer()
    var runs: [CompletionRun] = []
    /// How many of the runs have been told.
    var told = 0
    var tasks: WaitingTasks?
    /// How many tasks there were in the batch before, of which this one has the memory.
    private var expectedTasks = 0
    var landmarks: [(id: UInt64, offset: Int)] = []
    var firstID: UInt64 = 0
    var nextID: UInt64 = 0
    var position: UInt64 = 0
    var timestamp: UInt64 = 0
    var frames: UInt32 = 0
    var opensSegment = false
    var isClosed = false

    var callersLeft: Int { runs.count - told + (tasks?.left ?? 0) }

    mutating func begin(id: UInt64, position: UInt64, timestamp: UInt64, opensSegment: Bool) {
        bytes.reset(keepingAtMost: Batch.keptBytes)
        forgetRuns()
        landmarks.removeAll(keepingCapacity: true)
        firstID = id
        nextID = id
        self.position = position
        self.timestamp = timestamp
        self.opensSegment = opensSegment
        frames = 0
        isClosed = false
    }

    mutating func forgetRuns() {
        runs.removeAll(keepingCapacity: runs.count <= 4096)
        told = 0
        tasks = nil
    }

    mutating func add(
        _ message: borrowing Message, frameBytes: Int, _ completion: Completion
    ) -> UInt64 {
        noteLandmark()
        let place = FrameEncoder.Place(
            id: nextID, position: position &+ UInt64(bytes.count), timestamp: timestamp,
            commitIndex: Mutant.commitIndexAlwaysZero.isOn ? 0 : frames)
        FrameEncoder.append(message, frameBytes: frameBytes, at: place, to: &bytes)
        note(completion)
        nextID += 1
        frames += 1
        return nextID
    }

    mutating func addLost(_ count: UInt64, _ completion: Completion) -> UInt64 {
        precondition(frames == 0)
        let place = FrameEncoder.Place(id: nextID, position: position, timestamp: timestamp)
        FrameEncoder.appendLost(
            count, frameBytes: FrameLayout.countedLostFrame, at: place, to: &bytes)
        note(completion)
        nextID += count
        frames = 1
        isClosed = true
        return nextID
    }

    private mutating func noteLandmark() {
        if let last = landmarks.last,
            bytes.count - last.offset < Int(SparseIndex.intervalBytes)
        {
            return
        }
        landmarks.append((nextID, bytes.count))
    }

    private mutating func note(_ completion: Completion) {
        switch completion {
        case .ticket(let ticket): note(ticket)
        case .callback(let call): runs.append(CompletionRun(caller: .callback(call), first: nextID))
        case .observer(let observer, let tag):
            if case .observer(let before, tag)? = runs.last?.caller, before === observer {
                runs[runs.count - 1].count += 1
            } else {
                runs.append(
                    CompletionRun(caller: .observer(observer, tag: tag), first: nextID))
            }
        }
    }

    private mutating func note(_ ticket: AppendTicket) {
        let tasks = tasks ?? WaitingTasks(expecting: expectedTasks)
        tasks.append(ticket, id: nextID)
        expectedTasks = tasks.count
        self.tasks = tasks
    }
}
