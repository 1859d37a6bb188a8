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

    /// Publishes into one topic that follow each other.
    private struct Run {
        let topic: ObjectIdentifier
        /// How many of them wait for the disk.
        var waiting = 1
        /// What has come of the others lies here only while other answers are in the way.
        var done: Outcome?
        var more: [Outcome] = []
    }

    private var entries: Deque<Entry> = []
    /// Invariant: there are as many as entries `publishes`, in their order. Apart from them, so
    /// that another publish is counted in its place.
    private var runs: Deque<Run> = []
    /// Invariant: there are as many as entries `duplicate`, in their order; their tickets grow. Apart
    /// from them, so that one of ten thousand is found by its ticket without a look at each.
    private var duplicates: Deque<Duplicate> = []
    /// Publishes that wait for the disk.
    private(set) var waiting = 0
    /// Bytes of answers that are there and wait for others.
    private var textBytes = 0

    var isEmpty: Bool { entries.isEmpty }

    /// Whether no more commands are to be taken before some have been answered: while a disk hangs,
    /// a client could ask for any number of answers that take memory.
    var isFull: Bool {
        textBytes > AnswerQueue.mostTextBytes || entries.count > AnswerQueue.mostEntries
    }
    private static let mostTextBytes = 256 << 10
    private static let mostEntries = 32_768

    /// Another publish into `topic` waits for the disk.
    mutating func addPublish(_ topic: ObjectIdentifier) {
        waiting += 1
        if case .publishes? = entries.last, runs[runs.count - 1].topic == topic {
            runs[runs.count - 1].waiting += 1
        } else {
            entries.append(.publishes)
            runs.append(Run(topic: topic))
        }
    }

    /// A publish waits for another one of its key. Tickets are given out in the order of publishing.
    mutating func addDuplicate(ticket: UInt64) {
        if let last = duplicates.last {
            precondition(last.ticket < ticket, "a ticket that is older than the one before")
        }
        waiting += 1
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
        var left = outcome
        for index in runs.indices where runs[index].topic == topic && runs[index].waiting > 0 {
            let (part, rest) = left.split(at: runs[index].waiting)
            waiting -= part.count
            runs[index].waiting -= part.count
            if runs[index].done == nil {
                runs[index].done = part
            } else {
                runs[index].more.append(part)
            }
            guard let rest else { return }
            left = rest
        }
        preconditionFailure("more publishes came back than were made")
    }

    /// Takes publishes out that have come back, if they are all that is in the queue.
    mutating func takeAll(_ topic: ObjectIdentifier, _ count: Int) -> Bool {
        guard entries.count == 1, case .publishes = entries[0], runs[0].topic == topic,
            runs[0].waiting == count, runs[0].done == nil
        else { return false }
        entries.removeFirst()
        runs.removeFirst()
        waiting -= count
        return true
    }

    /// The answer to the publish with this ticket is there.
    mutating func settle(ticket: UInt64, _ text: [UInt8]) {
        guard let index = index(ticket: ticket), duplicates[index].text == nil else { return }
        duplicates[index].text = text
        waiting -= 1
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
            runs.removeAll()
            duplicates.removeAll()
            textBytes = 0
            return .closing
        case .publishes: return nextOfRun()
        }
    }

    /// What has come of the first publishes of the first run, which is what goes out next.
    private mutating func nextOfRun() -> Output? {
        guard let done = runs[0].done else { return nil }
        runs[0].done = runs[0].more.isEmpty ? nil : runs[0].more.removeFirst()
        if runs[0].waiting == 0, runs[0].done == nil {
            runs.removeFirst()
            entries.removeFirst()
        }
        return .outcome(done)
    }
}

extension AnswerQueue.Outcome {
    var count: Int {
        switch self {
        case .durable(_, let count), .failed(_, let count): count
        }
    }

    /// The first `limit` of them, and what is left.
    func split(at limit: Int) -> (Self, Self?) {
        guard count > limit else { return (self, nil) }
        switch self {
        case .durable(let first, let count):
            return (
                .durable(first: first, count: limit),
                .durable(first: first + UInt64(limit), count: count - limit)
            )
        case .failed(let refusal, let count):
            return (.failed(refusal, count: limit), .failed(refusal, count: count - limit))
        }
    }
}
