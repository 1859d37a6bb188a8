public import WAL

/// Told what came of publishes, many at a time. Called by the thread that commits; must not block.
public protocol PublishReceiver: AnyObject, Sendable {
    /// `count` consecutive publishes with this tag, the first of them `first`, are durable.
    func published(topic: Topic, first: MessageID, count: Int, tag: UInt64)
    /// `count` publishes with this tag failed together.
    func publishFailed(topic: Topic, count: Int, tag: UInt64, error: BrokerError)
    /// A publish whose key was being appended already: the id of the one that is durable now, or
    /// the error that it failed with.
    func duplicateSettled(tag: UInt64, ticket: UInt64, result: Result<MessageID, BrokerError>)
    /// Nothing more to tell for the moment.
    func settled()
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
        topic.appended(first, count)
        receiver.published(topic: topic, first: first, count: count, tag: tag)
    }

    /// Some of the receiver's publishes failed.
    public func appendFailed(count: Int, tag: UInt64, error: LogError) {
        let error = topic.appendFailed(count, error)
        receiver.publishFailed(topic: topic, count: count, tag: tag, error: error)
    }

    /// The receiver has been told all there was about a commit.
    public func commitEnded() {
        receiver.settled()
        topic.wakeSubscriptions()
    }
}
