import Dispatch
import Synchronization

/// How long a wait goes on when it is over for another reason than time.
private let pauseBetweenLooks = DispatchTimeInterval.milliseconds(50)

/// Runs async code and waits for it on this thread, which has to be one that may wait: the
/// process's main one, and none of the cooperative pool. After `seconds`, or soon after `isOver`
/// holds, the task is cancelled; its result counts all the same.
public func waitFor<Value: Sendable, Failure: Error>(
    seconds: Double? = nil, until isOver: (() -> Bool)? = nil,
    _ body: @escaping @Sendable () async throws(Failure) -> Value
) throws(Failure) -> Value {
    let box = Box<Value, Failure>()
    let done = DispatchSemaphore(value: 0)
    let task = Task.detached {
        do throws(Failure) { box.set(.success(try await body())) } catch {
            box.set(.failure(error))
        }
        done.signal()
    }
    let end = seconds.map { .now() + $0 } ?? DispatchTime.distantFuture
    while true {
        // A signal handler may do next to nothing: whether it has run has to be looked at.
        let look = isOver == nil ? end : min(end, .now() + pauseBetweenLooks)
        if done.wait(timeout: look) == .success { break }
        guard isOver?() ?? false || DispatchTime.now() >= end else { continue }
        task.cancel()
        done.wait()
        break
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
