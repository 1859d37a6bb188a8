public import DataDirectory
internal import Threads
internal import WAL

/// Who gets the messages.
extension Topic {
    /// Whether nothing can be read from it, and it may be tried now to open it: `Broker.reopen`
    /// goes before `subscribe` then. It could not be opened before, and what was in the way may be
    /// gone.
    public var mayBeReopened: Bool {
        state.withLock { state in
            guard case .failed(nil, _, let retryAt) = state.phase else { return false }
            return MonotonicClock.now() >= retryAt
        }
    }

    /// Makes a connection the one that gets the messages of `consumer`; the one before gets none
    /// any more. `wake` and `replaced` are called on any thread, and must not block.
    public func subscribe(
        _ consumer: ConsumerID, wake: @escaping @Sendable () -> Void,
        replaced: @escaping @Sendable () -> Void
    ) throws(BrokerError) -> Subscription {
        let (subscription, previous) = try state.withLock {
            (state) throws(BrokerError) -> (Subscription, Subscription?) in
            switch state.phase {
            case .open, .failed(.some, _, _): break
            case .closed(let error, _), .failed(nil, let error, _): throw error
            case .stopped: throw .stopping
            }
            let owner = try known(consumer, &state)
            try owner.checkReading()
            let subscription = Subscription(self, owner, wake: wake, replaced: replaced)
            // Before the lock is given up: who has no connection may be forgotten.
            return (subscription, owner.attach(subscription))
        }
        previous?.tellReplaced()
        return subscription
    }

    private func known(
        _ consumer: ConsumerID, _ state: inout State
    ) throws(BrokerError) -> Consumer {
        if let known = state.consumers[consumer] { return known }
        let limit = shared.options.consumerLimit
        if state.consumers.count >= limit { forgetAbsent(&state) }
        guard state.consumers.count < limit else {
            throw .busy("topic \(name) has \(state.consumers.count) consumers already")
        }
        let delivery = DeliveryState(
            state.offsets[consumer] ?? Acknowledgements(),
            window: shared.options.receiveWindow, timeout: shared.options.visibilityTimeout)
        let made = Consumer(consumer, delivery, shared.timekeeper)
        state.consumers[consumer] = made
        return made
    }

    /// Makes room for others: forgets those of whom a restart would leave nothing either.
    private func forgetAbsent(_ state: inout State) {
        // Looking at all of them again is of no use before another one has left.
        guard state.hasLeft else { return }
        state.hasLeft = false
        let kept = state.consumers.filter { !$0.value.leavesNothing }
        state.consumers = kept
        state.waiting.removeAll { kept[$0.id] == nil }
    }

    /// A durable message is not there any more. Nothing more is taken, as if that had been found
    /// when the topic was opened: what is behind it could not be opened after a restart.
    func found(damage: LogError) {
        let isNews = state.withLock { state in
            switch state.phase {
            case .open(let log), .failed(.some(let log), _, _):
                state.phase = .closed(.damaged(name, "\(damage)"), log)
                state.damage = damage
                state.news.append(.topicClosed(name, "\(damage)"))
                return true
            case .closed, .failed(nil, _, _), .stopped: return false
            }
        }
        guard isNews else { return }
        tellNews()
        // For those who have everything there will be no more.
        wakeSubscriptions()
    }

    /// Why whoever has all messages gets no more; nil if it may.
    var end: LogError? {
        state.withLock { state in
            if case .closed = state.phase { state.damage ?? .closed } else { nil }
        }
    }

    /// The next commit, or the end, is to wake `consumer`.
    func wakeLater(_ consumer: Consumer) { state.withLock { $0.waiting.append(consumer) } }

    /// A subscription has ended.
    func left() { state.withLock { $0.hasLeft = true } }
}
