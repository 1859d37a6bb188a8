import Glibc
import Synchronization

/// Set by SIGINT and SIGTERM while a log is followed.
enum Cancellation {
    private static let requested = Atomic(false)

    static var isRequested: Bool { requested.load(ordering: .relaxed) }

    /// The first signal lets what is at hand be finished. A second one ends the program at once:
    /// the reader of a full pipe may never come back.
    static func listen() {
        // Its storage has to be there before a signal handler touches it.
        _ = isRequested
        var listened = sigset_t()
        sigemptyset(&listened)
        for number in [SIGINT, SIGTERM] {
            sigaddset(&listened, number)
            signal(number) { _ in
                if Cancellation.requested.exchange(true, ordering: .relaxed) { _exit(0) }
            }
        }
        // Whoever started this may have had them blocked, as the threads of some runtimes do.
        pthread_sigmask(SIG_UNBLOCK, &listened, nil)
    }
}
