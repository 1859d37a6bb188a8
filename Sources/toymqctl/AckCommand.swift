import JSONText
import ArgumentParser
import ToolSupport
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
            let facts = try self.facts(client)
            let work = Acknowledging(ids: ids, upTo: upTo)
            // Nothing is taken over from anybody if there is nothing to do.
            if let known = facts.consumer(consumer) {
                work.isDone(below: known.firstUnacknowledged)
            }
            if work.isDone { return .done }
            let subscription = try client.subscribe(to: topic, as: consumer)
            defer { waitFor { await subscription.close() } }
            let counter = Counter("acknowledged")
            defer { counter.clear() }
            var held: Delivery?
            while !work.isDone, let delivery = try next(subscription) {
                guard work.wants(delivery.id) else {
                    held = delivery
                    continue
                }
                let settlement = try waitFor { () async throws(ClientError) in
                    try await delivery.ack()
                }
                guard work.settled(delivery.id, settlement == .done) else { continue }
                counter.show(work.count)
                try tell(delivery.id)
            }
            counter.clear()
            if work.isDone { return .done }
            // Nothing more comes: the broker may know that nothing is left to come.
            if let known = try self.facts(client).consumer(consumer) {
                work.isDone(below: known.firstUnacknowledged)
                // Whoever took the consumer over may have acknowledged some since: the count is of
                // what was delivered here only as long as that is not so.
                let isAll = known.unacknowledged == UInt64(work.held.count)
                if !work.isDone, isAll, let held, try isOurs(held) { work.isDoneButHeld() }
            }
            for line in work.left { voice.say("\(line) within \(timeout) s") }
            return work.isDone ? .done : work.count == 0 ? .failed : .incomplete
        }
    }

    /// Whether what was delivered here is in flight here still. It is given back, as all the rest
    /// will be at the end.
    private func isOurs(_ delivery: Delivery) throws(ClientError) -> Bool {
        try waitFor { () async throws(ClientError) in try await delivery.nack() } == .done
    }

    /// What the broker says of the topic, if that can be read and has the messages.
    private func facts(_ client: ToyMQClient) throws -> TopicFacts {
        guard let facts = try TopicFacts.of(topic, client) else {
            throw InputError("there is no topic \(topic); see: toymqctl topics")
        }
        // A topic that has failed is read all the same.
        guard facts.isOpen || facts.condition == "failed", let ids = facts.ids else {
            throw InputError("topic \(topic) is \(facts.trouble)")
        }
        let last = upTo ?? self.ids.max() ?? 0
        guard last < ids.upperBound else {
            throw InputError("there is no message \(last): the next one will be \(ids.upperBound)")
        }
        return facts
    }

    private func next(_ subscription: Subscription) throws(ClientError) -> Delivery? {
        try waitFor(seconds: timeout) { () async throws(ClientError) in
            var iterator = subscription.makeAsyncIterator()
            return try await iterator.next()
        }
    }

    private func tell(_ id: UInt64) throws {
        let line =
            json
            ? JSON.object([
                ("topic", .string(topic)), ("consumer", .string(consumer)), ("id", .integer(id)),
            ]).text : "\(id)"
        try StandardOutput.line(line)
    }
}

/// What is to be acknowledged, and what is known to be.
private final class Acknowledging {
    private var wanted: Set<UInt64>
    /// Everything up to this one; nil once that is so, or if it was not asked for.
    private var upTo: UInt64?
    /// Delivered to a connection that ended before the answer: they come again.
    private var unanswered: Set<UInt64> = []
    /// Delivered and not acknowledged: they were not asked for.
    private(set) var held: Set<UInt64> = []
    /// Acknowledged now, or of `ids` before.
    private(set) var count = 0

    init(ids: [UInt64], upTo: UInt64?) {
        wanted = Set(ids)
        self.upTo = upTo
    }

    var isDone: Bool { wanted.isEmpty && upTo == nil }

    /// The broker says that everything below `first` is acknowledged.
    func isDone(below first: UInt64) {
        let known = wanted.filter { $0 < first }
        count += known.count
        wanted.subtract(known)
        if let upTo, upTo < first { self.upTo = nil }
    }

    /// All is acknowledged but what is held.
    func isDoneButHeld() {
        let known = wanted.filter { !held.contains($0) }
        count += known.count
        wanted.subtract(known)
        if let upTo, held.allSatisfy({ $0 > upTo }) { self.upTo = nil }
    }

    /// Whether a message that was delivered is to be acknowledged. A connection is sent what is not
    /// acknowledged in the order of the ids: what it has not been sent below `id` is acknowledged.
    func wants(_ id: UInt64) -> Bool {
        let passed = wanted.filter { $0 < id && !unanswered.contains($0) }
        count += passed.count
        wanted.subtract(passed)
        let isWanted = upTo.map { id <= $0 } ?? wanted.contains(id)
        if !isWanted { held.insert(id) }
        if let upTo, id > upTo, unanswered.isEmpty { self.upTo = nil }
        return isWanted
    }

    /// The broker has taken the acknowledgement, or the connection has ended before. Gives the
    /// first.
    func settled(_ id: UInt64, _ isTaken: Bool) -> Bool {
        guard isTaken else {
            unanswered.insert(id)
            return false
        }
        unanswered.remove(id)
        wanted.remove(id)
        count += 1
        if id == upTo, unanswered.isEmpty { upTo = nil }
        return true
    }

    /// What is not known to be acknowledged.
    var left: [String] {
        let range = upTo.map { ["not everything up to \($0) was delivered"] } ?? []
        return range
            + wanted.sorted().map {
                "message \($0) was not delivered: it is acknowledged already, or too far behind the "
                    + "first that is not; nothing came"
            }
    }
}
