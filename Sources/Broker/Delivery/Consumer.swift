internal import DataDirectory
internal import Threads
internal import WAL

/// One consumer of a topic, whoever is connected as it: for as long as the broker runs, or until
/// others need the room of one that has no connection and never acknowledged anything.
final class Consumer: Sendable {
    struct State {
        var delivery: DeliveryState
        /// The connection that gets the messages.
        var current: Subscription?
        /// The current one has all that is durable, and is to be woken when there is more.
        var isWaiting = false
        /// It is among those whom the topic wakes, or about to be.
        var isListed = false
        /// A look at the deadlines is scheduled.
        var isTimed = false
        /// Acknowledged since it was last written.
        var isDirty = false
        /// Reading its next messages has failed.
        var trouble: Trouble?
    }

    /// Messages that could not be read: nobody is told that they are subscribed to them before it
    /// is time to try again.
    struct Trouble {
        let error: BrokerError
        let retryAt: UInt64
        let delay: UInt64
    }

    let id: ConsumerID
    private let timekeeper: Timekeeper
    private let state: Monitor<State>

    init(_ id: ConsumerID, _ delivery: sending DeliveryState, _ timekeeper: Timekeeper) {
        self.id = id
        self.timekeeper = timekeeper
        state = Monitor(State(delivery: delivery))
    }

    /// Makes `subscription` the one that gets the messages. Gives the one before.
    func attach(_ subscription: Subscription) -> Subscription? {
        state.withLock { state in
            let previous = state.current
            state.delivery.detach()
            state.current = subscription
            state.isWaiting = false
            return previous
        }
    }

    // MARK: Reading

    /// Throws why its messages could not be read, until they may be tried again.
    func checkReading() throws(BrokerError) {
        guard let trouble = state.withLock({ $0.trouble }), MonotonicClock.now() < trouble.retryAt
        else { return }
        throw trouble.error
    }

    /// Its messages could not be read; each time in a row it takes twice as long to the next one.
    func readingFailed(_ error: BrokerError, firstDelay: UInt64) {
        state.withLock { state in
            let delay = min(state.trouble.map { $0.delay * 2 } ?? firstDelay, Topic.longestDelay)
            state.trouble = Trouble(
                error: error, retryAt: MonotonicClock.now() + delay, delay: delay)
        }
    }

    /// Messages were read.
    func readingWorked() {
        state.withLock { $0.trouble = nil }
    }

    /// The connection is gone; what was in flight is pending again.
    func detach(_ subscription: Subscription) {
        state.withLock { state in
            guard state.current === subscription else { return }
            state.delivery.detach()
            state.current = nil
            state.isWaiting = false
        }
    }

    /// Runs `body` with the state if `subscription` still gets the messages.
    func current<R>(_ subscription: Subscription, _ body: (inout State) -> R) -> R? {
        state.withLock { state in
            guard state.current === subscription else { return nil }
            return body(&state)
        }
    }

    /// Takes messages into flight, and sees to it that they time out.
    func deliver<R>(
        _ subscription: Subscription, _ body: (inout DeliveryState, UInt64) -> R
    ) -> R? {
        let now = MonotonicClock.now()
        let result = state.withLock { state -> (R, UInt64?)? in
            guard state.current === subscription else { return nil }
            let result = body(&state.delivery, now)
            guard !state.isTimed, let deadline = state.delivery.nextDeadline else {
                return (result, nil)
            }
            state.isTimed = true
            return (result, deadline)
        }
        if let deadline = result?.1 { watch(deadline) }
        return result?.0
    }

    private func watch(_ deadline: UInt64) {
        timekeeper.at(deadline) { [weak self] in self?.deadlinePassed() }
    }

    private func deadlinePassed() {
        let (next, due) = state.withLock { state -> (UInt64?, Subscription?) in
            let isAny = state.delivery.expire(now: MonotonicClock.now())
            let next = state.delivery.nextDeadline
            state.isTimed = next != nil
            return (next, isAny ? state.current : nil)
        }
        if let next { watch(next) }
        due?.wake()
    }

    /// `subscription` has all that is durable. Nil if it does not get the messages; else whether
    /// the topic has to be told to wake this consumer, which knows of it already otherwise.
    func wait(_ subscription: Subscription) -> Bool? {
        current(subscription) { state in
            state.isWaiting = true
            defer { state.isListed = true }
            return !state.isListed
        }
    }

    /// Wakes the connection if it waits for messages. The topic has taken it off its list.
    func wakeIfWaiting() {
        let waiting = state.withLock { state -> Subscription? in
            state.isListed = false
            guard state.isWaiting else { return nil }
            state.isWaiting = false
            return state.current
        }
        waiting?.wake()
    }

    /// What is acknowledged, to be written: it counts as written from here on.
    func takeAcknowledgements() -> Acknowledgements {
        state.withLock { state in
            state.isDirty = false
            return state.delivery.acknowledgements
        }
    }

    /// Messages in flight, and due once more.
    var counts: (inFlight: Int, due: Int, isConnected: Bool) {
        state.withLock {
            ($0.delivery.inFlight, $0.delivery.dueCount, $0.current != nil)
        }
    }

    /// Whether nothing is lost with it but how often its messages were delivered: nobody is
    /// connected as it, and it has acknowledged nothing.
    var leavesNothing: Bool {
        state.withLock { $0.current == nil && !$0.delivery.hasAcknowledged }
    }

    /// The highest acknowledged id; nil if there is none.
    var highestAcknowledged: MessageID? {
        state.withLock { $0.delivery.acknowledgements.highest }
    }

    /// What is acknowledged.
    var acknowledgements: Acknowledgements { state.withLock { $0.delivery.acknowledgements } }
}
