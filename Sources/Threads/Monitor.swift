// One of the two files of this module that the compiler cannot check (the other is
// OwnedThread.swift): a plain mutex with a condition.

public import Glibc

/// A value with a lock and a condition. A plain pthread mutex: `Synchronization.Mutex` collapses
/// when more threads want it than there are cores, and has no condition to wait for.
///
/// Nothing may block while it is held but `wait`, which lets go of it. Unchecked: the
/// value is touched with the mutex held, and nowhere else.
@safe public final class Monitor<Value>: @unchecked Sendable {
    @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
    @usableFromInline let condition: UnsafeMutablePointer<pthread_cond_t>
    @usableFromInline var value: Value

    /// Begins with a value, unlocked.
    public init(_ value: sending Value) {
        self.value = value
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        var kind = pthread_mutexattr_t()
        unsafe pthread_mutexattr_init(&kind)
        // What is done under a lock takes less than a microsecond, mostly; to sleep and be woken
        // takes ten. So a thread looks a while whether the lock is given up before it sleeps.
        unsafe pthread_mutexattr_settype(&kind, Int32(PTHREAD_MUTEX_ADAPTIVE_NP))
        unsafe pthread_mutex_init(mutex, &kind)
        unsafe pthread_mutexattr_destroy(&kind)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        // Deadlines are monotonic: setting the wall clock must neither stall nor wake anybody.
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Runs `body` with the value, alone. (Inlinable, as are the others: it is on the way of every
    /// message, and without that a call through a table for each.)
    @inlinable
    public func withLock<R, E: Error>(
        _ body: (inout Value) throws(E) -> sending R
    ) throws(E) -> sending R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body(&value)
    }

    /// Waits until `ready` gives a result; nil if `deadline` (monotonic nanoseconds) passes first.
    /// `ready` may move the deadline, since it is asked for again after each wake.
    @inlinable
    public func wait<R>(
        deadline: (borrowing Value) -> UInt64?, until ready: (inout Value) -> R?
    ) -> R? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while true {
            if let result = ready(&value) { return result }
            guard let limit = deadline(value) else {
                unsafe pthread_cond_wait(condition, mutex)
                continue
            }
            var time = timespec(
                tv_sec: Int(limit / 1_000_000_000), tv_nsec: Int(limit % 1_000_000_000))
            if unsafe pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT {
                return ready(&value)
            }
        }
    }

    /// Waits until `ready` gives a result.
    @inlinable
    public func wait<R>(until ready: (inout Value) -> R?) -> R {
        while true {
            if let result = wait(deadline: { _ in nil }, until: ready) { return result }
        }
    }

    /// Wakes one thread that waits.
    public func signal() { unsafe pthread_cond_signal(condition) }

    /// Wakes all threads that wait.
    public func broadcast() { unsafe pthread_cond_broadcast(condition) }
}
