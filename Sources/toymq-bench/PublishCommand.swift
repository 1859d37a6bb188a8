import ArgumentParser
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

    @Option(help: "Seconds to measure.")
    var seconds = 3.0

    @Option(help: "Seconds before that, which do not count.")
    var warmup = 0.5

    func validate() throws {
        guard (1...10_000).contains(connections), (1...65_536).contains(window),
            connections * window <= 1 << 20
        else { throw ValidationError("at most 10000 connections, and 2^20 messages unanswered") }
        guard seconds > 0, seconds <= 3600, warmup >= 0 else {
            throw ValidationError("--seconds is above 0 and at most 3600")
        }
    }

    func run() throws {
        try reporting {
            let begin = monotonicNanoseconds() + UInt64(warmup * 1e9)
            let end = begin + UInt64(seconds * 1e9)
            let latency = try measure(from: begin, to: end)
            BrokerReport(
                measurement: "publish",
                setting: [
                    ("connections", connections), ("window", window), ("size", broker.size),
                ], messages: latency.count, seconds: seconds, latency: latency
            ).print(json: broker.json)
        }
    }

    private func measure(from begin: UInt64, to end: UInt64) throws -> Histogram {
        let options = try broker.clientOptions()
        let (broker, connections, window) = (broker, connections, window)
        return try BrokerOptions.wait {
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
                                    try await Self.publish(client, broker, from: begin, to: end)
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

    /// One message after the other; those whose answer comes between `begin` and `end` count.
    private static func publish(
        _ client: ToyMQClient, _ broker: BrokerOptions, from begin: UInt64, to end: UInt64
    ) async throws -> Histogram {
        var histogram = Histogram()
        var now = monotonicNanoseconds()
        let message = Message(broker.payload(at: now))
        while now < end {
            try await client.publish(message, to: broker.topic)
            let answered = monotonicNanoseconds()
            if answered >= begin, answered < end { histogram.record(answered - now) }
            now = answered
        }
        return histogram
    }
}
