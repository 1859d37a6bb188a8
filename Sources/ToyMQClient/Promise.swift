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
        let id = nextID()
        let outcome = await withTaskCancellationHandler {
            // The handler below may have run already and have found nobody.
            await wait(id) { Task.isCancelled ? .failure(.cancelled) : nil }
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

    /// The result, however often the task is cancelled meanwhile: for what has to be over.
    func outcome() async -> Outcome { await wait(nextID()) { nil } }

    private func nextID() -> UInt64 {
        state.withLockedValue { state in
            state.nextID += 1
            return state.nextID
        }
    }

    private func wait(_ id: UInt64, unless isOver: () -> Outcome?) async -> Outcome {
        await withCheckedContinuation { continuation in
            let known = state.withLockedValue { state -> Outcome? in
                if let outcome = state.outcome ?? isOver() { return outcome }
                state.waiters.append((id, continuation))
                return nil
            }
            if let known { continuation.resume(returning: known) }
        }
    }
}
