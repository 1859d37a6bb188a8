import ArgumentParser
import ToyMQClient

struct AckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ack",
        abstract: "Acknowledges messages for a consumer, so that it does not get them any more.",
        discussion: """
            Only what is in flight can be acknowledged. This command therefore subscribes as the \
            consumer, which takes over from its connection, and has the messages delivered to itself \
            first; all others of them go back to be delivered again. The broker sends at most 256 that \
            are not acknowledged: an id that lies further behind the first of them cannot be reached.

            Exit codes: 0 all were acknowledged, now or before; 1 not all, the others are listed on \
            standard error; 2 none was; 64 usage.
            """)

    @OptionGroup var remote: RemoteOptions

    @Argument(help: "The topic.")
    var topic: String

    @Argument(help: "The consumer.")
    var consumer: String

    @Argument(help: "The messages.")
    var ids: [UInt64] = []

    @Option(help: ArgumentHelp("Everything up to this id, it included.", valueName: "id"))
    var upTo: UInt64?

    @Option(
        help: ArgumentHelp("Give up when no message has come for so long.", valueName: "seconds"))
    var timeout = 2.0

    @Flag(help: "Print a JSON object for each message.")
    var json = false

    func validate() throws {
        guard ids.isEmpty == (upTo != nil) else { throw ValidationError("ids, or --up-to") }
        guard timeout > 0 else { throw ValidationError("--timeout is above 0") }
    }

    func run() throws {
        try remote.withClient { client in
            guard let facts = try TopicFacts.all(client).first(where: { $0.name == topic }) else {
                throw InputError("there is no topic \(topic); see: toymqctl topics")
            }
            guard let next = facts.nextID else {
                throw InputError("topic \(topic) is \(facts.condition)")
            }
            let last = upTo ?? ids.max() ?? 0
            guard last < next else {
                throw InputError("there is no message \(last): the next one will be \(next)")
            }
            let acknowledged =
                facts.consumers.first { $0.name == consumer }?.firstUnacknowledged ?? 0
            var wanted = Set(ids)
            var count = wanted.filter { $0 < acknowledged }.count
            wanted = wanted.filter { $0 >= acknowledged }
            if let upTo, upTo < acknowledged { return .done }
            let subscription = try client.subscribe(to: topic, as: consumer)
            defer { try? waitFor { await subscription.close() } }
            var isReached = false
            let counter = Counter("acknowledged")
            defer { counter.clear() }
            while upTo != nil || !wanted.isEmpty, let delivery = try self.next(subscription) {
                let isWanted = upTo.map { delivery.id <= $0 } ?? wanted.contains(delivery.id)
                if upTo != nil, !isWanted {
                    isReached = true
                    break
                }
                guard isWanted else { continue }
                let settlement = try waitFor { () async throws(ClientError) in
                    try await delivery.ack()
                }
                guard settlement == .done else { continue }
                wanted.remove(delivery.id)
                count += 1
                counter.show(count)
                tell(delivery.id)
                if delivery.id == upTo {
                    isReached = true
                    break
                }
            }
            counter.clear()
            for id in wanted.sorted() {
                StandardError.say(
                    "message \(id) was not delivered: it is acknowledged already, or too far behind "
                        + "the first that is not")
            }
            if let upTo, !isReached {
                StandardError.say("not everything up to \(upTo) was delivered within \(timeout) s")
            }
            let isDone = upTo == nil ? wanted.isEmpty : isReached
            return isDone ? .done : count == 0 ? .failed : .incomplete
        }
    }

    private func next(_ subscription: Subscription) throws(ClientError) -> Delivery? {
        try waitFor(seconds: timeout) { () async throws(ClientError) in
            var iterator = subscription.makeAsyncIterator()
            return try await iterator.next()
        }
    }

    private func tell(_ id: UInt64) {
        let line =
            json
            ? JSON.object([
                ("topic", .string(topic)), ("consumer", .string(consumer)), ("id", .integer(id)),
            ]).text : "\(id)"
        _ = StandardOutput.line(line)
    }
}
