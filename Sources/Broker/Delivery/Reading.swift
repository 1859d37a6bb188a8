internal import WAL

/// A subscription's place in the log. Touched only by the thread that reads: that it is one at a
/// time is the caller's to see to, as `Subscription.read` says; hence unchecked.
final class Reading: @unchecked Sendable {
    private var reader: LogReader?
    private var log: Log?
    /// The id to be read next; nil before the first read.
    private(set) var position: MessageID?
    /// Acknowledged before the broker was started, ascending: not shown.
    private var skipped: ArraySlice<ClosedRange<MessageID>> = []

    func begin(at id: MessageID, skipping ranges: [ClosedRange<MessageID>]) {
        position = id
        skipped = ranges[...]
    }

    /// Shows messages from its position on; `lost` is told of ids that have no message.
    func read(
        _ log: Log, upTo limit: Int, _ body: (borrowing StoredMessage) -> ReadStep,
        lost: (ClosedRange<MessageID>) -> Void
    ) throws(LogError) -> Int {
        guard var next = position else { return 0 }
        // A topic that was opened again has another log.
        var reader =
            if let reader = reader.take(), self.log === log { reader } else {
                log.reader(from: next)
            }
        let result: Result<Int, LogError>
        do throws(LogError) {
            result = .success(try walk(&reader, log, &next, limit, body, lost))
        } catch { result = .failure(error) }
        self.reader = consume reader
        self.log = log
        position = next
        return try result.get()
    }

    private func walk(
        _ reader: inout LogReader, _ log: Log, _ next: inout MessageID, _ limit: Int,
        _ body: (borrowing StoredMessage) -> ReadStep, _ lost: (ClosedRange<MessageID>) -> Void
    ) throws(LogError) -> Int {
        var count = 0
        while count < limit {
            let stop = passSkipped(&next)
            if reader.position != next { reader = log.reader(from: next) }
            var isOver = false
            let before = count
            _ = try reader.read(upTo: limit - count) { message in
                if message.id > next {
                    lost(next...MessageID(message.id.rawValue - 1))
                    next = message.id
                }
                if let stop, message.id >= stop { return .stopBefore }
                let step = body(message)
                isOver = step != .next
                if step == .stopBefore { return step }
                next = message.id.next
                count += 1
                return step
            }
            if isOver || count == limit { break }
            if let stop, next >= stop { continue }
            // What the reader has passed over at the end of the log has no message either.
            if reader.position > next {
                lost(next...MessageID(reader.position.rawValue - 1))
                next = reader.position
            }
            if count == before || reader.position >= log.durable.upperBound { break }
        }
        return count
    }

    /// Moves over what is not shown; gives where that begins again.
    private func passSkipped(_ next: inout MessageID) -> MessageID? {
        while let range = skipped.first, range.lowerBound <= next {
            next = max(next, range.upperBound.next)
            skipped.removeFirst()
        }
        return skipped.first?.lowerBound
    }
}
