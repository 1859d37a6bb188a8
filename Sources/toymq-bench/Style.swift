import ArgumentParser

/// How the callers of a measurement append. All of them are closed loops: a caller appends its next
/// message when the one before is durable.
enum Style: String, CaseIterable, ExpressibleByArgument, Sendable {
    case blocking, callback, async, observer

    static let help = """
        blocking: a thread for each caller, in `appendBlocking`. callback: a closure for each \
        message; it runs on the thread that commits and appends that caller's next message. It \
        shows what the log itself can do, since nobody has to be woken. async: a Swift task for \
        each caller, in `await append`; each message wakes a task on the cooperative pool. \
        observer: one thread stands for all callers, as a broker's event loop does; it is woken \
        once a commit, appends for every caller whose message is durable, and says `commit` once.
        """

    /// What is measured where nothing was asked for. One caller is a program that does one thing
    /// after the other. For more, the log alone and the log with Swift's tasks.
    static func usual(callers: Int) -> [Style] { callers == 1 ? [.blocking] : [.callback, .async] }
}
