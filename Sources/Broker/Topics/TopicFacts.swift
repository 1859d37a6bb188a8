internal import DataDirectory
internal import WAL

/// What a topic is like just now, for people and for monitoring.
public struct TopicFacts: Hashable, Sendable {
    /// How a topic stands.
    public enum Condition: String, Hashable, Sendable {
        /// Takes messages and delivers them.
        case open
        /// Takes nothing until it has been opened again; what is durable is delivered.
        case failed
        /// Damaged.
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
    /// The first id that is there.
    public let firstID: UInt64
    /// The id of the next message.
    public let nextID: UInt64
    /// Dedupe keys remembered.
    public let keys: Int
    /// Commits since it was opened.
    public let commits: UInt64
    /// Messages committed since it was opened.
    public let messages: UInt64
    /// The consumers that were connected since the start, in the order of their names.
    public let consumers: [ConsumerFacts]
}

extension Topic {
    /// What it is like just now.
    public var facts: TopicFacts {
        let (phase, keys, consumers) = state.withLock {
            ($0.phase, $0.dedupe.count, Array($0.consumers.values))
        }
        let condition: TopicFacts.Condition
        var log: Log?
        var reason: String?
        switch phase {
        case .open(let open): (condition, log) = (.open, open)
        case .failed(let old?, let error, _): (condition, log, reason) = (.failed, old, "\(error)")
        case .failed(nil, let error, _): (condition, reason) = (.unavailable, "\(error)")
        case .closed(let error): (condition, reason) = (.damaged, "\(error)")
        case .stopped: (condition, reason) = (.unavailable, "stopped")
        }
        let durable = log?.durable
        let statistics = log?.statistics
        return TopicFacts(
            name: name.text, condition: condition, reason: reason,
            firstID: durable?.lowerBound.rawValue ?? 0, nextID: durable?.upperBound.rawValue ?? 0,
            keys: keys, commits: statistics?.commits ?? 0, messages: statistics?.messages ?? 0,
            consumers: consumers.map { consumer in
                let counts = consumer.counts
                return TopicFacts.ConsumerFacts(
                    name: consumer.id.text,
                    firstUnacknowledged: consumer.firstUnacknowledged.rawValue,
                    inFlight: counts.inFlight, due: counts.due, isConnected: counts.isConnected)
            }.sorted { $0.name < $1.name })
    }
}
