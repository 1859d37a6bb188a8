import Synchronization

/// The tasks of one commit. No order is promised between tasks, so once their appends are durable
/// several threads may tell them: each takes the next who has not been told.
///
/// Unchecked: as long as it belongs to a batch, the lock of the log or whoever has the batch guards
/// `waiting`. Then it does not change until all have been told.
final class WaitingTasks: @unchecked Sendable {
    private var waiting: [(ticket: AppendTicket, id: UInt64)] = []
    /// How many they are, and still after they have been told and forgotten.
    private(set) var count = 0
    /// The first that nobody has taken; beyond the end when all are told or being told.
    private let next = Atomic<Int>(0)
    private let told = Atomic<Int>(0)

    /// Has room for about so many.
    init(expecting count: Int) { waiting.reserveCapacity(min(count, 4096)) }

    func append(_ ticket: AppendTicket, id: UInt64) {
        waiting.append((ticket, id))
        count += 1
    }

    /// Those whom nobody has taken.
    var left: Int { max(0, count - next.load(ordering: .relaxed)) }

    /// Tells until nobody is left.
    func tell() {
        while tellOne() {}
    }

    /// Tells the next that the append is durable, or has failed; false if nobody is left.
    func tellOne(_ failure: LogError? = nil) -> Bool {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < count else { return false }
        let (ticket, id) = waiting[index]
        ticket.finish(failure.map { .failure($0) } ?? .success(MessageID(id)))
        // The last one frees them: the committer, which drops this object, has better things to do.
        if told.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue == count { waiting = [] }
        return true
    }

    /// Has the cooperative pool tell them, which blocks nothing there. Told by a thread of the log,
    /// each task would wake a thread of the pool that takes the processor, runs it and sleeps
    /// again: two switches for each message. A job wakes one thread at most, and finds the others
    /// awake.
    func startJobs() {
        Task.detached { [self] in
            // The second is started by the first: the committer has the disk to look after.
            Task.detached { [self] in tell() }
            tell()
        }
    }
}
