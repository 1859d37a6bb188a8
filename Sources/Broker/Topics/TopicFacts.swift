internal import DataDirectory
internal import Threads
internal import WAL

/// What a topic is like just now, for people and for monitoring.
public struct TopicFacts: Hashable, Sendable {
    /// How a topic stands.
    public enum Condition: String, Hashable, Sendable {
        /// Takes messages and delivers them.
        case open
        /// Takes nothing until it has been opened again; what is durable is delivered.
        case failed
        /// Damaged: takes nothing.
        case damaged
        /// Could not be opened.
        case unavailable
    }

    /// A consumer of it.
    public struct ConsumerFacts: Hashable, Sendable {
        /// Its name.
        public let name: String
        /// The lowest id that it has not acknowledged.
        public let firstUnacknowledged: UInt64
        /// How many ids it has not acknowledged, lost ones that it has not come to included; nil
        /// where no log is open.
        public let unacknowledged: UInt64?
        /// Messages in flight.
        public let inFlight: Int
        /// Messages that are due once more.
        public let due: Int
        /// Whether a connection is subscribed as it.
        public let isConnected: Bool
    }

    /// Its name.
    public let name: String
    /// How it stands.
    public let condition: Condition
    /// Why it does not take messages; nil if it does.
    public let reason: String?
    /// The first id that is there; nil where no log is open, and nobody knows.
    public let firstID: UInt64?
    /// The id of the next message; nil where no log is open.
    public let nextID: UInt64?
    /// Dedupe keys remembered.
    public let keys: Int
    /// Commits since it was opened.
    public let commits: UInt64
    /// Messages committed since it was opened.
    public let messages: UInt64
    /// Messages in flight, to all its consumers together.
    public let inFlight: Int
    /// How many consumers it has: those that offsets.json knows, and those that came since.
    public let consumersTotal: Int
    /// The first ones of them, as many as were asked for: those with a connection before those
    /// without, each in the order of their names.
    public let consumers: [ConsumerFacts]
}

extension Topic {
    /// What it is like just now, with all its consumers.
    public var facts: TopicFacts { facts(consumers: .max) }

    /// What it is like just now, with up to `limit` consumers. There may be very many of them: they
    /// are looked at once each, and not sorted.
    public func facts(consumers limit: Int) -> TopicFacts {
        let (phase, keys, present, offsets) = state.withLock {
            ($0.phase, $0.dedupe.count, $0.consumers, $0.offsets)
        }
        let (condition, log, reason) = Topic.standing(phase)
        let durable = log?.durable
        let statistics = log?.statistics
        var first = FirstConsumers(limit: limit)
        var inFlight = 0
        for consumer in present.values {
            let counts = consumer.counts
            inFlight += counts.inFlight
            first.offer(
                .init(
                    name: consumer.id.text, inFlight: counts.inFlight, due: counts.due,
                    isConnected: counts.isConnected, acknowledgements: consumer.acknowledgements))
        }
        // Nobody was them since the start; what they have acknowledged is known all the same.
        var total = present.count
        for (id, acknowledgements) in offsets.consumers where present[id] == nil {
            total += 1
            first.offer(
                .init(
                    name: id.text, inFlight: 0, due: 0, isConnected: false,
                    acknowledgements: acknowledgements))
        }
        return TopicFacts(
            name: name.text, condition: condition, reason: reason,
            firstID: durable?.lowerBound.rawValue, nextID: durable?.upperBound.rawValue,
            keys: keys, commits: statistics?.commits ?? 0, messages: statistics?.messages ?? 0,
            inFlight: inFlight, consumersTotal: total,
            consumers: first.sorted.map { $0.facts(below: durable?.upperBound) })
    }

    private static func standing(
        _ phase: Phase
    ) -> (condition: TopicFacts.Condition, log: Log?, reason: String?) {
        switch phase {
        case .open(let log): (.open, log, nil)
        case .failed(let old?, let error, _): (.failed, old, "\(error)")
        case .failed(nil, let error, _): (.unavailable, nil, "\(error)")
        case .closed(let error, let log): (.damaged, log, "\(error)")
        case .stopped: (.unavailable, nil, "stopped")
        }
    }
}

/// The first so many of the consumers that it is offered.
private struct FirstConsumers {
    struct Candidate {
        let name: String
        let inFlight: Int
        let due: Int
        let isConnected: Bool
        /// There may be many ranges: they are counted for those that are kept.
        let acknowledgements: Acknowledgements

        func facts(below end: MessageID?) -> TopicFacts.ConsumerFacts {
            TopicFacts.ConsumerFacts(
                name: name, firstUnacknowledged: acknowledgements.firstUnacknowledged.rawValue,
                unacknowledged: end.map { acknowledgements.unacknowledged(below: $0) },
                inFlight: inFlight, due: due, isConnected: isConnected)
        }
    }

    let limit: Int
    private var kept: [Candidate] = []

    init(limit: Int) { self.limit = limit }

    mutating func offer(_ consumer: Candidate) {
        guard limit > 0 else { return }
        kept.append(consumer)
        // Now and then, so that each costs little more than a look.
        if kept.count / 2 >= limit { kept = sorted }
    }

    var sorted: [Candidate] {
        Array(kept.sorted(by: FirstConsumers.isBefore).prefix(limit))
    }

    private static func isBefore(_ a: Candidate, _ b: Candidate) -> Bool {
        a.isConnected == b.isConnected ? a.name < b.name : a.isConnected
    }
}
