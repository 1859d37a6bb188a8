import DequeModule

/// Publishes that have not been answered, in runs: those into one topic that follow each other are
/// one, however many. What has come of them lies here while other answers are in the way.
struct PublishRuns {
    typealias Outcome = AnswerQueue.Outcome

    private struct Run {
        let topic: ObjectIdentifier
        /// How many of them wait for the disk.
        var waiting = 1
        /// What has come of the others, oldest first. The first one apart: where nothing is in the
        /// way there are no more, and no memory is taken for them.
        var done: Outcome?
        var more: Deque<Outcome> = []
        /// The number of the next run of its lane.
        var next: Int?

        init(_ topic: ObjectIdentifier) { self.topic = topic }

        mutating func settle(_ outcome: Outcome) {
            waiting -= outcome.count
            if done == nil {
                done = outcome
            } else if more.isEmpty {
                if done?.extend(by: outcome) != true { more.append(outcome) }
            } else if !more[more.count - 1].extend(by: outcome) {
                more.append(outcome)
            }
        }
    }

    /// The runs into one topic that wait for the disk, each of which knows the next.
    private struct Lane {
        var first: Int
        var last: Int
    }

    private var runs: Deque<Run> = []
    /// The number of the first run; the others follow.
    private var firstNumber = 0
    /// Kept from the second run on until all are gone: a run that is alone is found without them.
    private var lanes: [ObjectIdentifier: Lane] = [:]
    private var hasLanes = false
    /// Publishes that wait for the disk.
    private(set) var waiting = 0
    /// Publishes that something has come of, and that is not told yet.
    private(set) var answered = 0

    /// Another publish, in a run of its own.
    mutating func append(_ topic: ObjectIdentifier) {
        if !hasLanes, !runs.isEmpty {
            hasLanes = true
            if runs[0].waiting > 0 { enter(firstNumber) }
        }
        runs.append(Run(topic))
        waiting += 1
        if hasLanes { enter(firstNumber + runs.count - 1) }
    }

    /// Another publish, in the last run; false if that is of another topic.
    mutating func extend(_ topic: ObjectIdentifier) -> Bool {
        let last = runs.count - 1
        guard runs[last].topic == topic else { return false }
        if hasLanes, runs[last].waiting == 0 { enter(firstNumber + last) }
        runs[last].waiting += 1
        waiting += 1
        return true
    }

    /// Makes the run of this number the last of its lane.
    private mutating func enter(_ number: Int) {
        let topic = runs[number - firstNumber].topic
        if let lane = lanes[topic] {
            runs[lane.last - firstNumber].next = number
            lanes[topic] = Lane(first: lane.first, last: number)
        } else {
            lanes[topic] = Lane(first: number, last: number)
        }
    }

    /// The oldest publishes into `topic` that wait have come to this.
    mutating func settle(_ topic: ObjectIdentifier, _ outcome: Outcome) {
        waiting -= outcome.count
        answered += outcome.count
        if !hasLanes, runs.count == 1, runs[0].topic == topic, runs[0].waiting >= outcome.count {
            return runs[0].settle(outcome)
        }
        var left = outcome
        while let lane = lanes[topic] {
            let index = lane.first - firstNumber
            let (part, rest) = left.split(at: runs[index].waiting)
            runs[index].settle(part)
            if runs[index].waiting == 0 {
                lanes[topic] = runs[index].next.map { Lane(first: $0, last: lane.last) }
            }
            guard let rest else { return }
            left = rest
        }
        preconditionFailure("more publishes came back than were made")
    }

    /// Takes the only run out if it is of so many publishes into `topic`, of which nothing has come
    /// back before: all of them have.
    mutating func takeOnly(_ topic: ObjectIdentifier, _ count: Int) -> Bool {
        guard runs.count == 1, runs[0].topic == topic, runs[0].waiting == count,
            runs[0].done == nil
        else { return false }
        waiting -= count
        if hasLanes { lanes[topic] = nil }
        removeFirst()
        return true
    }

    /// What has come of the first publishes of the first run, and whether those were its last; nil
    /// if nothing has.
    mutating func next() -> (outcome: Outcome, isLast: Bool)? {
        guard let done = runs[0].done else { return nil }
        answered -= done.count
        runs[0].done = runs[0].more.popFirst()
        guard runs[0].waiting == 0, runs[0].done == nil else { return (done, false) }
        removeFirst()
        return (done, true)
    }

    private mutating func removeFirst() {
        runs.removeFirst()
        firstNumber += 1
        // Whoever waits is in a lane: there are none left.
        if runs.isEmpty { hasLanes = false }
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

    /// Becomes what has come of these and of those behind them; false if that is not one outcome.
    mutating func extend(by other: Self) -> Bool {
        guard case .durable(let first, let count) = self,
            case .durable(let otherFirst, let otherCount) = other,
            first + UInt64(count) == otherFirst
        else { return false }
        self = .durable(first: first, count: count + otherCount)
        return true
    }
}
