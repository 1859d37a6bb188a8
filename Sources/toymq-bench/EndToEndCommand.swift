import ArgumentParser
import Threads
import ToolSupport
import ToyMQClient

struct EndToEndCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "e2e",
        abstract: "Measures from PUB sent to MSG received by a waiting consumer elsewhere.",
        discussion: """
            One connection publishes, another one consumes and acknowledges. --window messages are on \
            their way at once: with 1 the next one is published when the one before has come. \
            The client library takes its share, for it wakes a task for each message and its event \
            loop for each command. With --bare it is left out, and what is measured is the broker.
            """)

    @OptionGroup var broker: BrokerOptions

    @Option(help: "Messages on their way at once.")
    var window = 1

    @Flag(help: "Without the client library: both connections on one event loop.")
    var bare = false

    @OptionGroup var period: Period

    func validate() throws {
        guard (1...200).contains(window) else { throw ValidationError("--window is 1 to 200") }
    }

    func run() throws {
        try reporting {
            let options = try broker.clientOptions()
            let latency = try bare ? measureBare(options) : measure(options)
            try BrokerReport(
                measurement: "e2e", setting: [("window", window), ("size", broker.size)],
                messages: latency.count, seconds: self.period.seconds, latency: latency
            ).print(json: broker.json)
        }
    }

    /// A topic that nobody has used, so that nothing comes but what is published now.
    static func newTopic(_ broker: BrokerOptions) -> String {
        "\(broker.topic).e2e-\(MonotonicClock.now())"
    }

    private func measureBare(_ options: ClientOptions) throws -> Histogram {
        try BareEndToEnd.measure(options, broker, window, period.nanoseconds)
    }

    private func measure(_ options: ClientOptions) throws -> Histogram {
        let (broker, window, period) = (broker, window, period.nanoseconds)
        return try waitFor {
            try await ToyMQClient.with(options) { client in
                try await Self.measure(client, broker, window, period)
            }
        }
    }

    /// Consumes and publishes in one task, and has another one take the broker's answers: a message
    /// that it refuses never comes, and nobody would wait for anything else.
    private static func measure(
        _ client: ToyMQClient, _ broker: BrokerOptions, _ window: Int, _ period: Range<UInt64>
    ) async throws -> Histogram {
        let (answers, published) = AsyncStream.makeStream(of: PendingPublish.self)
        return try await withThrowingTaskGroup(of: Histogram?.self) { group in
            group.addTask {
                for await answer in answers { _ = try await answer.receipt() }
                return nil
            }
            group.addTask {
                defer { published.finish() }
                return try await consume(client, broker, window, period) { published.yield($0) }
            }
            var latency: Histogram?
            // The first error ends the other task, too.
            for try await result in group { latency = result ?? latency }
            guard let latency else { throw BenchError("nothing was measured") }
            return latency
        }
    }

    private static func consume(
        _ client: ToyMQClient, _ broker: BrokerOptions, _ window: Int, _ period: Range<UInt64>,
        published: (PendingPublish) -> Void
    ) async throws -> Histogram {
        var histogram = Histogram()
        let topic = newTopic(broker)
        let subscription = try client.subscribe(to: topic, as: "bench")
        for _ in 0..<window {
            published(
                try await client.startPublishing(
                    Message(broker.payload(at: MonotonicClock.now())), to: topic))
        }
        for try await delivery in subscription {
            let now = MonotonicClock.now()
            guard now < period.upperBound else { break }
            if now >= period.lowerBound {
                histogram.record(now - BrokerOptions.time(of: delivery.payload.span))
            }
            delivery.ackWithoutWaiting()
            published(
                try await client.startPublishing(
                    Message(broker.payload(at: MonotonicClock.now())), to: topic))
        }
        await subscription.close()
        return histogram
    }
}
