// A lock with a condition, threads and the monotonic clock: one of the two files of this module that
// the compiler cannot check; the other is Unsafe/Bytes.swift. The log has the same for itself and keeps it: this module may use nothing
// of the log but its public contract.

internal import Glibc

/// A value with a lock and a condition: a plain pthread mutex. `Synchronization.Mutex` collapses
/// when more threads want it than there are cores, and has no condition.
///
/// Nothing may block while it is held but `wait`, which lets go of it. Unchecked: the
/// value is touched with the mutex held, and nowhere else.
@safe final class Monitor<Value>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var value: Value

    init(_ value: sending Value) {
        self.value = value
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
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

    /// Runs `body` with the value, alone.
    func withLock<R, E: Error>(_ body: (inout Value) throws(E) -> R) throws(E) -> R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body(&value)
    }

    /// Waits until `ready` gives a result, or until the deadline (monotonic nanoseconds) has passed
    /// and it still gives none.
    func wait<R>(deadline: (Value) -> UInt64?, until ready: (inout Value) -> R?) -> R? {
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
    func wait<R>(until ready: (inout Value) -> R?) -> R {
        while true {
            if let result = wait(deadline: { _ in nil }, until: ready) { return result }
        }
    }

    /// Wakes one thread that waits.
    func signal() { unsafe pthread_cond_signal(condition) }

    /// Wakes all threads that wait.
    func broadcast() { unsafe pthread_cond_broadcast(condition) }
}

/// A plain thread that somebody owns and joins.
final class OwnedThread: Sendable {
    private enum Stage { case running, joining, joined }

    private let handle: pthread_t
    private let stage = Monitor(Stage.running)

    private final class Start {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts a thread.
    init(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let start = unsafe Unmanaged.passRetained(Start(body))
        let failure = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                start.body()
                return nil
            }, unsafe start.toOpaque())
        precondition(failure == 0, "pthread_create: error \(failure)")
        handle = thread
    }

    /// Waits until the thread has ended, whoever else does so, now or before.
    func join() {
        let isFirst = stage.withLock { stage in
            guard case .running = stage else { return false }
            stage = .joining
            return true
        }
        guard isFirst else {
            return stage.wait { if case .joined = $0 { () } else { nil } }
        }
        pthread_join(handle, nil)
        stage.withLock { $0 = .joined }
        stage.broadcast()
    }
}

/// The clock by which deadlines go.
public enum MonotonicClock {
    /// clock_gettime(2) of CLOCK_MONOTONIC, nanoseconds.
    public static func now() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Blocks the thread until then (monotonic nanoseconds).
    static func sleep(until deadline: UInt64) {
        var time = timespec(
            tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
        while unsafe clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
    }
}
