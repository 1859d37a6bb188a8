internal import NIOCore
internal import Wire

/// A message that a subscription has delivered.
///
/// Until it is acknowledged it is in flight, and comes again when the broker's visibility timeout
/// is over or its connection ends.
public struct Delivery: Sendable {
    /// The topic.
    public let topic: String
    /// The number of the message in its topic.
    public let id: UInt64
    /// The payload.
    public let payload: [UInt8]
    /// 1 for the first delivery; nil if the broker did not say.
    public let attempt: UInt64?
    /// When the message was committed, in nanoseconds since 1970; nil if the broker did not say.
    public let timestamp: UInt64?
    /// The dedupe key, if it was published with one.
    public let key: [UInt8]?
    /// Headers besides the trace context.
    public let headers: [Header]
    /// The W3C trace context of the publisher.
    public let traceparent: String?
    /// What vendors added to it.
    public let tracestate: String?

    private let connection: UInt64
    private let source: SubscriptionCore

    /// The payload as text; what is no UTF-8 in it is replaced.
    public var text: String { String(decoding: payload, as: UTF8.self) }

    init(
        _ message: Wire.Delivery, _ bytes: ByteBuffer, topic: String, connection: UInt64,
        _ source: SubscriptionCore
    ) {
        self.topic = topic
        id = message.id
        payload = bytes.copied(message.payload)
        attempt = message.attempt
        timestamp = message.timestamp
        key = message.key
        func text(_ name: [UInt8]) -> String? {
            message.headers.first { $0.name == name }.map {
                String(decoding: $0.value, as: UTF8.self)
            }
        }
        traceparent = text(WireHeader.traceparent)
        tracestate = text(WireHeader.tracestate)
        headers = message.headers.filter {
            $0.name != WireHeader.traceparent && $0.name != WireHeader.tracestate
        }.map { Header(String(decoding: $0.name, as: UTF8.self), $0.value) }
        self.connection = connection
        self.source = source
    }

    /// Says that the message is done with, and waits for the broker's word. May be awaited inside
    /// the loop over the subscription, however small its window.
    ///
    /// `.notInFlight` is no reason to stop: the message was settled already, or it comes again.
    @discardableResult
    public func ack() async throws(ClientError) -> Settlement {
        try await startSettling(isAcknowledgement: true).settlement()
    }

    /// Says that the message is to be delivered again, now, and waits for the broker's word.
    @discardableResult
    public func nack() async throws(ClientError) -> Settlement {
        try await startSettling(isAcknowledgement: false).settlement()
    }

    /// As ``ack()``, and comes back at once: the broker's word may be asked for later. Closing the
    /// subscription sends what is left, and all are answered behind it.
    public func startAcknowledging() throws(ClientError) -> PendingSettlement {
        try startSettling(isAcknowledgement: true)
    }

    /// As ``ack()``, without waiting: several thousand times as fast in a row. What cannot be
    /// acknowledged any more comes again. Closing the subscription sends what is left.
    public func ackWithoutWaiting() {
        _ = try? source.settle(
            .init(id: id, isAcknowledgement: true, promise: nil), connection: connection)
    }

    private func startSettling(
        isAcknowledgement: Bool
    ) throws(ClientError) -> PendingSettlement {
        let promise = Promise<Settlement>()
        let isSent = try source.settle(
            .init(id: id, isAcknowledgement: isAcknowledgement, promise: promise),
            connection: connection)
        if !isSent { promise.complete(.success(.notInFlight)) }
        return PendingSettlement(promise: promise)
    }
}

/// An acknowledgement on its way.
public struct PendingSettlement: Sendable {
    let promise: Promise<Settlement>

    /// The broker's word for it. May be asked for more than once, and not at all.
    public func settlement() async throws(ClientError) -> Settlement { try await promise.value() }
}

/// What has become of an acknowledgement.
public enum Settlement: Hashable, Sendable {
    /// The broker has taken it. It is on disk within a moment; a broker that crashes before that
    /// delivers the message again.
    case done
    /// The message is not in flight for this delivery: its time was over, its connection ended
    /// (this acknowledgement may or may not have arrived before), or it had been settled already.
    /// Unless it was acknowledged, it comes again.
    case notInFlight
}
