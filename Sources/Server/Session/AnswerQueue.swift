import DequeModule
import WAL
import Wire

/// The answers of a connection, in the order of its commands. Those that are there go out; those
/// behind one that waits for the disk wait with it.
///
/// Runs, not messages: publishes that follow each other are one entry, however many.
struct AnswerQueue {
    /// What came of some publishes of a run, in order.
    enum Outcome {
        case durable(first: UInt64, count: Int)
        case failed(Refusal, count: Int)
    }

    /// What leaves the queue.
    enum Output {
        case text([UInt8])
        case outcome(Outcome)
        /// The answer to a SUB is going out: deliveries may begin behind it.
        case subscribed(generation: UInt64)
        /// Nothing comes behind it; the connection closes.
        case closing
    }

    private enum Entry {
        case text([UInt8])
        /// The next of the runs.
        case publishes
        /// The next of the duplicates.
        case duplicate
        case subscribed(generation: UInt64)
        case closing
    }

    /// A publish that waits for another one of its key, until its answer is there.
    private struct Duplicate {
        let ticket: UInt64
        var text: [UInt8]?
    }

    private var entries: Deque<Entry> = []
    /// Invariant: there are as many as entries `publishes`, in their order. Apart from them, so
    /// that another publish is counted in its place.
    private var runs = PublishRuns()
    /// Invariant: there are as many as entries `duplicate`, in their order; their tickets grow.
    /// Apart from them, so that one of ten thousand is found by its ticket without a look at each.
    private var duplicates: Deque<Duplicate> = []
    /// Duplicates whose answer is not there.
    private var waitingDuplicates = 0
    /// Bytes of answers that are there and wait for others.
    private var textBytes = 0

    var isEmpty: Bool { entries.isEmpty }
    /// Publishes that wait for the disk.
    var waiting: Int { runs.waiting + waitingDuplicates }

    /// Whether no more commands are to be taken before some have been answered: while a disk hangs,
    /// a client could ask for any number of answers that take memory, and the loop's time when all
    /// of them go out.
    var isFull: Bool {
        textBytes > AnswerQueue.mostTextBytes
            || entries.count + runs.answered > AnswerQueue.mostAnswers
    }
    private static let mostTextBytes = 256 << 10
    static let mostAnswers = 32_768

    /// Another publish into `topic` waits for the disk.
    mutating func addPublish(_ topic: ObjectIdentifier) {
        if case .publishes? = entries.last, runs.extend(topic) { return }
        entries.append(.publishes)
        runs.append(topic)
    }

    /// A publish waits for another one of its key. Tickets are given out in the order of
    /// publishing.
    mutating func addDuplicate(ticket: UInt64) {
        if let last = duplicates.last {
            precondition(last.ticket < ticket, "a ticket that is older than the one before")
        }
        waitingDuplicates += 1
        entries.append(.duplicate)
        duplicates.append(Duplicate(ticket: ticket))
    }

    /// An answer that is there, behind others that are not.
    mutating func add(_ text: [UInt8]) {
        textBytes += text.count
        if case .text(var before)? = entries.last {
            // The queue lets go of the text, which would else be copied for the bytes behind it.
            entries[entries.count - 1] = .closing
            before += text
            entries[entries.count - 1] = .text(before)
        } else {
            entries.append(.text(text))
        }
    }

    mutating func addSubscribed(generation: UInt64) {
        entries.append(.subscribed(generation: generation))
    }

    mutating func addClosing() { entries.append(.closing) }

    /// The oldest publishes into `topic` that wait have come to this. They come in the order in
    /// which they were added, topic by topic.
    mutating func settle(_ topic: ObjectIdentifier, _ outcome: Outcome) {
        runs.settle(topic, outcome)
    }

    /// Takes publishes out that have come back, if they are all that is in the queue.
    mutating func takeAll(_ topic: ObjectIdentifier, _ count: Int) -> Bool {
        guard entries.count == 1, case .publishes = entries[0], runs.takeOnly(topic, count) else {
            return false
        }
        entries.removeFirst()
        return true
    }

    /// The answer to the publish with this ticket is there.
    mutating func settle(ticket: UInt64, _ text: [UInt8]) {
        guard let index = index(ticket: ticket), duplicates[index].text == nil else { return }
        duplicates[index].text = text
        waitingDuplicates -= 1
    }

    private func index(ticket: UInt64) -> Int? {
        var range = duplicates.startIndex..<duplicates.endIndex
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            let found = duplicates[middle].ticket
            if found == ticket { return middle }
            range = found < ticket ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return nil
    }

    /// The next thing that can go out; nil if there is none yet.
    mutating func next() -> Output? {
        guard let first = entries.first else { return nil }
        switch first {
        case .text(let text):
            entries.removeFirst()
            textBytes -= text.count
            return .text(text)
        case .duplicate:
            guard let text = duplicates.first?.text else { return nil }
            entries.removeFirst()
            duplicates.removeFirst()
            return .text(text)
        case .subscribed(let generation):
            entries.removeFirst()
            return .subscribed(generation: generation)
        case .closing:
            entries.removeAll()
            runs = PublishRuns()
            duplicates.removeAll()
            textBytes = 0
            return .closing
        case .publishes:
            guard let (outcome, isLast) = runs.next() else { return nil }
            if isLast { entries.removeFirst() }
            return .outcome(outcome)
        }
    }
}
