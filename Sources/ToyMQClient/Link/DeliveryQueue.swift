internal import DequeModule
internal import NIOConcurrencyHelpers
internal import NIOCore

/// What passes between a subscription's loop and its connection: deliveries one way,
/// acknowledgements the other. For any thread.
final class DeliveryQueue: Sendable {
    /// An ACK or a NACK on its way.
    struct Settling {
        let id: UInt64
        let isAcknowledgement: Bool
        let promise: Promise<Settlement>?
    }

    private typealias Waiter = (
        id: UInt64, continuation: CheckedContinuation<Result<Delivery?, ClientError>, Never>
    )

    private struct State {
        var deliveries: Deque<Delivery> = []
        var bytes = 0
        var waiters: Deque<Waiter> = []
        var nextWaiter: UInt64 = 0
        /// There will be no more; the error, if that is why.
        var end: Result<Delivery?, ClientError>?
        /// Counts connections. What another one has delivered is not this one's to acknowledge.
        var connection: UInt64 = 0
        var settlings: [Settling] = []
        var isScheduled = false
        /// The connection does not read any more.
        var isPaused = false
        /// Why the broker has accepted no subscription on the present connection, or there is none.
        var interruption: String? = "the broker has not accepted it yet"
    }

    /// Complete when the broker has accepted the subscription, or never will.
    let accepted = Promise<Void>()
    private let state = NIOLockedValueBox(State())
    private let window: Int
    private let windowBytes: Int

    init(_ options: ClientOptions) {
        window = options.deliveryWindow
        windowBytes = options.deliveryWindowBytes
    }

    // MARK: The loop's side

    private typealias Outcome = Result<Delivery?, ClientError>

    /// The next delivery; nil, and the rest stays for the next loop, if the task is cancelled.
    /// `resume` is called if the connection may read again.
    func next(resume: () -> Void) async throws(ClientError) -> Delivery? {
        let id = state.withLockedValue { state -> UInt64 in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        // Looked at first: a loop that finds something each time would never end.
        if Task.isCancelled { return nil }
        if let (outcome, isRoom) = state.withLockedValue({ ready(&$0) }) {
            if isRoom { resume() }
            return try outcome.get()
        }
        let (outcome, isRoom) = await wait(id)
        if isRoom { resume() }
        return try outcome.get()
    }

    /// What there is already, and whether the connection has room again by that.
    private func ready(_ state: inout State) -> (Outcome, isRoom: Bool)? {
        guard let delivery = state.deliveries.popFirst() else {
            return state.end.map { ($0, false) }
        }
        state.bytes -= delivery.payload.count
        let isRoom = state.isPaused && hasRoom(state)
        if isRoom { state.isPaused = false }
        return (.success(delivery), isRoom)
    }

    private func wait(_ id: UInt64) async -> (Outcome, isRoom: Bool) {
        var isRoom = false
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let found = state.withLockedValue { state -> (Outcome, isRoom: Bool)? in
                    // The handler below has run already and has found nobody.
                    if Task.isCancelled { return (.success(nil), false) }
                    if let found = ready(&state) { return found }
                    state.waiters.append((id, continuation))
                    return nil
                }
                if let found {
                    isRoom = found.isRoom
                    continuation.resume(returning: found.0)
                }
            }
        } onCancel: {
            let waiter = state.withLockedValue { state -> Waiter? in
                guard let index = state.waiters.firstIndex(where: { $0.id == id }) else {
                    return nil
                }
                return state.waiters.remove(at: index)
            }
            waiter?.continuation.resume(returning: .success(nil))
        }
        return (outcome, isRoom)
    }

    /// Hands in an ACK or a NACK. Nil if its delivery is of an earlier connection; else whether the
    /// caller has to have the event loop drain the queue.
    func settle(_ settling: Settling, connection: UInt64) throws(ClientError) -> Bool? {
        try state.withLock { state throws(ClientError) -> Bool? in
            if let end = state.end {
                if case .failure(let error) = end { throw error }
                throw .closed
            }
            guard state.connection == connection else { return nil }
            state.settlings.append(settling)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
    }

    // MARK: The connection's side

    /// All that is to be settled.
    func takeSettlings() -> [Settling] {
        state.withLockedValue { state in
            state.isScheduled = false
            defer { state.settlings = [] }
            return state.settlings
        }
    }

    /// These have come. Whoever waits is resumed with no lock held.
    func add(_ arrived: [Delivery]) {
        let resumed = state.withLockedValue { state -> [(Waiter, Delivery)] in
            guard state.end == nil else { return [] }
            var resumed: [(Waiter, Delivery)] = []
            for delivery in arrived {
                if let waiter = state.waiters.popFirst() {
                    resumed.append((waiter, delivery))
                } else {
                    state.deliveries.append(delivery)
                    state.bytes += delivery.payload.count
                }
            }
            return resumed
        }
        for (waiter, delivery) in resumed {
            waiter.continuation.resume(returning: .success(delivery))
        }
    }

    private func hasRoom(_ state: State) -> Bool {
        state.deliveries.count < window && state.bytes < windowBytes
    }

    /// Whether more may be read; if not, `next` calls its `resume` when that changes.
    func mayRead() -> Bool {
        state.withLockedValue { state in
            let hasRoom = hasRoom(state)
            state.isPaused = !hasRoom
            return hasRoom
        }
    }

    /// The connection has ended: what it has delivered and nobody has seen comes again.
    func disconnect(_ reason: String) -> [Settling] {
        state.withLockedValue { state in
            state.connection += 1
            state.interruption = reason
            state.deliveries = []
            state.bytes = 0
            defer { state.settlings = [] }
            return state.settlings
        }
    }

    /// The broker has accepted it.
    func resumed() { state.withLockedValue { $0.interruption = nil } }

    /// It has no connection, for this reason.
    func interrupted(_ reason: String) { state.withLockedValue { $0.interruption = reason } }

    /// Why nothing can come just now; nil if it can.
    var interruption: String? { state.withLockedValue { $0.interruption } }

    /// The number that deliveries of the present connection carry.
    var connection: UInt64 { state.withLockedValue { $0.connection } }

    /// There will be no more deliveries; those that nobody has seen are forgotten.
    func finish(_ error: ClientError?) {
        accepted.complete(.failure(error ?? .closed))
        let (waiters, settlings) = state.withLockedValue {
            state -> (Deque<Waiter>, [Settling]) in
            guard state.end == nil else { return ([], []) }
            state.end = error.map { .failure($0) } ?? .success(nil)
            state.deliveries = []
            state.bytes = 0
            defer {
                state.waiters = []
                state.settlings = []
            }
            return (state.waiters, state.settlings)
        }
        for waiter in waiters {
            waiter.continuation.resume(returning: error.map { .failure($0) } ?? .success(nil))
        }
        for settling in settlings { settling.promise?.complete(.failure(error ?? .closed)) }
    }
}
