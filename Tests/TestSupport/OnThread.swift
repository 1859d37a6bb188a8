import Threads

/// Runs `body` on a thread that may wait, as a program's main one does: tests run on the pool. The
/// thread has ended when this returns.
public func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    var thread: OwnedThread?
    let value = await withCheckedContinuation { continuation in
        thread = OwnedThread { continuation.resume(returning: body()) }
    }
    // It has nothing left to do.
    thread?.join()
    return value
}
