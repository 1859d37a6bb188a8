// One of the two files of this module that the compiler cannot check (the other is Monitor.swift):
// threads, and the clock that they wait by.

internal import Glibc

/// A plain thread that somebody owns and joins. Work that blocks on a disk runs on these and never
/// on the cooperative pool, which has only as many threads as the machine has cores.
public final class OwnedThread: Sendable {
    private enum Stage { case running, joining, joined }

    private let handle: pthread_t
    private let stage = Monitor(Stage.running)

    private final class Start {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts a thread.
    public init(_ body: @escaping @Sendable () -> Void) {
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
        // Threads are made once, at start; a machine that has none left cannot run a log or a
        // broker.
        precondition(failure == 0, "pthread_create: error \(failure)")
        handle = thread
    }

    /// Waits until the thread has ended, whoever else does so, now or before.
    public func join() {
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
    public static func sleep(until deadline: UInt64) {
        var time = timespec(
            tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
        while unsafe clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
    }
}
