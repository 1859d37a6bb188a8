import Foundation
import Testing

/// Many of one kind, with little to go round.
@Suite("Many clients and many topics", .serialized, .timeLimit(.minutes(10)))
struct ManyTests {
    @Test("consumers that do not read hold one large message each, and no more is read for them")
    func largeMessages() throws {
        let broker = try BrokerProcess(
            try DataFolder(), ["--max-payload", "3MiB", "--visibility-timeout", "600s"])
        let size = 3 << 20
        let payload = String(repeating: "x", count: size)
        let client = try broker.client()
        for id in 0..<5 { #expect(try client.publish("t", payload) == "OK \(id)") }
        let before = broker.residentBytes
        let count = 20
        let idle = try (0..<count).map { number in
            let idle = try RawClient(port: broker.port, receiveBytes: 4096)
            try idle.send("SUB t idle\(number)\n")
            return idle
        }
        let isOver = ContinuousClock.now + .seconds(60)
        while try client.count("delivered_total") < count, ContinuousClock.now < isOver {}
        // Whoever comes now has everything read behind all that was to be read for them.
        let last = try broker.client()
        #expect(try last.command("SUB t last") == "OK 0")
        for id in 0..<5 { #expect(try last.message().id == UInt64(id)) }
        // A buffer of 4 MiB each, and what the last one has had.
        #expect(broker.residentBytes < before + (count + 6) * (4 << 20))
        for client in idle { client.close() }
    }

    @Test("with few descriptors all topics are closed, and none is told to have failed")
    func fewDescriptors() throws {
        let data = try DataFolder()
        let broker = try BrokerProcess(data, descriptors: 48)
        let client = try broker.client()
        let count = 300
        for number in 0..<count { try client.send("PUB t\(number) - 1\nx\n") }
        for _ in 0..<count { #expect(try client.line() == "OK 0") }
        #expect(broker.stop() == 0)
        #expect(!broker.log.contains(" error "), "\(broker.log)")
    }
}
