internal import NIOConcurrencyHelpers
internal import NIOCore

/// A client of a toymq broker: publishes, and subscribes. For any thread and task.
///
/// It has a thread of its own, a connection for publishing, made when it is first needed, and one
/// for each subscription. ``close(timeout:)`` ends all of them; ``with(_:_:)`` does that by itself.
public final class ToyMQClient: Sendable {
    /// What it was made with.
    public let options: ClientOptions
    /// Why nothing can be done with the options. Initializers do not throw: every call does.
    private let flaw: ClientError?
    private let thread: ClientThread
    /// The thread is another client's.
    private let isGuest: Bool
    /// Complete when nothing is left.
    private let over = Promise<Void>()
    private let queue: RequestQueue
    private let requests: NIOLoopBoundBox<Requests>

    private struct State {
        var isClosed = false
        var subscriptions: [UInt64: SubscriptionCore] = [:]
        var nextNumber: UInt64 = 0
    }
    private let state = NIOLockedValueBox(State())

    /// A client; nothing is connected yet. With options that cannot be, every call fails with
    /// ``ClientError/invalidArgument(_:)``, which names the option.
    public init(_ options: ClientOptions = ClientOptions()) {
        self.options = options
        flaw = options.flaw
        thread = ClientThread()
        isGuest = false
        queue = RequestQueue(options)
        requests = NIOLoopBoundBox.makeBoxSendingValue(
            Requests(queue, thread.loop, options), eventLoop: thread.loop)
    }

    /// A client with connections of its own on the thread of `other`, which has to be closed after
    /// it. For many connections from one process.
    public init(_ options: ClientOptions, onThreadOf other: ToyMQClient) {
        self.options = options
        flaw = options.flaw
        thread = other.thread
        isGuest = true
        queue = RequestQueue(options)
        requests = NIOLoopBoundBox.makeBoxSendingValue(
            Requests(queue, thread.loop, options), eventLoop: thread.loop)
    }

    deinit {
        // Nobody can wait for anything any more.
        let subscriptions = state.withLockedValue { $0.isClosed ? nil : $0.subscriptions }
        guard let subscriptions else { return }
        queue.close()
        let (thread, isGuest, requests) = (thread, isGuest, requests)
        thread.execute {
            ToyMQClient.end(requests.value, Array(subscriptions.values), within: .zero) {
                if !isGuest { thread.end {} }
            }
        }
    }

    /// On the loop. Ends everything at once, and calls `done` when nothing is left.
    private static func end(
        _ requests: Requests, _ subscriptions: [SubscriptionCore], within timeout: TimeAmount,
        _ done: @escaping () -> Void
    ) {
        var left = subscriptions.count + 1
        func oneIsOver() {
            left -= 1
            if left == 0 { done() }
        }
        for subscription in subscriptions { subscription.end(within: timeout, oneIsOver) }
        requests.close(timeout: timeout) {
            // It is kept until it is over.
            _ = requests
            oneIsOver()
        }
    }

    /// Runs `body` with a client, and closes it behind it, however it ends.
    public static func with<Value, Failure: Error>(
        _ options: ClientOptions = ClientOptions(),
        _ body: (ToyMQClient) async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let client = ToyMQClient(options)
        do {
            let value = try await body(client)
            await client.close()
            return value
        } catch {
            await client.close()
            throw error
        }
    }

    // MARK: Publishing

    /// Publishes a message and waits for the broker's word, which comes when it is on stable
    /// storage.
    ///
    /// When the connection ends before that, a message with a key is sent again as soon as there is
    /// another one, and the broker sees to it that it is appended once; one without fails with
    /// ``ClientError/outcomeUnknown(reason:)``.
    @discardableResult
    public func publish(
        _ message: Message, to topic: String
    ) async throws(ClientError) -> PublishReceipt {
        try await startPublishing(message, to: topic).receipt()
    }

    /// Hands a message over and comes back at once, or when there is room for it: as many as
    /// ``ClientOptions/publishWindow`` may be unanswered. They go out in the order of the calls, and
    /// are answered in it.
    public func startPublishing(
        _ message: Message, to topic: String
    ) async throws(ClientError) -> PendingPublish {
        if let flaw { throw flaw }
        let command = try message.command(topic: topic)
        let promise = Promise<PublishReceipt>()
        try await send(
            Request(
                kind: .publish(promise), command: command, isRepeatable: message.key != nil))
        return PendingPublish(promise: promise)
    }

    private func send(_ request: Request) async throws(ClientError) {
        try await queue.waitForRoom(bytes: request.command.count)
        guard try queue.add(request) else { return }
        if thread.execute({ [requests] in requests.value.drain() }) { return }
        // The thread was another client's, and has gone.
        for request in queue.take() { request.fail(.closed) }
    }

    // MARK: Asking

    /// What the broker says of itself: the one line of JSON that `INFO` is answered with.
    public func info() async throws(ClientError) -> String {
        try await info(command: InfoCommand.totals)
    }

    /// What the broker says of its topics behind `name` in the order of their names, from the first
    /// for an empty one: one line of JSON with as many as fit, and whether there are `more`.
    public func info(topicsAfter name: String) async throws(ClientError) -> String {
        try await info(command: InfoCommand.topics(after: name))
    }

    private func info(command: [UInt8]) async throws(ClientError) -> String {
        if let flaw { throw flaw }
        let promise = Promise<String>()
        try await send(Request(kind: .info(promise), command: command, isRepeatable: true))
        return try await promise.value()
    }

    // MARK: Subscribing

    /// Subscribes. A second subscription as the same consumer, here or elsewhere, takes over from
    /// the first.
    public func subscribe(
        to topic: String, as consumer: String
    ) throws(ClientError) -> Subscription {
        if let flaw { throw flaw }
        try Fields.check(topic, "a topic's name")
        guard topic.utf8.count <= 1024 else { throw .invalidArgument("a topic's name is too long") }
        try Fields.checkConsumer(consumer)
        let core = try state.withLock { state throws(ClientError) -> SubscriptionCore in
            guard !state.isClosed else { throw .closed }
            let number = state.nextNumber
            state.nextNumber += 1
            let core = SubscriptionCore(thread, options, topic: topic, consumer: consumer) {
                [weak self] in self?.forget(number)
            }
            state.subscriptions[number] = core
            return core
        }
        core.start()
        return Subscription(core: core)
    }

    private func forget(_ number: UInt64) {
        state.withLockedValue { $0.subscriptions[number] = nil }
    }

    // MARK: Closing

    /// Takes nothing more, waits for what is unanswered, acknowledgements included, up to `timeout`,
    /// and ends the subscriptions, the connections and the thread. What is not answered by then
    /// fails. A second call waits for the first. A look-up of the broker's name that is going on
    /// cannot be given up, and takes at most ``ClientOptions/connectTimeout`` more.
    public func close(timeout: Duration = .seconds(5)) async {
        let subscriptions = state.withLockedValue { state -> [SubscriptionCore]? in
            guard !state.isClosed else { return nil }
            state.isClosed = true
            return Array(state.subscriptions.values)
        }
        guard let subscriptions else {
            _ = await over.outcome()
            return
        }
        queue.close()
        let (thread, isGuest, over) = (thread, isGuest, over)
        let timeout = TimeAmount(min(max(timeout, .zero), ClientOptions.longestDuration))
        let isEnding = thread.execute { [requests] in
            ToyMQClient.end(requests.value, subscriptions, within: timeout) {
                if isGuest { return over.complete(.success(())) }
                thread.end { over.complete(.success(())) }
            }
        }
        if !isEnding {
            for subscription in subscriptions { subscription.finish() }
            over.complete(.success(()))
        }
        _ = await over.outcome()
    }
}

/// A message on its way.
public struct PendingPublish: Sendable {
    let promise: Promise<PublishReceipt>

    /// The broker's word for it. May be asked for more than once, and not at all: the message goes
    /// its way.
    public func receipt() async throws(ClientError) -> PublishReceipt {
        try await promise.value()
    }
}
