internal import NIOCore
internal import Wire

/// A client of a toymq broker: publishes, and subscribes. For any thread and task.
///
/// It has a thread of its own, a connection for publishing, made when it is first needed, and one
/// for each subscription. ``close(timeout:)`` ends all of them; ``with(_:_:)`` does that by itself.
/// A client lives as long as anybody has it, one of its subscriptions, or a publish of it that was
/// started; behind that it closes in the background, as with ``close(timeout:)``.
public final class ToyMQClient: Sendable {
    /// What it was made with.
    public let options: ClientOptions
    /// Why nothing can be done with the options. Initializers do not throw: every call does.
    private let flaw: ClientError?
    private let core: ClientCore
    /// Whose thread it is, if it is another's: that one is not let go of before this one.
    private let host: ToyMQClient?

    /// A client; nothing is connected yet. With options that cannot be, every call fails with
    /// ``ClientError/invalidArgument(_:)``, which names the option.
    public init(_ options: ClientOptions = ClientOptions()) {
        self.options = options
        flaw = options.flaw
        host = nil
        core = ClientCore(options, onThreadOf: nil)
    }

    /// A client with connections of its own on the thread of `other`, which closes this one, too,
    /// when it is closed. For many connections from one process.
    public init(_ options: ClientOptions, onThreadOf other: ToyMQClient) {
        self.options = options
        flaw = options.flaw
        host = other
        core = ClientCore(options, onThreadOf: other.core)
    }

    // Nobody can wait for it; but what was handed over goes its way.
    deinit { core.close(within: ToyMQClient.standardTimeout) }

    /// How long what is unanswered has when nobody says otherwise.
    private static let standardTimeout = Duration.seconds(5)

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
    /// ``ClientOptions/publishWindow`` may be unanswered. They go out in the order of the calls,
    /// and are answered in it.
    public func startPublishing(
        _ message: Message, to topic: String
    ) async throws(ClientError) -> PendingPublish {
        if let flaw { throw flaw }
        let command = try message.command(topic: topic)
        let promise = Promise<PublishReceipt>()
        try await send(
            Request(
                kind: .publish(promise), command: command, isRepeatable: message.key != nil))
        return PendingPublish(promise: promise, client: self)
    }

    private func send(_ request: Request) async throws(ClientError) {
        try await core.queue.waitForRoom(bytes: request.command.count)
        guard try core.queue.add(request) else { return }
        if core.drain() { return }
        // The thread was another client's, and has gone.
        for request in core.queue.take() { request.fail(.closed) }
    }

    // MARK: Asking

    /// What the broker says of itself: the one line of JSON that `INFO` is answered with.
    public func info() async throws(ClientError) -> String {
        try await info(command: InfoCommand.totals)
    }

    /// What the broker says of its topics behind `name` in the order of their names, from the first
    /// for an empty one: one line of JSON with as many as fit, and whether there are `more`.
    public func info(topicsAfter name: String) async throws(ClientError) -> String {
        let command = InfoCommand.topics(after: name)
        guard command.count <= WireLimits.lineBytes else {
            throw .invalidArgument(
                "a name of \(name.utf8.count) bytes is too long: no topic has it")
        }
        return try await info(command: command)
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
        let core = try core.subscribe(topic: topic, consumer: consumer)
        return Subscription(core: core, client: self)
    }

    // MARK: Closing

    /// Takes nothing more, waits for what is unanswered, acknowledgements included, up to
    /// `timeout`, and ends the subscriptions, the connections, the clients on its thread and the
    /// thread. What is not answered by then fails. A second call waits for the first. A look-up of
    /// the broker's name that is going on cannot be given up, and takes at most
    /// ``ClientOptions/connectTimeout`` more.
    public func close(timeout: Duration = .seconds(5)) async {
        core.close(within: timeout)
        await core.waitUntilOver()
    }
}

/// A message on its way. Keeps its client.
public struct PendingPublish: Sendable {
    let promise: Promise<PublishReceipt>
    let client: ToyMQClient

    /// The broker's word for it. May be asked for more than once, and not at all: the message goes
    /// its way, also when nobody has the client any more. It then has five seconds, as with
    /// ``ToyMQClient/close(timeout:)``, unless the process ends before.
    public func receipt() async throws(ClientError) -> PublishReceipt {
        try await promise.value()
    }
}
