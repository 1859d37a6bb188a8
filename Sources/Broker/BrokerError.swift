public import DataDirectory
public import WAL

/// Why the broker did not do what was asked.
public enum BrokerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A name that is none.
    case invalidName(InvalidName)
    /// The message cannot be kept in a log.
    case invalidMessage
    /// The topic is damaged and stays closed. What to run is in the text.
    case damaged(TopicName, String)
    /// The topic is closed for another reason: it could not be read, or a later version wrote it.
    case unavailable(TopicName, String)
    /// Messages of the topic could not be read: an I/O error, which may pass.
    case unreadable(TopicName, String)
    /// The message was not written; later ones may be.
    case notWritten(String)
    /// A sync failed: nothing is taken until the topic has been opened again.
    case failed(TopicName, String)
    /// A limit is reached.
    case busy(String)
    /// The broker is stopping.
    case stopping
    /// The id is not in flight for the consumer.
    case notInFlight(MessageID)
    /// Another connection has subscribed as the same consumer since.
    case detached

    /// One line for people that says what to do.
    public var description: String {
        switch self {
        case .invalidName(let name): "\(name)"
        case .invalidMessage: "the message does not fit the log (4 MiB with key and headers)"
        case .damaged(let topic, let text): "topic \(topic) is closed: \(text)"
        case .unavailable(let topic, let text): "topic \(topic) is closed: \(text)"
        case .unreadable(let topic, let text): "topic \(topic) cannot be read just now: \(text)"
        case .notWritten(let text): text
        case .failed(let topic, let text): "topic \(topic) takes nothing just now: \(text)"
        case .busy(let text): text
        case .stopping: "the broker is stopping"
        case .notInFlight(let id): "message \(id) is not in flight for this consumer"
        case .detached: "another connection has subscribed as this consumer"
        }
    }
}
