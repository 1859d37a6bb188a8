internal import DequeModule
internal import NIOCore
internal import Wire

/// The connection of one subscription: subscribes, takes deliveries, says what is settled, and
/// subscribes again when it had to be made anew. On one event loop only.
final class Deliveries: LinkUser {
    /// What the next answer belongs to.
    private enum Awaited {
        case subscribed
        case settled(Promise<Settlement>?)
    }

    private let queue: DeliveryQueue
    private let link: Link
    private let topic: String
    private let consumer: String
    private unowned let subscription: SubscriptionCore
    private var awaited: Deque<Awaited> = []
    private var arrived: [Delivery] = []
    private var number: UInt64 = 0
    /// The broker has accepted the subscription at least once.
    private var wasSubscribed = false
    private var isSubscribed = false
    private var isBegun = false
    private var isClosing = false

    init(
        _ queue: DeliveryQueue, _ loop: any EventLoop, _ options: ClientOptions, topic: String,
        consumer: String, _ subscription: SubscriptionCore
    ) {
        self.queue = queue
        self.topic = topic
        self.consumer = consumer
        self.subscription = subscription
        link = Link(loop, options)
    }

    /// Connects, if that has not been done yet.
    func start() {
        guard !isBegun else { return }
        isBegun = true
        link.begin(for: self)
        link.wake()
    }

    /// Says what was settled since the last call.
    func drain() {
        let settlings = queue.takeSettlings()
        guard let connection = link.connection, isSubscribed else {
            for settling in settlings { settling.promise?.complete(.success(.notInFlight)) }
            return
        }
        guard !settlings.isEmpty else { return }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(settlings.count * (consumer.utf8.count + 24))
        for settling in settlings {
            if settling.isAcknowledgement {
                CommandWriter.acknowledge(consumer: consumer, id: settling.id, to: &bytes)
            } else {
                CommandWriter.reject(consumer: consumer, id: settling.id, to: &bytes)
            }
            awaited.append(.settled(settling.promise))
        }
        connection.send(bytes)
        // Their answers stand behind deliveries that there may be no room for.
        connection.readAgain()
    }

    /// There is room for deliveries again.
    func readAgain() { link.connection?.readAgain() }

    // MARK: LinkUser

    func ready(_ connection: Connection) {
        awaited.append(.subscribed)
        number = queue.connection
        var bytes: [UInt8] = []
        CommandWriter.subscribe(topic: topic, consumer: consumer, to: &bytes)
        connection.send(bytes)
    }

    func received(_ reply: Reply, _ bytes: ByteBuffer, on connection: Connection) -> Bool {
        if case .message(let message) = reply {
            guard isSubscribed else { return false }
            arrived.append(
                Delivery(message, bytes, topic: topic, connection: number, subscription))
            return true
        }
        switch (awaited.popFirst(), reply) {
        case (.subscribed?, .ok):
            queue.accepted.complete(.success(()))
            queue.resumed()
            isSubscribed = true
            wasSubscribed = true
            link.served()
        case (.settled(let promise)?, .ok): promise?.complete(.success(.done))
        case (.settled(let promise)?, .error): promise?.complete(.success(.notInFlight))
        case (.subscribed?, .error(let code, let codeText, let text)):
            let error = ClientError.refused(
                code: RefusalCode(rawValue: bytes.text(codeText)), text: bytes.text(text))
            let isPassing = code == .busy || (wasSubscribed && code == .subscribeFailed)
            if isPassing { link.refused(error) } else { end(error) }
        case (nil, .error(_, let code, let text)):
            connection.close("the broker said \(bytes.text(code)) \(bytes.text(text))")
        default: return false
        }
        return true
    }

    func receivedAll(on connection: Connection) {
        guard !arrived.isEmpty else { return }
        queue.add(arrived)
        arrived.removeAll(keepingCapacity: true)
    }

    /// Reading never stops while an answer is awaited: whoever waits for it takes no deliveries
    /// meanwhile, and it stands behind some. The broker's window bounds how many those are.
    var mayRead: Bool { !awaited.isEmpty || queue.mayRead() }

    func lost(reason: String) {
        isSubscribed = false
        arrived = []
        let settlings = queue.disconnect(reason)
        for settling in settlings { settling.promise?.complete(.success(.notInFlight)) }
        while let next = awaited.popFirst() {
            if case .settled(let promise) = next { promise?.complete(.success(.notInFlight)) }
        }
    }

    func retrying(_ error: ClientError) { queue.interrupted("\(error)") }

    var needsConnection: Bool { true }

    func failed(_ error: ClientError) { end(error) }

    // MARK: Closing

    /// It has come to an end by itself, and nobody may ever close it: it is not kept for that.
    private func end(_ error: ClientError) {
        queue.finish(error)
        link.close { [subscription] in subscription.ended() }
    }

    /// Says what was settled, and ends. May be called again, for a sooner end.
    func close(within timeout: TimeAmount, _ done: @escaping () -> Void) {
        if isClosing { return link.closeWhenAnswered(within: timeout, done) }
        isClosing = true
        drain()
        queue.finish(nil)
        if let connection = link.connection {
            // It is answered behind everything before, and then the broker closes.
            var bytes: [UInt8] = []
            CommandWriter.quit(to: &bytes)
            awaited.append(.settled(nil))
            connection.send(bytes)
            connection.readAgain()
        }
        link.closeWhenAnswered(within: timeout, done)
    }
}
