public import DataDirectory
public import WAL

/// One connection's turn as a consumer. It ends with `end`, or when another connection subscribes
/// as the same consumer.
///
/// Messages come in two steps: they are read (which blocks on the disk, one thread at a time) and
/// then claimed, which puts them in flight, right before they are sent. What was read and never
/// claimed is simply read again by the next one.
public final class Subscription: Sendable {
    /// Whose messages.
    public let topic: Topic
    /// For whom.
    public var consumer: ConsumerID { owner.id }
    private let owner: Consumer
    /// Called, on any thread and with no lock held, when there may be something to deliver.
    let wake: @Sendable () -> Void
    /// Called when another connection has subscribed as the same consumer.
    private let replaced: @Sendable () -> Void
    private let reading = Reading()

    init(
        _ topic: Topic, _ owner: Consumer, wake: @escaping @Sendable () -> Void,
        replaced: @escaping @Sendable () -> Void
    ) {
        self.topic = topic
        self.owner = owner
        self.wake = wake
        self.replaced = replaced
    }

    /// Another connection gets the messages from now on.
    func tellReplaced() { replaced() }

    /// The connection is gone or subscribes anew. What was in flight is pending again.
    public func end() {
        owner.detach(self)
        topic.left()
    }

    // MARK: Reading

    /// Shows messages that were never delivered to `body`, in the order of their ids, up to `limit`
    /// of them. Gives how many; fewer than `limit` mean that there are no more yet, or that `body`
    /// said stop.
    ///
    /// Blocks on the disk. One thread at a time, `readDue` included. Damage that it meets closes
    /// the topic, and so ends in time whoever reads it; what was shown before counts also when it
    /// throws.
    public func read(
        upTo limit: Int, _ body: (borrowing StoredMessage) -> ReadStep
    ) throws(LogError) -> Int {
        let count = try noted { () throws(LogError) in try readPending(upTo: limit, body) }
        if count > 0 { owner.readingWorked() } else if let end = topic.end { throw end }
        return count
    }

    private func readPending(
        upTo limit: Int, _ body: (borrowing StoredMessage) -> ReadStep
    ) throws(LogError) -> Int {
        guard let log = topic.log else { throw .closed }
        if reading.position == nil {
            guard let start = owner.current(self, { ($0.delivery.cursor, $0.delivery.skipped) })
            else { return 0 }
            reading.begin(at: start.0, skipping: start.1)
        }
        return try reading.read(log, upTo: limit, body) { ids in
            _ = owner.current(self) { $0.delivery.passOver(ids) }
        }
    }

    /// What is due once more could not be read.
    public struct UnreadableDue: Error {
        /// The one that could not; those below it could, or were not due.
        public let id: MessageID
        /// Why, as `read` would say it.
        public let cause: LogError
    }

    /// Shows what is due once more to `body`, with how often it was delivered before, and gives the
    /// ids that were shown. Blocks on the disk; one thread at a time, `read` included. Fails as
    /// that does.
    public func readDue(
        _ body: (borrowing StoredMessage, UInt64) -> ReadStep
    ) throws(UnreadableDue) -> [MessageID] {
        guard let due = owner.current(self, { $0.delivery.dueMessages() }) else { return [] }
        var shown: [MessageID] = []
        for (id, attempts) in due {
            let (found, step): (MessageID?, ReadStep)
            do throws(LogError) {
                (found, step) = try noted { () throws(LogError) in try look(id, attempts, body) }
            } catch { throw UnreadableDue(id: id, cause: error) }
            if found == id {
                if step != .stopBefore { shown.append(id) }
                if step != .next { break }
            } else {
                // Dropped by retention since it was delivered.
                _ = owner.current(self) { $0.delivery.passOver(id...id) }
            }
        }
        if !shown.isEmpty { owner.readingWorked() }
        return shown
    }

    /// Shows the message `id` to `body` if it is there. Gives the id of the first message from there
    /// on, and what `body` has said.
    private func look(
        _ id: MessageID, _ attempts: UInt64,
        _ body: (borrowing StoredMessage, UInt64) -> ReadStep
    ) throws(LogError) -> (MessageID?, ReadStep) {
        guard let log = topic.log else { throw .closed }
        var found: MessageID?
        var step = ReadStep.next
        var reader = log.reader(from: id)
        _ = try reader.read(upTo: 1) { message in
            found = message.id
            guard message.id == id else { return .stopBefore }
            step = body(message, attempts)
            return step
        }
        return (found, step)
    }

    /// Has those who ask next hear of what keeps messages from being read.
    private func noted<R>(_ body: () throws(LogError) -> R) throws(LogError) -> R {
        do throws(LogError) {
            return try body()
        } catch {
            switch error {
            case .damaged: topic.found(damage: error)
            case .unreadable:
                owner.readingFailed(
                    .unreadable(topic.name, "\(error)"),
                    firstDelay: topic.shared.options.reopenDelay)
            case .closed, .poisoned, .notWritten, .invalidMessage, .idsUsedUp, .overloaded,
                .takenOver:
                break
            }
            throw error
        }
    }

    // MARK: Delivering

    /// What may be delivered now.
    public struct Demand: Hashable, Sendable {
        /// How many messages are due once more; they go first.
        public let due: Int
        /// The first of these.
        public let firstDue: MessageID?
        /// How many that were never delivered the window has room for.
        public let room: Int
        /// How many are in flight.
        public let inFlight: Int
        /// How many times one of the consumer's has been in flight for too long.
        public let timeouts: UInt64
    }

    /// What may be delivered now; nil if the subscription has ended.
    public var demand: Demand? {
        owner.current(self) {
            Demand(
                due: $0.delivery.dueCount, firstDue: $0.delivery.firstDue, room: $0.delivery.room,
                inFlight: $0.delivery.inFlight, timeouts: $0.delivery.timeouts)
        }
    }

    /// Puts as many of `ids`, as `read` has shown them, in flight as the window has room for; gives
    /// how many. They are to be sent at once. None if the subscription has ended, nor while
    /// anything is due once more.
    public func claim(_ ids: ArraySlice<MessageID>) -> Int {
        owner.deliver(self) { $0.deliver(ids, now: $1) } ?? 0
    }

    /// Puts as many of `ids`, as `readDue` has shown them, in flight again as nothing lower has
    /// become due meanwhile; gives how many. They are to be sent at once, and the rest to be read
    /// again. None if the subscription has ended.
    public func claimDue(_ ids: [MessageID]) -> Int {
        owner.deliver(self) { $0.deliverAgain(ids, now: $1) } ?? 0
    }

    /// Has `wake` called when there is something behind all that was read. False if there is
    /// already: read on.
    public func waitForMore() -> Bool {
        let position = reading.position ?? MessageID(0)
        guard let isNews = owner.wait(self) else { return true }
        if isNews { topic.wakeLater(owner) }
        // What became durable before it was on the list has woken nobody.
        guard let log = topic.log, log.durable.upperBound > position else { return true }
        _ = owner.current(self) { $0.isWaiting = false }
        return false
    }

    // MARK: Settling

    /// The consumer is done with `id`.
    public func acknowledge(_ id: MessageID) throws(BrokerError) {
        let done = owner.current(self) { state -> (isKnown: Bool, isNews: Bool) in
            guard state.delivery.acknowledge(id) else { return (false, false) }
            defer { state.isDirty = true }
            return (true, !state.isDirty)
        }
        guard let done else { throw .detached }
        guard done.isKnown else { throw .notInFlight(id) }
        if done.isNews { topic.offsetsChanged() }
    }

    /// The consumer wants `id` again, now.
    public func reject(_ id: MessageID) throws(BrokerError) {
        guard let isKnown = owner.current(self, { $0.delivery.reject(id) }) else {
            throw .detached
        }
        guard isKnown else { throw .notInFlight(id) }
    }
}
