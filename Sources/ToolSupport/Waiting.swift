import Dispatch
import Synchronization

/// Runs async code and waits for it on this thread, which has to be one that may wait: the
/// process's main one, and none of the cooperative pool. After `seconds` the task is cancelled; its
/// result counts all the same.
public func waitFor<Value: Sendable, Failure: Error>(
    seconds: Double? = nil, _ body: @escaping @Sendable () async throws(Failure) -> Value
) throws(Failure) -> Value {
    let box = Box<Value, Failure>()
    let done = DispatchSemaphore(value: 0)
    let task = Task.detached {
        do throws(Failure) { box.set(.success(try await body())) } catch {
            box.set(.failure(error))
        }
        done.signal()
    }
    if let seconds, done.wait(timeout: .now() + seconds) == .timedOut {
        task.cancel()
        done.wait()
    } else if seconds == nil {
        done.wait()
    }
    return try box.take()
}

/// What a task hands to the thread that waits for it.
private final class Box<Value: Sendable, Failure: Error>: Sendable {
    private let result = Mutex<Result<Value, Failure>?>(nil)

    func set(_ value: Result<Value, Failure>) { result.withLock { $0 = value } }

    func take() throws(Failure) -> Value {
        guard let value = result.withLock({ $0 }) else {
            preconditionFailure("the task signals when it has set its result")
        }
        return try value.get()
    }
}
