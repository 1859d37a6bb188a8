import Synchronization

/// The result of one append, for the task that waits for it. One of them for each append: an atomic
/// costs no memory of its own and no lock.
///
/// Unchecked: the waiting one writes `task` before it says `waiting`, the teller `result` before
/// it says `done`; each reads the other's only after it has seen that said.
final class AppendTicket: @unchecked Sendable {
    typealias Outcome = Result<MessageID, LogError>

    private enum Stage {
        static let open: UInt8 = 0
        static let waiting: UInt8 = 1
        static let done: UInt8 = 2
    }
    private let stage = Atomic<UInt8>(Stage.open)
    private var task: Suspension<Outcome>?
    private var result: Outcome?

    var hasEnded: Bool { stage.load(ordering: .acquiring) == Stage.done }

    /// Called once.
    func finish(_ result: Outcome) {
        self.result = result
        let before = stage.exchange(Stage.done, ordering: .acquiringAndReleasing)
        if before == Stage.waiting { task.take()?.resume(result) }
    }

    /// Called once.
    func value() async throws(LogError) -> MessageID {
        let result = await Suspension.wait { task in
            self.task = task
            let (isWaiting, _) = stage.compareExchange(
                expected: Stage.open, desired: Stage.waiting, ordering: .acquiringAndReleasing)
            guard !isWaiting, let result = self.result else { return }
            self.task = nil
            task.resume(result)
        }
        return try result.get()
    }
}
