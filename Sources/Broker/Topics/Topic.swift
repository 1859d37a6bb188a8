internal import DataDirectory
internal import Threads
public import WAL

/// A topic: a log, the keys it remembers, its consumers.
///
/// The lock of its state is held while a message is copied into the log's queue, so that keys and
/// ids have one order; never while the disk is at work or somebody is called.
public final class Topic: Sendable {
    enum Phase {
        case open(Log)
        /// For good: damaged. If that was found while it served, with its log: what was taken is
        /// answered, and consumers that are there get what can be read.
        case closed(BrokerError, Log?)
        /// A log that took nothing more, or never opened; it may be tried again at a time. Its old
        /// log still shows what is durable.
        case failed(Log?, BrokerError, retryAt: UInt64)
        case stopped
    }

    struct State {
        var phase: Phase
        var dedupe: DedupeIndex
        var staged = Staged()
        var ports: [ObjectIdentifier: PublishPort] = [:]
        /// What offsets.json said, and what it will say of consumers that nobody was since.
        var offsets: Offsets
        var consumers: [ConsumerID: Consumer] = [:]
        /// Consumers that have everything and are to be woken by the next commit, each once. Who is
        /// not there costs a commit nothing, however many once were.
        var waiting: [Consumer] = []
        /// A subscription has ended since consumers were last forgotten.
        var hasLeft = false
        /// Something is acknowledged that is not in offsets.json.
        var isDirty = false
        /// A write of offsets.json is due or under way.
        var isFlushing = false
        /// Callers that wait until it has been opened again.
        var reopening: [@Sendable () -> Void]?
        var reopenDelay: UInt64
        /// What it was found damaged by while it served.
        var damage: LogError?
        /// What people are to be told once the lock is not held.
        var news: [BrokerEvent] = []
    }

    let name: TopicName
    let shared: BrokerShared
    let state: Monitor<State>
    let told = Told()

    init(_ name: TopicName, _ shared: BrokerShared, _ opened: Result<OpenedTopic, BrokerError>) {
        self.name = name
        self.shared = shared
        let options = shared.options
        var state = State(
            phase: .stopped, dedupe: DedupeIndex(capacity: options.dedupeWindow),
            offsets: Offsets(), reopenDelay: options.reopenDelay)
        switch opened {
        case .success(let opened):
            state.phase = .open(opened.log)
            state.dedupe = opened.dedupe
            state.offsets = opened.offsets
        case .failure(let error): state.phase = Topic.phase(after: error, nil, options.reopenDelay)
        }
        self.state = Monitor(state)
    }

    static func phase(after error: BrokerError, _ log: Log?, _ delay: UInt64) -> Phase {
        if case .damaged = error { return .closed(error, log) }
        return .failed(log, error, retryAt: MonotonicClock.now() + delay)
    }

    /// The name, as it is in commands.
    public var text: String { name.text }

    /// The log, as long as it can be read: also when it takes nothing more.
    public var log: Log? {
        state.withLock { state in
            switch state.phase {
            case .open(let log): log
            case .failed(let log, _, _), .closed(_, let log): log
            case .stopped: nil
            }
        }
    }

    // MARK: Publishing

    /// The way of `receiver` into this topic; always the same one.
    public func port(for receiver: any PublishReceiver) -> PublishPort {
        state.withLock { state in
            let identity = ObjectIdentifier(receiver)
            if let port = state.ports[identity] { return port }
            let port = PublishPort(self, receiver)
            state.ports[identity] = port
            return port
        }
    }

    /// Appends a message without a key.
    public func publish(
        _ payload: RawSpan, headers: [MessageHeader], port: PublishPort, tag: UInt64
    ) -> PublishOutcome {
        let result = state.withLock { state -> PublishOutcome in
            guard case .open(let log) = state.phase else { return outcome(state.phase) }
            do throws(LogError) {
                try log.append(
                    Message(payload: payload, headers: headers), observer: port, tag: tag)
            } catch {
                return refusal(error, &state)
            }
            state.staged.addUnkeyed()
            return .staged
        }
        if case .refused = result { tellNews() }
        return result
    }

    /// Appends a message with a key, unless the key is known.
    public func publish(
        _ payload: RawSpan, key: [UInt8], headers: [MessageHeader], port: PublishPort, tag: UInt64
    ) -> PublishOutcome {
        let result = state.withLock { state -> PublishOutcome in
            guard case .open(let log) = state.phase else { return outcome(state.phase) }
            switch state.dedupe[key] {
            case .durable(let id): return .duplicate(id)
            case .staged(let serial):
                let ticket = shared.tickets.next()
                state.staged.waiters[serial, default: []].append(
                    Staged.Waiter(receiver: port.receiver, tag: tag, ticket: ticket))
                return .waits(ticket: ticket)
            case nil: break
            }
            do throws(LogError) {
                try log.append(
                    Message(payload: payload, key: RawSpan(of: key), headers: headers),
                    observer: port,
                    tag: tag)
            } catch {
                return refusal(error, &state)
            }
            state.staged.add(key, serial: state.dedupe.stage(key))
            return .staged
        }
        if case .refused = result { tellNews() }
        return result
    }

    /// What comes of a publish into a topic that is not open.
    private func outcome(_ phase: Phase) -> PublishOutcome {
        switch phase {
        case .open, .stopped: .refused(.stopping)
        case .closed(let error, _): .refused(error)
        case .failed(_, let error, let retryAt):
            MonotonicClock.now() >= retryAt ? .needsReopen : .refused(error)
        }
    }

    private func refusal(_ error: LogError, _ state: inout State) -> PublishOutcome {
        if case .overloaded = error { return .full }
        return .refused(note(error, &state))
    }

    /// What the clients are told of a log's failure; after a final one the topic takes nothing
    /// more.
    private func note(_ error: LogError, _ state: inout State) -> BrokerError {
        switch error {
        case .invalidMessage: return .invalidMessage
        case .idsUsedUp, .overloaded, .notWritten, .unreadable, .damaged:
            return .notWritten("\(error)")
        case .closed: return .stopping
        case .poisoned, .takenOver:
            let failed = BrokerError.failed(name, "\(error)")
            if case .open(let log) = state.phase {
                state.phase = Topic.phase(after: failed, log, state.reopenDelay)
                state.news.append(.topicFailed(name, "\(error)"))
            }
            return failed
        }
    }

    /// Whoever hears of it may ask the topic, or wait for the terminal that it writes to.
    func tellNews() {
        let news = state.withLock { state in
            defer { state.news = [] }
            return state.news
        }
        for event in news { shared.events(event) }
    }

    /// Has what was published written. Does not block.
    public func commit() { log?.commit() }

    /// Writes what was published on the calling thread, if nobody else is about to. Blocks on the
    /// disk then.
    public func commitBlocking() { log?.commitBlocking() }

    /// Calls `wake` once when a publish that was `full` may be tried again.
    public func notifyRoom(_ wake: @escaping @Sendable () -> Void) {
        if let log { log.notifyRoom(wake) } else { wake() }
    }

    // MARK: What the log tells

    private typealias Settled = (waiter: Staged.Waiter, result: Result<MessageID, BrokerError>)

    /// Takes note of what the log has told about a commit, and tells the receivers.
    func settleTold() {
        let runs = told.runs
        // Each of its ports is told that a commit has ended; the first one settles it for all.
        guard !runs.isEmpty else { return }
        told.runs.removeAll(keepingCapacity: runs.count <= 4096)
        let (results, settled) = state.withLock { state -> ([PublishRun], [Settled]) in
            var results: [PublishRun] = []
            results.reserveCapacity(runs.count)
            var settled: [Settled] = []
            for run in runs {
                let result = run.result.mapError { note($0, &state) }
                results.append(PublishRun(tag: run.tag, count: run.count, result: result))
                settle(run.count, result, &state, &settled)
            }
            return (results, settled)
        }
        if runs.contains(where: \.failed) { tellNews() }
        tell(settled)
        if runs.allSatisfy({ $0.port === runs[0].port }) {
            runs[0].port.receiver.settled(topic: self, runs: results)
        } else {
            // Each receiver's own, in order.
            var parts: [ObjectIdentifier: (receiver: any PublishReceiver, runs: [PublishRun])] = [:]
            for (run, result) in zip(runs, results) {
                parts[ObjectIdentifier(run.port), default: (run.port.receiver, [])].runs
                    .append(result)
            }
            for part in parts.values { part.receiver.settled(topic: self, runs: part.runs) }
        }
        wakeSubscriptions()
    }

    private func settle(
        _ count: Int, _ result: Result<MessageID, BrokerError>, _ state: inout State,
        _ settled: inout [Settled]
    ) {
        for item in state.staged.take(count) {
            let own: Result<MessageID, BrokerError>
            switch result {
            case .success(let first):
                let id = MessageID(first.rawValue + UInt64(item.offset))
                state.dedupe.settle(item.key, item.serial, id)
                own = .success(id)
            case .failure:
                state.dedupe.fail(item.key, item.serial)
                own = result
            }
            for waiter in state.staged.waiters.removeValue(forKey: item.serial) ?? [] {
                settled.append((waiter, own))
            }
        }
    }

    private func tell(_ settled: [Settled]) {
        for (waiter, result) in settled {
            waiter.receiver.duplicateSettled(
                tag: waiter.tag, ticket: waiter.ticket, result: result)
        }
    }

    /// Wakes those who have everything that was durable before.
    func wakeSubscriptions() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for consumer in waiting { consumer.wakeIfWaiting() }
    }
}
