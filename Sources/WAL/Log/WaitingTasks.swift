import Synchronization

/// The tasks of one commit, whose appends are durable. No order is promised between tasks, so several
/// threads may tell them: each takes the next who has not been told.
final class WaitingTasks: Sendable {
    /// As the log remembers them: its jobs keep them, and free their memory on the pool.
    struct Reference: Sendable { weak let tasks: WaitingTasks? }

    private let runs: [CompletionRun]
    /// The first that nobody has taken; beyond the end when all are told or being told.
    private let next = Atomic<Int>(0)

    init(_ runs: [CompletionRun]) { self.runs = runs }

    /// Nobody is left to be told.
    var areTaken: Bool { next.load(ordering: .relaxed) >= runs.count }

    var count: Int { runs.count }

    /// Tells until nobody is left.
    func tell() {
        while tellOne() {}
    }

    /// Tells the next; false if nobody is left.
    func tellOne() -> Bool {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < runs.count else { return false }
        if case .ticket(let ticket) = runs[index].completion {
            ticket.finish(.success(MessageID(runs[index].first)))
        }
        return true
    }

    /// Has the cooperative pool tell them, which blocks nothing there. Told by a thread of the log,
    /// each task would wake a thread of the pool that takes the processor, runs it and sleeps again:
    /// two switches for each message. A job wakes one thread at most, and finds the others awake.
    func startJobs() {
        Task.detached { [self] in
            // The second is started by the first: the committer has the disk to look after.
            Task.detached { [self] in tell() }
            tell()
        }
    }
}
