public import WAL

/// Consecutive publishes of one tag, and what came of them.
public struct PublishRun: Sendable {
    /// Whose they are.
    public let tag: UInt64
    /// How many.
    public let count: Int
    /// The id of the first, the others follow; or why all of them failed.
    public let result: Result<MessageID, BrokerError>
}

/// Told what came of publishes, a commit at a time. Called by the thread that commits; must not
/// block.
public protocol PublishReceiver: AnyObject, Sendable {
    /// What came of publishes into a topic, in their order.
    func settled(topic: Topic, runs: [PublishRun])
    /// A publish whose key was being appended already: the id of the one that is durable now, or
    /// the error that it failed with.
    func duplicateSettled(tag: UInt64, ticket: UInt64, result: Result<MessageID, BrokerError>)
}

/// What came of a publish at once.
public enum PublishOutcome: Sendable {
    /// It was appended: the receiver is told. `Topic.commit` has to be called.
    case staged
    /// The key is known: this is its message, which is durable.
    case duplicate(MessageID)
    /// The key is being appended: the receiver is told with this ticket.
    case waits(ticket: UInt64)
    /// Too much waits for the disk: try again when `Topic.notifyRoom` calls.
    case full
    /// The topic has to be opened again first: `Broker.reopen`.
    case needsReopen
    /// It was refused.
    case refused(BrokerError)
}

/// The way of one receiver into one topic: what the log has to tell comes by here.
public final class PublishPort: AppendObserver {
    let topic: Topic
    let receiver: any PublishReceiver

    init(_ topic: Topic, _ receiver: any PublishReceiver) {
        self.topic = topic
        self.receiver = receiver
    }

    /// Some of the receiver's publishes are durable.
    public func appended(first: MessageID, count: Int, tag: UInt64) {
        topic.told.runs.append(.init(port: self, tag: tag, count: count, result: .success(first)))
    }

    /// Some of the receiver's publishes failed.
    public func appendFailed(count: Int, tag: UInt64, error: LogError) {
        topic.told.runs.append(.init(port: self, tag: tag, count: count, result: .failure(error)))
    }

    /// All there was to tell about a commit has been told: it goes on, in one piece.
    public func commitEnded() { topic.settleTold() }
}

/// What a log has told about a commit, for all receivers, in the order of the ids. Unchecked, since
/// the log calls one after the other.
final class Told: @unchecked Sendable {
    struct Run {
        let port: PublishPort
        let tag: UInt64
        let count: Int
        let result: Result<MessageID, LogError>

        var failed: Bool { if case .failure = result { true } else { false } }
    }

    var runs: [Run] = []
}
