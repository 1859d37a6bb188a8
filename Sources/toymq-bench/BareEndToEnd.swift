import NIOCore
import NIOPosix
import SystemPackage
import Threads
import ToyMQClient
import Wire

/// From PUB to MSG without the client library: both connections are on one event loop, which sends
/// the next message as soon as it has read the one before. No task and no other thread has to be
/// woken: what is measured is the broker and the network. All of it happens on the event loop.
final class BareEndToEnd {
    private static let consumer = "bench"
    /// How long behind the end of the measurement the broker may be silent.
    private static let patience = TimeAmount.seconds(10)

    private let broker: BrokerOptions
    private let options: ClientOptions
    private let window: Int
    private let period: Range<UInt64>
    private let topic: String
    private let done: EventLoopPromise<Histogram>
    private var histogram = Histogram()
    private var publisher: BareConnection?
    private var subscriber: BareConnection?
    private var isSubscribed = false
    private var hasEnded = false

    private init(
        _ options: ClientOptions, _ broker: BrokerOptions, _ window: Int, _ period: Range<UInt64>,
        _ done: EventLoopPromise<Histogram>
    ) {
        self.options = options
        self.broker = broker
        self.window = window
        self.period = period
        self.done = done
        topic = EndToEndCommand.newTopic(broker)
    }

    /// Measures, and gives the latencies of the messages that came in `period`. Blocks.
    static func measure(
        _ options: ClientOptions, _ broker: BrokerOptions, _ window: Int, _ period: Range<UInt64>
    ) throws -> Histogram {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        // Its thread is joined, also when nothing was measured.
        defer { try? group.syncShutdownGracefully() }
        let loop = group.next()
        return try loop.flatSubmit {
            let done = loop.makePromise(of: Histogram.self)
            BareEndToEnd(options, broker, window, period, done).start(on: loop)
            return done.futureResult
        }.wait()
    }

    private func start(on loop: any EventLoop) {
        let publisher = BareConnection(.init(received: answered, ended: ended))
        let subscriber = BareConnection(.init(received: delivered, ended: ended))
        self.publisher = publisher
        self.subscriber = subscriber
        // Shutting the event loop down cancels it.
        let end = NIODeadline.uptimeNanoseconds(period.upperBound) + BareEndToEnd.patience
        loop.assumeIsolated().scheduleTask(deadline: end) {
            self.ended(BenchError("\(self.broker.addr) does not answer"))
        }
        connect(publisher, loop)
            .flatMap { self.connect(subscriber, loop).nonisolated() }
            .whenComplete { result in
                switch result {
                case .success: self.begin(publisher, subscriber)
                case .failure(let error): self.ended(error)
                }
            }
    }

    private func connect(
        _ connection: BareConnection, _ loop: any EventLoop
    ) -> EventLoopFuture<Void>.Isolated {
        // Nothing is read before the first command: a broker waits for that.
        ClientBootstrap(group: loop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(host: options.host, port: options.port)
            .assumeIsolated()
            .flatMapThrowing { try $0.pipeline.syncOperations.addHandler(connection) }
    }

    private func begin(_ publisher: BareConnection, _ subscriber: BareConnection) {
        var hello: [UInt8] = []
        if let token = options.token {
            CommandWriter.hello(token: token, to: &hello)
            publisher.send(hello)
        }
        CommandWriter.subscribe(topic: topic, consumer: BareEndToEnd.consumer, to: &hello)
        subscriber.send(hello)
    }

    /// To PUB.
    private func answered(_ reply: Reply, _ bytes: Span<UInt8>) {
        switch reply {
        case .ok, .duplicate, .hello: break
        default: refused(reply, bytes)
        }
    }

    /// On the connection that consumes.
    private func delivered(_ reply: Reply, _ bytes: Span<UInt8>) {
        switch reply {
        case .hello: break
        case .ok:
            // The first is SUB's; those behind it are of acknowledgements.
            guard !isSubscribed else { return }
            isSubscribed = true
            for _ in 0..<window { publish() }
        case .message(let delivery): took(delivery, bytes)
        default: refused(reply, bytes)
        }
    }

    private func took(_ delivery: Wire.Delivery, _ bytes: Span<UInt8>) {
        let now = MonotonicClock.now()
        guard now < period.upperBound else { return finish(.success(histogram)) }
        if now >= period.lowerBound {
            let sent = BrokerOptions.time(of: bytes.extracting(delivery.payload))
            histogram.record(now - sent)
        }
        var command: [UInt8] = []
        CommandWriter.acknowledge(
            consumer: BareEndToEnd.consumer, id: delivery.id, to: &command)
        subscriber?.send(command)
        publish()
    }

    private func publish() {
        var command: [UInt8] = []
        let payload = broker.payload(at: MonotonicClock.now())
        guard CommandWriter.publish(topic: topic, key: nil, payload: payload, to: &command) else {
            return ended(BenchError("--topic: '\(topic)' is too long"))
        }
        publisher?.send(command)
    }

    private func refused(_ reply: Reply, _ bytes: Span<UInt8>) {
        guard case .error(_, let code, let text) = reply else {
            return ended(BenchError("the broker said something that nobody asked for"))
        }
        let words = [code, text].map { range in
            String(decoding: range.map { bytes[$0] }, as: UTF8.self)
        }
        ended(BenchError("the broker refused: \(words.joined(separator: " "))"))
    }

    private func ended(_ error: any Error) {
        finish(.failure(BareEndToEnd.told(error, broker.addr)))
    }

    /// An error without the names of calls and descriptors.
    private static func told(_ error: any Error, _ address: String) -> BenchError {
        if let error = error as? NIOConnectionError, error.connectionErrors.isEmpty {
            return BenchError("cannot connect to \(address): \(error.host) is unknown")
        }
        let connecting = (error as? NIOConnectionError)?.connectionErrors.first?.error
        guard let cause = (connecting ?? error) as? IOError else {
            return error as? BenchError ?? BenchError("\(address): \(error)")
        }
        let text = Errno(rawValue: cause.errnoCode).description
        return BenchError(
            connecting == nil
                ? "the connection to \(address) broke: \(text)"
                : "cannot connect to \(address): \(text)")
    }

    private func finish(_ result: Result<Histogram, any Error>) {
        guard !hasEnded else { return }
        hasEnded = true
        done.completeWith(result)
        publisher?.close()
        subscriber?.close()
        (publisher, subscriber) = (nil, nil)
    }
}
