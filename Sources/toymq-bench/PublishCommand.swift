import ArgumentParser
import Threads
import ToolSupport
import ToyMQClient

struct PublishCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Measures publishing: messages a second, and how long until the broker's OK.",
        discussion: """
            Each connection keeps --window messages unanswered: with 1 the next one goes out when the \
            one before is on stable storage.
            """)

    @OptionGroup var broker: BrokerOptions

    @Option(help: "Connections.")
    var connections = 8

    @Option(help: "Messages that each has unanswered.")
    var window = 1

    @OptionGroup var period: Period

    func validate() throws {
        guard (1...10_000).contains(connections) else {
            throw ValidationError("--connections is 1 to 10000")
        }
        guard (1...65_536).contains(window) else {
            throw ValidationError("--window is 1 to 65536")
        }
        guard connections * window <= 1 << 20 else {
            throw ValidationError("--connections times --window is at most 1048576")
        }
    }

    func run() throws {
        try reporting {
            let latency = try measure(period.nanoseconds)
            try BrokerReport(
                measurement: "publish",
                setting: [
                    ("connections", connections), ("window", window), ("size", broker.size),
                ], messages: latency.count, seconds: period.seconds, latency: latency
            ).print(json: broker.json)
        }
    }

    private func measure(_ period: Range<UInt64>) throws -> Histogram {
        let options = try broker.clientOptions()
        let (broker, connections, window) = (broker, connections, window)
        return try waitFor {
            let first = ToyMQClient(options)
            let clients =
                [first] + (1..<connections).map { _ in ToyMQClient(options, onThreadOf: first) }
            let result: Result<Histogram, any Error>
            do {
                result = .success(
                    try await withThrowingTaskGroup(of: Histogram.self) { group in
                        for client in clients {
                            for _ in 0..<window {
                                group.addTask {
                                    try await Self.publish(client, broker, period)
                                }
                            }
                        }
                        var sum = Histogram()
                        for try await histogram in group { sum.add(histogram) }
                        return sum
                    })
            } catch { result = .failure(error) }
            for client in clients.reversed() { await client.close() }
            return try result.get()
        }
    }

    /// One message after the other; those whose answer comes in `period` count.
    private static func publish(
        _ client: ToyMQClient, _ broker: BrokerOptions, _ period: Range<UInt64>
    ) async throws -> Histogram {
        var histogram = Histogram()
        var now = MonotonicClock.now()
        let message = Message(broker.payload(at: now))
        while now < period.upperBound {
            try await client.publish(message, to: broker.topic)
            let answered = MonotonicClock.now()
            if period.contains(answered) { histogram.record(answered - now) }
            now = answered
        }
        return histogram
    }
}
