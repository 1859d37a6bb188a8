/// What a run does.
public struct ChaosPlan: Sendable {
    /// How long there is load.
    public var seconds = 10.0
    /// How often the broker crashes in that time.
    public var crashes = 4
    /// Topics.
    public var topics = 4
    /// Producers of each topic; each has a connection of its own.
    public var producers = 2
    /// How many messages of a producer are unanswered at once.
    public var window = 128
    /// Messages a second, all producers together, at most.
    public var rate = 15_000
    /// Decides payloads and times.
    public var seed: UInt64 = 1
    /// How many of the last bytes of the first topic's log are lost in each crash; 0 for none. Its
    /// consumer does not run then: what it has acknowledged would give the loss away at once.
    public var tornBytes = 0
    /// How long after its answer an acknowledgement may be missing on disk.
    public var flushSlack = 2.0
    /// Seconds that may pass without an OK before the run is given up.
    public var patience = 60.0

    /// A short run.
    public init() {}
}

/// What came of a run.
public struct ChaosReport: Sendable {
    /// Messages that were OK'd, each counted once.
    public var ok = 0
    /// Of them, how many stood in the log at the end as they were published.
    public var verified = 0
    /// Answers with DUP.
    public var duplicates = 0
    /// Messages without a key whose answer was lost.
    public var unknown = 0
    /// Answers with ERR.
    public var refused = 0
    /// Deliveries to all consumers.
    public var delivered = 0
    /// Of them, those of an id that had been delivered before.
    public var redelivered = 0
    /// Acknowledgements whose answer was waited for, and was OK.
    public var acknowledged = 0
    /// How often the broker crashed.
    public var crashes = 0
    /// The longest time from a start to serving, in seconds.
    public var slowestStart = 0.0
    /// How many things were that must not be.
    public var violations = 0
    /// The first of them.
    public var firstViolations: [String] = []
}
