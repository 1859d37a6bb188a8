internal import Synchronization
internal import Threads
internal import WAL

/// Appends the messages of a log with the ids that they have; `lost` frames stand for those
/// between. Does not wait for the disk, except when much waits for it already.
///
/// One thread at a time.
final class LogFiller {
    private let log: Log
    private let failures = Failures()
    /// The id that the next append gets.
    private(set) var nextID: UInt64 = 0
    private(set) var messages: UInt64 = 0
    /// The ids that `lost` frames stand for: ascending, apart.
    private(set) var lost: [ClosedRange<MessageID>] = []
    private var bytesSinceCommit = 0

    /// How many bytes are gathered before the committers are told. While they work on one commit
    /// they take all that has gathered for the next, so this only matters for the first.
    private static let commitBytes = 256 << 10

    /// The first failure of any append.
    private final class Failures: AppendObserver {
        private let first = Mutex<LogError?>(nil)

        func note(_ error: LogError) { first.withLock { $0 = $0 ?? error } }

        func check() throws(LogError) {
            if let error = first.withLock({ $0 }) { throw error }
        }

        func appended(first: MessageID, count: Int, tag: UInt64) {}
        func appendFailed(count: Int, tag: UInt64, error: LogError) { note(error) }
    }

    /// Fills an empty log.
    init(_ log: Log) { self.log = log }

    /// What became of a message.
    enum Outcome {
        case appended
        /// It fits no frame: a `lost` frame stands for it.
        case tooLarge
        /// Its id is so high that no log of ours can go on behind it; nothing stands for it.
        case idTooHigh
    }

    /// Appends a message as `id`, which is at least `nextID`.
    func append(_ message: borrowing Message, as id: UInt64) throws(LogError) -> Outcome {
        precondition(id >= nextID, "ids ascend")
        try failures.check()
        guard id < .max - 2 else { return .idTooHigh }
        if id > nextID { try appendLost(id - nextID) }
        while true {
            do {
                try log.append(message, observer: failures, tag: 0)
                break
            } catch .invalidMessage {
                try appendLost(1)
                return .tooLarge
            } catch .overloaded {
                waitForRoom()
            }
        }
        nextID += 1
        messages += 1
        bytesSinceCommit += message.payload.byteCount + 128
        if bytesSinceCommit >= LogFiller.commitBytes {
            log.commit()
            bytesSinceCommit = 0
        }
        return .appended
    }

    /// Waits until everything is durable, and closes the log.
    func finish() throws(LogError) {
        log.commit()
        do {
            try log.close()
        } catch {
            // What made an append fail says more than what closing makes of it.
            try failures.check()
            throw error
        }
        try failures.check()
        precondition(log.durable.upperBound == MessageID(nextID), "all ids have come through")
    }

    /// Gives up: closes the log, whatever comes of it.
    func abandon() { try? log.close() }

    private func appendLost(_ count: UInt64) throws(LogError) {
        let failures = failures
        while true {
            do {
                try log.appendLost(count) { result in
                    if case .failure(let error) = result { failures.note(error) }
                }
                break
            } catch .overloaded {
                waitForRoom()
            }
        }
        let first = MessageID(nextID)
        nextID += count
        let last = MessageID(nextID - 1)
        // Next to each other: a message that did not fit, behind ids that were gone.
        if let before = lost.last, before.upperBound.rawValue + 1 == first.rawValue {
            lost[lost.count - 1] = before.lowerBound...last
        } else {
            lost.append(first...last)
        }
    }

    private func waitForRoom() {
        log.commit()
        let room = Monitor(false)
        log.notifyRoom {
            room.withLock { $0 = true }
            room.signal()
        }
        _ = room.wait { $0 ? true : nil }
    }
}
