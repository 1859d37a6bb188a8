/// What a call of the client can end with instead of its result.
public enum ClientError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The broker has answered `ERR`: it was not done.
    case refused(code: RefusalCode, text: String)
    /// It was sent and the connection ended before the answer. It may or may not have been done,
    /// and without a dedupe key it cannot be sent again without the risk of doing it twice. With
    /// one it was sent again as often as the options allow, or until the client was closed.
    case outcomeUnknown(reason: String)
    /// No connection that was of use came about in as many attempts as the options allow. It was
    /// not done.
    case unreachable(reason: String)
    /// What was asked for cannot be said in the protocol, or an option of the client cannot be.
    /// Nothing was sent.
    case invalidArgument(String)
    /// The client or the subscription was closed before it was sent.
    case closed
    /// The task that waited was cancelled. What was sent stays sent.
    case cancelled

    /// One line for people.
    public var description: String {
        switch self {
        case .refused(let code, let text): "the broker refused: \(code.rawValue) \(text)"
        case .outcomeUnknown(let reason):
            "it may or may not have been done: \(reason)"
        case .unreachable(let reason): reason
        case .invalidArgument(let text): text
        case .closed: "the client is closed"
        case .cancelled: "cancelled"
        }
    }
}

/// The first word of an `ERR` answer behind it. A later broker may have more of them.
public struct RefusalCode: RawRepresentable, Hashable, Sendable {
    /// As it is on the wire.
    public let rawValue: String

    /// A code as it is on the wire.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// A name or an option that cannot be.
    public static let invalid = RefusalCode(rawValue: "INVALID")
    /// A payload over the broker's limit.
    public static let tooLarge = RefusalCode(rawValue: "TOO_LARGE")
    /// The message is not in the log.
    public static let publishFailed = RefusalCode(rawValue: "PUB_FAILED")
    /// There is no subscription.
    public static let subscribeFailed = RefusalCode(rawValue: "SUB_FAILED")
    /// The token is missing or wrong.
    public static let authentication = RefusalCode(rawValue: "AUTH")
    /// The broker does not speak this version of the protocol.
    public static let hello = RefusalCode(rawValue: "HELLO")
    /// Not allowed to this client.
    public static let denied = RefusalCode(rawValue: "DENIED")
    /// The topic is damaged and closed.
    public static let damaged = RefusalCode(rawValue: "DAMAGED")
    /// A limit of the broker is reached: try again later.
    public static let busy = RefusalCode(rawValue: "BUSY")
}
