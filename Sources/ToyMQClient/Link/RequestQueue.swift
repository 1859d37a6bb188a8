internal import DequeModule
internal import NIOConcurrencyHelpers
internal import NIOCore

/// Requests on their way to the loop, and the bound on how many are unanswered. For any thread.
final class RequestQueue: Sendable {
    /// Somebody who waits for room.
    private struct Waiter {
        let number: UInt64
        let bytes: Int
        let promise: Promise<Void>
    }

    private struct State {
        var fresh: [Request] = []
        /// A drain is on its way.
        var isScheduled = false
        var isClosed = false
        /// Unanswered, those with a place that have not been handed in yet included.
        var count = 0
        var bytes = 0
        var waiting: Deque<Waiter> = []
        var nextNumber: UInt64 = 0
    }

    private let state = NIOLockedValueBox(State())
    private let window: Int
    private let windowBytes: Int

    init(_ options: ClientOptions) {
        window = options.publishWindow
        windowBytes = options.publishWindowBytes
    }

    /// Waits until there is room for a request of so many bytes, in the order of the calls.
    func waitForRoom(bytes: Int) async throws(ClientError) {
        let waiter = try state.withLock { state throws(ClientError) -> Waiter? in
            guard !state.isClosed else { throw .closed }
            if state.waiting.isEmpty, fits(bytes, state) {
                state.count += 1
                state.bytes += bytes
                return nil
            }
            let waiter = Waiter(number: state.nextNumber, bytes: bytes, promise: Promise())
            state.nextNumber += 1
            state.waiting.append(waiter)
            return waiter
        }
        guard let waiter else { return }
        do {
            try await waiter.promise.value()
        } catch {
            withdraw(waiter, error)
            throw error
        }
    }

    private func fits(_ bytes: Int, _ state: State) -> Bool {
        state.count < window && (state.count == 0 || state.bytes + bytes <= windowBytes)
    }

    /// A cancelled waiter leaves. The next ones get the room that it was given meanwhile, or what
    /// there is and was too little for it: they may be smaller.
    private func withdraw(_ waiter: Waiter, _ error: ClientError) {
        guard error == .cancelled else { return }
        let hadRoom = state.withLockedValue { state -> Bool in
            if let index = state.waiting.firstIndex(where: { $0.number == waiter.number }) {
                state.waiting.remove(at: index)
                return false
            }
            return !state.isClosed
        }
        if hadRoom {
            release(count: 1, bytes: waiter.bytes)
        } else {
            release(count: 0, bytes: 0)
        }
    }

    /// Hands in a request that has room. True if the caller has to have the loop drain the queue.
    func add(_ request: Request) throws(ClientError) -> Bool {
        try state.withLock { state throws(ClientError) -> Bool in
            guard !state.isClosed else { throw .closed }
            state.fresh.append(request)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
    }

    /// All that was handed in since the last call.
    func take() -> [Request] {
        state.withLockedValue { state in
            state.isScheduled = false
            defer { state.fresh = [] }
            return state.fresh
        }
    }

    /// So many requests have been answered.
    func release(count: Int, bytes: Int) {
        let granted = state.withLockedValue { state -> [Waiter] in
            state.count -= count
            state.bytes -= bytes
            var granted: [Waiter] = []
            while let next = state.waiting.first, fits(next.bytes, state) {
                state.count += 1
                state.bytes += next.bytes
                granted.append(state.waiting.removeFirst())
            }
            return granted
        }
        for waiter in granted { waiter.promise.complete(.success(())) }
    }

    /// Takes no more; those who wait for room are told.
    func close() {
        let waiting = state.withLockedValue { state -> Deque<Waiter> in
            state.isClosed = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for waiter in waiting { waiter.promise.complete(.failure(.closed)) }
    }
}
