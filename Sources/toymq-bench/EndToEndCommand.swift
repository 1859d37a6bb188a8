import ArgumentParser
import ToyMQClient

struct EndToEndCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "e2e",
        abstract: "Measures from PUB sent to MSG received by a waiting consumer elsewhere.",
        discussion: """
            One connection publishes, another one consumes and acknowledges. --window messages are on \
            their way at once: with 1 the next one is published when the one before has come.
            """)

    @OptionGroup var broker: BrokerOptions

    @Option(help: "Messages on their way at once.")
    var window = 1

    @Option(help: "Seconds to measure.")
    var seconds = 3.0

    @Option(help: "Seconds before that, which do not count.")
    var warmup = 0.5

    func validate() throws {
        guard (1...200).contains(window) else { throw ValidationError("--window is 1 to 200") }
        guard seconds > 0, seconds <= 3600, warmup >= 0 else {
            throw ValidationError("--seconds is above 0 and at most 3600")
        }
    }

    func run() throws {
        try reporting {
            let options = try broker.clientOptions()
            let (broker, window) = (broker, window)
            let begin = monotonicNanoseconds() + UInt64(warmup * 1e9)
            let end = begin + UInt64(seconds * 1e9)
            let latency = try BrokerOptions.wait {
                try await ToyMQClient.with(options) { client in
                    try await Self.measure(client, broker, window, from: begin, to: end)
                }
            }
            BrokerReport(
                measurement: "e2e", setting: [("window", window), ("size", broker.size)],
                messages: latency.count, seconds: seconds, latency: latency
            ).print(json: broker.json)
        }
    }

    private static func measure(
        _ client: ToyMQClient, _ broker: BrokerOptions, _ window: Int, from begin: UInt64,
        to end: UInt64
    ) async throws -> Histogram {
        var histogram = Histogram()
        let topic = "\(broker.topic).e2e-\(monotonicNanoseconds())"
        let subscription = try client.subscribe(to: topic, as: "bench")
        for _ in 0..<window {
            _ = try await client.startPublishing(
                Message(broker.payload(at: monotonicNanoseconds())), to: topic)
        }
        for try await delivery in subscription {
            let now = monotonicNanoseconds()
            guard now < end else { break }
            if now >= begin { histogram.record(now - BrokerOptions.time(of: delivery.payload)) }
            delivery.ackWithoutWaiting()
            _ = try await client.startPublishing(
                Message(broker.payload(at: monotonicNanoseconds())), to: topic)
        }
        await subscription.close()
        return histogram
    }
}
