internal import NIOConcurrencyHelpers

/// A result that is set once, on any thread, and awaited by any number of tasks.
final class Promise<Value: Sendable>: Sendable {
    typealias Outcome = Result<Value, ClientError>
    private typealias Waiter = (id: UInt64, continuation: CheckedContinuation<Outcome, Never>)

    private struct State {
        var outcome: Outcome?
        var waiters: [Waiter] = []
        var nextID: UInt64 = 0
    }
    private let state = NIOLockedValueBox(State())

    /// The first call counts. Resumes with no lock held.
    func complete(_ outcome: Outcome) {
        let waiters = state.withLockedValue { state -> [Waiter] in
            guard state.outcome == nil else { return [] }
            state.outcome = outcome
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: outcome) }
    }

    /// The result, as soon as there is one; `.cancelled` if the task is cancelled before.
    func value() async throws(ClientError) -> Value {
        if let outcome = state.withLockedValue({ $0.outcome }) { return try outcome.get() }
        let id = state.withLockedValue { state -> UInt64 in
            state.nextID += 1
            return state.nextID
        }
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let known = state.withLockedValue { state -> Outcome? in
                    if let outcome = state.outcome { return outcome }
                    // The handler below has run already and has found nobody.
                    if Task.isCancelled { return .failure(.cancelled) }
                    state.waiters.append((id, continuation))
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            let waiter = state.withLockedValue { state -> Waiter? in
                guard let index = state.waiters.firstIndex(where: { $0.id == id }) else {
                    return nil
                }
                return state.waiters.remove(at: index)
            }
            waiter?.continuation.resume(returning: .failure(.cancelled))
        }
        return try outcome.get()
    }
}
