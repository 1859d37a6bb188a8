/// What the protocol bounds. Every limit is checked before memory is taken for what it bounds.
public struct WireLimits: Hashable, Sendable {
    /// Bytes of a line, without its end; for ever.
    public static let lineBytes = 8 << 10
    /// Bytes of a dedupe key.
    public static let keyBytes = 1_024
    /// Bytes of a header's name.
    public static let headerNameBytes = 64
    /// The largest payload that a broker may be told to take.
    public static let largestPayloadBytes = 3 << 20
    /// The largest payload that a client has to expect: that of the largest frame of a log.
    public static let largestDeliveryBytes = 4 << 20

    /// The largest payload that is taken; at most `largestPayloadBytes`.
    public let payloadBytes: Int

    /// Limits with a payload of at most `payloadBytes`.
    public init(payloadBytes: Int = 1 << 20) {
        precondition((0...WireLimits.largestPayloadBytes).contains(payloadBytes))
        self.payloadBytes = payloadBytes
    }
}

/// The version of the protocol that `HELLO` names.
public enum WireVersion {
    /// The only one there is.
    public static let current = 2
}
