public import SystemPackage
internal import Threads

/// A durable log: messages in, in order; what it has acknowledged is on stable storage.
///
/// - An append is acknowledged only after a sync that covers it, and all before it, has returned.
/// - Readers see only what is durable.
/// - Messages that wait while a sync runs form the next commit: one write, one sync.
/// - A failed sync is final until the log has been closed and opened again.
///
/// One `Log` per directory: a lock on the directory refuses a second one, in this process or in
/// another. All methods may be called from any thread; those that block on the disk say so, and
/// must not be called on the cooperative pool.
///
/// Only ``close()`` gives the directory up at a known moment. A log that is let go of without it
/// loses nothing that was acknowledged, and gives the directory up some time later, when nobody is
/// at work on it any more; until then it cannot be opened again.
public final class Log: Sendable {
    let core: LogCore
    /// What opening found and did.
    public let recovery: RecoveryReport

    private init(_ core: LogCore, _ recovery: RecoveryReport) {
        self.core = core
        self.recovery = recovery
    }

    /// Opens the log in `directory`, makes it if there is none, and recovers what a crash left.
    /// Blocks: every byte of the log is read and checked.
    ///
    /// A torn tail is set aside and cut off. A log that is damaged or of a later version is
    /// refused and left as it is.
    public static func open(
        _ directory: FilePath, host: LogHost, options: LogOptions = LogOptions()
    ) throws(OpenError) -> Log {
        precondition(options.segmentBytes >= 4096, "a segment has at least 4096 bytes")
        let (core, report) = try Opening(directory, options, host).open()
        return Log(core, report)
    }

    /// Opens as `open(_:host:options:)` does, and shows the key of each message that has one to
    /// `key`, in order, while the log is read anyway: an index of keys costs no second reading.
    /// Where descriptors run short it begins again with the first. If opening fails, what was shown
    /// means nothing.
    public static func open(
        _ directory: FilePath, host: LogHost, options: LogOptions = LogOptions(),
        key: (MessageID, RawSpan) -> Void
    ) throws(OpenError) -> Log {
        precondition(options.segmentBytes >= 4096, "a segment has at least 4096 bytes")
        return try withoutActuallyEscaping(key) { (key) throws(OpenError) in
            let (core, report) = try Opening(directory, options, host, key).open()
            return Log(core, report)
        }
    }

    /// Where it is kept.
    public var directory: FilePath { core.directory }

    /// What readers may see: from the first id that has not been dropped to behind the last one
    /// that is durable. Empty if there is none.
    public var durable: Range<MessageID> {
        core.state.withLock { state in
            MessageID(state.firstID)..<MessageID(state.durableNextID)
        }
    }

    /// Bytes that wait for the disk.
    public var pendingBytes: Int { core.state.withLock { $0.pendingBytes } }

    /// Commits, messages and bytes since it was opened.
    public var statistics: LogStatistics { core.state.withLock { $0.statistics } }

    // MARK: Appending

    /// Appends and calls back when the message is durable, or has failed.
    ///
    /// The bytes are copied before this returns. `whenDurable` is called exactly once unless this
    /// throws, by the thread that commits, in the order of the ids; it must not block. It may
    /// append.
    ///
    /// Throws `invalidMessage`, `overloaded`, `closed`, `poisoned` or `takenOver`; nothing was
    /// appended then.
    public func append(
        _ message: borrowing Message,
        whenDurable: @escaping @Sendable (Result<MessageID, LogError>) -> Void
    ) throws(LogError) {
        if try stage(message, .callback(whenDurable), announcing: true) {
            core.host.schedule(core)
        }
    }

    /// Appends for an observer, which is told of many appends at a time. The committers are not
    /// told: call `commit` when all that is at hand has been appended.
    ///
    /// Throws as `append(_:whenDurable:)` does.
    public func append(
        _ message: borrowing Message, observer: any AppendObserver, tag: UInt64
    ) throws(LogError) {
        _ = try stage(message, .observer(observer, tag: tag), announcing: false)
    }

    /// Has what was appended for observers committed. Does not block.
    public func commit() {
        let isNews = core.state.withLock { state in
            !state.pending.isEmpty && core.announce(&state)
        }
        if isNews { core.host.schedule(core) }
    }

    /// Has what was appended for observers committed on the calling thread if nobody else is at
    /// work on the log, which saves two hand-overs; else as `commit` does. Blocks on the disk then.
    public func commitBlocking() {
        let isNews = core.state.withLock { state in
            !state.pending.isEmpty && core.announce(&state)
        }
        if isNews { core.commitHere() }
    }

    /// Appends and waits until the message is durable; gives its id. Waits also for room in the
    /// queue. An append whose task is cancelled becomes durable all the same.
    public func append(_ message: borrowing Message) async throws(LogError) -> MessageID {
        let ticket = AppendTicket()
        while true {
            do {
                if try stage(message, .ticket(ticket), announcing: true) {
                    core.host.schedule(core)
                }
                break
            } catch LogError.overloaded {
                await roomInQueue()
            }
        }
        return try await ticket.value()
    }

    /// Appends and blocks the calling thread until the message is durable; gives its id. A caller
    /// that finds the log idle commits on its own thread, which saves two hand-overs.
    public func appendBlocking(_ message: borrowing Message) throws(LogError) -> MessageID {
        let latch = Monitor<Result<MessageID, LogError>?>(nil)
        let completion = Completion.callback { result in
            latch.withLock { $0 = result }
            latch.signal()
        }
        while true {
            do {
                // Nobody is at work: the first commit is this thread's, the rest a committer's.
                if try stage(message, completion, announcing: true) { core.commitHere() }
                break
            } catch LogError.overloaded {
                let room = Monitor(false)
                notifyRoom {
                    room.withLock { $0 = true }
                    room.signal()
                }
                _ = room.wait { $0 ? true : nil }
            }
        }
        return try latch.wait { $0 }.get()
    }

    /// Appends a frame that stands for `count` ids whose messages are gone; the next message gets
    /// the id behind them. For an import from a log that has lost them or has dropped its
    /// beginning. Calls back like an append, with the first of the ids.
    public func appendLost(
        _ count: UInt64, whenDurable: @escaping @Sendable (Result<MessageID, LogError>) -> Void
    ) throws(LogError) {
        let isNews = try core.state.withLock { (state) throws(LogError) in
            try core.stageLost(count, .callback(whenDurable), &state)
            return core.announce(&state)
        }
        if isNews { core.host.schedule(core) }
    }

    /// True if a committer has to be told that there is something to commit.
    private func stage(
        _ message: borrowing Message, _ completion: Completion, announcing: Bool
    ) throws(LogError) -> Bool {
        try core.state.withLock { (state) throws(LogError) in
            try core.stage(message, completion, &state)
            return announcing && core.announce(&state)
        }
    }

    /// Calls `wake` once, when appends that were refused as `overloaded` may be tried again: behind
    /// a commit that leaves at least half of the queue free; if nothing of this log waits, once half
    /// of what its host's logs may hold together is free, or at once. What was appended to this log
    /// for observers is committed for it.
    public func notifyRoom(_ wake: @escaping @Sendable () -> Void) {
        enum Next { case commit, others, now }
        let next = core.state.withLock { state -> Next in
            guard case .open = state.phase, !state.isForsaken else { return .now }
            guard state.pendingBytes > 0 else { return .others }
            state.spaceWaiters.append(wake)
            return .commit
        }
        switch next {
        case .commit: commit()
        case .others: core.host.pending.whenRoom(wake)
        case .now: wake()
        }
    }

    private func roomInQueue() async {
        await withCheckedContinuation { continuation in
            notifyRoom { continuation.resume() }
        }
    }

    // MARK: Reading

    /// A reader that begins with `id`, or with the first message behind it that there is.
    public func reader(from id: MessageID) -> LogReader { LogReader(core, from: id) }

    /// Calls `wake` once, as soon as the message `id` is durable or the log has ended (closed or
    /// poisoned): by the thread that commits, or at once by the caller. It must not block. A log
    /// that is let go of without `close` tells nobody.
    public func notify(whenDurable id: MessageID, _ wake: @escaping @Sendable () -> Void) {
        let now = core.state.withLock { state -> Bool in
            watch(id, token: state.watchers.token(), &state, wake)
        }
        if now { wake() }
    }

    /// Waits until the message `id` is durable, the log has ended, or the task is cancelled.
    public func waitUntilDurable(_ id: MessageID) async {
        let token = core.state.withLock { $0.watchers.token() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = core.state.withLock { state -> Bool in
                    // The handler below may have run already and have found nobody.
                    if Task.isCancelled { return true }
                    return watch(id, token: token, &state) { continuation.resume() }
                }
                if now { continuation.resume() }
            }
        } onCancel: {
            core.state.withLock { $0.watchers.remove(token) }?()
        }
    }

    /// True if there is nothing to wait for.
    private func watch(
        _ id: MessageID, token: UInt64, _ state: inout LogCore.State,
        _ wake: @escaping Watchers.Wake
    ) -> Bool {
        guard case .open = state.phase, id.rawValue >= state.durableNextID else { return true }
        state.watchers.add(id.rawValue, token: token, wake)
        return false
    }

    // MARK: Dropping and closing

    /// Drops whole sealed segments all of whose ids are below `id`, oldest first, one at a time,
    /// the directory forced after each; the newest sealed one stays while the active segment has
    /// no message. Gives the first id that is left. Blocks.
    ///
    /// Throws `unreadable` if a file could not be removed or the directory not be forced,
    /// `takenOver` if it is not this log's any more, `closed` or `poisoned`. What was dropped
    /// before stays dropped, and it may be called again.
    @discardableResult
    public func drop(below id: MessageID) throws(LogError) -> MessageID {
        try core.drop(below: id.rawValue)
        return durable.lowerBound
    }

    /// Commits what was appended, writes a closing mark, and gives up the directory. Appends fail
    /// from now on. Blocks, also for a drop that is under way. Closing again does nothing: it does
    /// not wait for the first call either. Nor does closing a log that has failed before: it gives
    /// up the directory, and says nothing of that failure again.
    ///
    /// Throws `poisoned` or `notWritten` if the mark could not be made durable, `takenOver` if it
    /// was idle and its directory is not its own any more, or its segment is not in its place; the
    /// log is closed all the same, and every acknowledged message is in the file that it was in.
    public func close() throws(LogError) { try core.close() }
}
