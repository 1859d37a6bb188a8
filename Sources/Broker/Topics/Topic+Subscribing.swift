public import DataDirectory
internal import WAL

/// Who gets the messages.
extension Topic {
    /// Whether nothing can be read from it, and it may be tried now to open it: `Broker.reopen` goes
    /// before `subscribe` then. It could not be opened before, and what was in the way may be gone.
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
        let owner = try state.withLock { (state) throws(BrokerError) -> Consumer in
            switch state.phase {
            case .open, .failed(.some, _, _): break
            case .closed(let error), .failed(nil, let error, _): throw error
            case .stopped: throw .stopping
            }
            if let known = state.consumers[consumer] { return known }
            guard state.consumers.count < shared.options.consumerLimit else {
                throw .busy("topic \(name) has \(state.consumers.count) consumers already")
            }
            let delivery = DeliveryState(
                state.offsets[consumer] ?? Acknowledgements(),
                window: shared.options.receiveWindow, timeout: shared.options.visibilityTimeout)
            let made = Consumer(consumer, delivery, shared.timekeeper)
            state.consumers[consumer] = made
            state.listening.append(made)
            return made
        }
        let subscription = Subscription(self, owner, wake: wake, replaced: replaced)
        subscription.begin()
        return subscription
    }
}
