/// How a broker behaves.
public struct BrokerOptions: Hashable, Sendable {
    /// How long a delivered message may stay unanswered before it is delivered again, in
    /// nanoseconds.
    public var visibilityTimeout: UInt64 = 30_000_000_000
    /// How many dedupe keys are remembered per topic: at least the last so many appended.
    public var dedupeWindow = 65_536
    /// How many messages may be in flight to one consumer.
    public var receiveWindow = 256
    /// An acknowledgement is in offsets.json so many nanoseconds later, or so long after the write
    /// before has ended.
    public var offsetsDelay: UInt64 = 50_000_000
    /// How long a topic whose log failed is refused before it is tried to open it again, in
    /// nanoseconds.
    public var reopenDelay: UInt64 = 1_000_000_000
    /// How many topics there may be; creating more is refused.
    public var topicLimit = 100_000
    /// How many consumers a topic may have.
    public var consumerLimit = 10_000
    /// The size at which a segment is sealed, in bytes.
    public var segmentBytes = 256 << 20

    /// The defaults.
    public init() {}
}
