internal import NIOCore

/// What a consumer has not acknowledged of a topic, then what comes live, for ever. Made by
/// ``ToyMQClient/subscribe(to:as:)``.
///
/// It has a connection of its own, made at once. When that ends, it is made again and the
/// subscription goes on: all that was in flight comes again. The sequence ends when the
/// subscription or the client is closed or the task is cancelled, and throws what the broker has
/// refused it with. What a cancelled loop has not taken stays for the next one. One loop at a time
/// is the rule; with several, each delivery goes to one. It keeps its client.
///
/// Another subscription as the same consumer, wherever it is made, takes the messages over. The
/// protocol does not tell the one before: that waits on, for nothing, until it is made again, and
/// acknowledging what it had been given throws. So a consumer's name belongs to one process.
public struct Subscription: AsyncSequence, Sendable {
    /// A message.
    public typealias Element = Delivery
    /// Why it ended, if nobody asked for it.
    public typealias Failure = ClientError

    /// The topic.
    public var topic: String { core.topic }
    /// The consumer.
    public var consumer: String { core.consumer }
    let core: SubscriptionCore
    let client: ToyMQClient

    /// Takes deliveries, where the iterator before has stopped.
    public func makeAsyncIterator() -> Iterator { Iterator(subscription: self) }

    /// Waits until the broker has accepted it for the first time, and throws why it never will. It
    /// is not needed before the loop: an error behind it says that there was a subscription.
    public func waitUntilAccepted() async throws(ClientError) { try await core.accepted() }

    /// Why nothing can come just now: the connection is gone, or the broker has not accepted the
    /// subscription on the one that was made since; the reason that was heard last. Nil while there
    /// is a subscription: then no message means that there is none, or that another subscription
    /// as the same consumer has taken over.
    public var interruption: String? { core.interruption }

    /// Ends the loop, sends the acknowledgements that have not been sent, waits up to a second for
    /// the broker to take them, and ends the connection. What is not acknowledged comes again to
    /// the consumer's next subscription. May be called more than once, and after the client was
    /// closed.
    public func close() async { await core.close() }

    /// Takes one delivery after the other.
    public struct Iterator: AsyncIteratorProtocol {
        let subscription: Subscription

        /// The next delivery; nil when the subscription has ended.
        public mutating func next() async throws(ClientError) -> Delivery? {
            try await subscription.core.next()
        }

        /// As ``next()``, for `for await`.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(ClientError) -> Delivery? {
            try await subscription.core.next()
        }
    }
}

/// What the copies of a subscription share.
final class SubscriptionCore: Sendable {
    private enum Phase {
        case new
        case open(Deliveries)
        case over
    }

    let topic: String
    let consumer: String
    private let queue: DeliveryQueue
    private let thread: ClientThread
    private let phase: NIOLoopBoundBox<Phase>
    private let options: ClientOptions
    private let whenOver: @Sendable () -> Void
    /// Complete when nothing is left of it. Whoever closes it waits for this, and not for the loop,
    /// which may have gone.
    private let over = Promise<Void>()

    init(
        _ thread: ClientThread, _ options: ClientOptions, topic: String, consumer: String,
        whenOver: @escaping @Sendable () -> Void
    ) {
        self.whenOver = whenOver
        self.topic = topic
        self.consumer = consumer
        self.thread = thread
        self.options = options
        queue = DeliveryQueue(options)
        phase = NIOLoopBoundBox.makeBoxSendingValue(.new, eventLoop: thread.loop)
    }

    /// Connects, unless it has been ended before.
    func start() {
        execute { [self] in
            guard case .new = phase.value else { return }
            let own = Deliveries(
                queue, thread.loop, options, topic: topic, consumer: consumer, self)
            phase.value = .open(own)
            own.start()
        }
    }

    func next() async throws(ClientError) -> Delivery? {
        try await queue.next { execute { self.open?.readAgain() } }
    }

    var interruption: String? { queue.interruption }

    func accepted() async throws(ClientError) { try await queue.accepted.value() }

    /// False if the delivery is of an earlier connection.
    func settle(
        _ settling: DeliveryQueue.Settling, connection: UInt64
    ) throws(ClientError) -> Bool {
        guard let isFirst = try queue.settle(settling, connection: connection) else {
            return false
        }
        if isFirst { execute { self.open?.drain() } }
        return true
    }

    func close() async {
        execute { self.end(within: .seconds(1)) {} }
        _ = await over.outcome()
    }

    /// On the loop. What is asked for is answered until then, or not at all; `done` is called when
    /// nothing is left.
    func end(within timeout: TimeAmount, _ done: @escaping () -> Void) {
        guard let own = open else {
            ended()
            return done()
        }
        own.close(within: timeout) {
            self.ended()
            done()
        }
    }

    /// On the loop. Its connection has gone and does not come again.
    func ended() {
        phase.value = .over
        finish()
    }

    /// Nothing is left of it, or its thread has gone.
    func finish() {
        queue.finish(nil)
        over.complete(.success(()))
        whenOver()
    }

    private func execute(_ work: @escaping @Sendable () -> Void) {
        if !thread.execute(work) { finish() }
    }

    private var open: Deliveries? {
        if case .open(let own) = phase.value { own } else { nil }
    }
}
