import Glibc
import Synchronization

/// SIGINT and SIGTERM, for a program that finishes what is at hand before it ends.
public enum Cancellation {
    private static let requested = Atomic(false)
    private static let secondExit = Atomic<Int32>(0)

    /// Whether such a signal has come since `listen`.
    public static var isRequested: Bool { requested.load(ordering: .relaxed) }

    /// Takes the two signals from now on. A second one ends the program at once, with this exit
    /// code: what is at hand may take long, and the reader of a full pipe may never come back.
    public static func listen(secondExits code: Int32) {
        // Both have to be there before a signal handler touches them: they are made when they are
        // used first, under a lock.
        _ = isRequested
        secondExit.store(code, ordering: .relaxed)
        var listened = sigset_t()
        sigemptyset(&listened)
        for number in [SIGINT, SIGTERM] {
            sigaddset(&listened, number)
            signal(number) { _ in
                if Cancellation.requested.exchange(true, ordering: .relaxed) {
                    _exit(Cancellation.secondExit.load(ordering: .relaxed))
                }
            }
        }
        // Whoever started this may have had them blocked, as the threads of some runtimes do.
        pthread_sigmask(SIG_UNBLOCK, &listened, nil)
    }
}
