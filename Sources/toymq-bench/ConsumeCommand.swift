import ArgumentParser
import DequeModule
import Threads
import ToolSupport
import ToyMQClient

struct ConsumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consume",
        abstract:
            "Measures consuming: publishes a backlog, then has one consumer take it with acks.",
        discussion: """
            The time is from the subscription to the last delivery of the backlog. Every message is \
            acknowledged, without waiting for the answer unless --await-acks is given.
            """)

    @OptionGroup var broker: BrokerOptions

    @Option(help: "Messages in the backlog.")
    var messages = 200_000

    @Flag(help: "Wait for the answer to each acknowledgement before the next message.")
    var awaitAcks = false

    func validate() throws {
        guard (1...100_000_000).contains(messages) else {
            throw ValidationError("--messages is 1 to 100000000")
        }
    }

    func run() throws {
        try reporting {
            var options = try broker.clientOptions()
            options.publishWindow = 4096
            let (broker, messages, awaitAcks) = (broker, messages, awaitAcks)
            let seconds = try waitFor { [options] in
                try await ToyMQClient.with(options) { client in
                    let backlog = try await Self.fill(client, broker, messages)
                    return try await Self.consume(client, broker, backlog, awaitAcks)
                }
            }
            try BrokerReport(
                measurement: "consume",
                setting: [("size", broker.size), ("awaits", awaitAcks ? 1 : 0)],
                messages: UInt64(messages), seconds: seconds, latency: nil
            ).print(json: broker.json)
        }
    }

    /// Publishes the backlog; gives the ids of its first and its last message. All that is between
    /// them is there: whatever the broker did not take ends the measurement.
    private static func fill(
        _ client: ToyMQClient, _ broker: BrokerOptions, _ count: Int
    ) async throws -> ClosedRange<UInt64> {
        let message = Message(broker.payload(at: 0))
        var pending: Deque<PendingPublish> = []
        var ids: ClosedRange<UInt64>?
        func settle(to limit: Int) async throws {
            while pending.count > limit, let next = pending.popFirst() {
                let id = try await next.receipt().id
                let first = min(ids?.lowerBound ?? id, id)
                ids = first...max(ids?.upperBound ?? id, id)
            }
        }
        do {
            for _ in 0..<count {
                pending.append(try await client.startPublishing(message, to: broker.topic))
                try await settle(to: client.options.publishWindow)
            }
            try await settle(to: 0)
        } catch {
            throw BenchError("the backlog was not published, and nothing was measured: \(error)")
        }
        guard let ids else { throw BenchError("there is no backlog") }
        return ids
    }

    private static func consume(
        _ client: ToyMQClient, _ broker: BrokerOptions, _ backlog: ClosedRange<UInt64>,
        _ awaits: Bool
    ) async throws -> Double {
        // A consumer that is new gets everything; what was there before does not count.
        let (first, last) = (backlog.lowerBound, backlog.upperBound)
        let name = "bench-\(MonotonicClock.now())"
        let subscription = try client.subscribe(to: broker.topic, as: name)
        var begin = MonotonicClock.now()
        for try await delivery in subscription {
            if delivery.id == first, first > 0 { begin = MonotonicClock.now() }
            if awaits { try await delivery.ack() } else { delivery.ackWithoutWaiting() }
            if delivery.id == last { break }
        }
        let seconds = Double(MonotonicClock.now() - begin) / 1e9
        await subscription.close()
        return seconds
    }
}
