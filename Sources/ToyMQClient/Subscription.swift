internal import NIOCore

/// What a consumer has not acknowledged of a topic, then what comes live, for ever. Made by
/// ``ToyMQClient/subscribe(to:as:)``.
///
/// It has a connection of its own, made when the first delivery is asked for. When that ends, it is
/// made again and the subscription goes on: all that was in flight comes again. The sequence ends
/// when the subscription or the client is closed or the task is cancelled, and throws what the broker
/// has refused it with. One loop at a time is the rule; with several, each delivery goes to one.
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

    /// Takes deliveries, where the iterator before has stopped.
    public func makeAsyncIterator() -> Iterator { Iterator(core: core) }

    /// Ends the loop, sends the acknowledgements that have not been sent, waits up to a second for
    /// the broker to take them, and ends the connection. What is not acknowledged comes again to the
    /// consumer's next subscription.
    public func close() async { await core.close() }

    /// Takes one delivery after the other.
    public struct Iterator: AsyncIteratorProtocol {
        let core: SubscriptionCore

        /// The next delivery; nil when the subscription has ended.
        public mutating func next() async throws(ClientError) -> Delivery? {
            try await core.next()
        }

        /// As ``next()``, for `for await`.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(ClientError) -> Delivery? {
            try await core.next()
        }
    }
}

/// What the copies of a subscription share.
final class SubscriptionCore: Sendable {
    let topic: String
    let consumer: String
    private let queue: DeliveryQueue
    private let loop: any EventLoop
    private let deliveries: NIOLoopBoundBox<Deliveries?>
    private let options: ClientOptions
    private let whenEnded: @Sendable () -> Void

    init(
        _ loop: any EventLoop, _ options: ClientOptions, topic: String, consumer: String,
        whenEnded: @escaping @Sendable () -> Void
    ) {
        self.whenEnded = whenEnded
        self.topic = topic
        self.consumer = consumer
        self.loop = loop
        self.options = options
        queue = DeliveryQueue(options)
        deliveries = NIOLoopBoundBox.makeEmptyBox(eventLoop: loop)
    }

    /// Connects.
    func start() {
        loop.execute { [self] in
            let own = Deliveries(
                queue, loop, options, topic: topic, consumer: consumer, self)
            deliveries.value = own
            own.start()
        }
    }

    func next() async throws(ClientError) -> Delivery? {
        try await queue.next { loop.execute { self.deliveries.value?.readAgain() } }
    }

    /// False if the delivery is of an earlier connection.
    func settle(
        _ settling: DeliveryQueue.Settling, connection: UInt64
    ) throws(ClientError) -> Bool {
        guard let isFirst = try queue.settle(settling, connection: connection) else {
            return false
        }
        if isFirst { loop.execute { self.deliveries.value?.drain() } }
        return true
    }

    func close() async {
        await withCheckedContinuation { continuation in
            loop.execute { self.end { continuation.resume() } }
        }
    }

    /// On the loop. `done` is called when nothing is left.
    func end(_ done: @escaping @Sendable () -> Void) {
        whenEnded()
        guard let own = deliveries.value else {
            queue.finish(nil)
            done()
            return
        }
        deliveries.value = nil
        // Both are kept until it is over.
        own.close {
            _ = (own, self)
            done()
        }
    }
}
