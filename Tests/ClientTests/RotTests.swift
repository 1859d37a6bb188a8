import ChaosHarness
import Foundation
import ProcessSupport
import Testing
import TestSupport
import ToyMQClient

/// What consumers hear of a topic that is found damaged while it serves.
@Suite("Rot, seen by clients", .timeLimit(.minutes(10)))
struct RotTests {
    /// A broker with the messages 0 to 499 in topic `t`, of which 300 has rotted.
    private func rotten() throws -> TestBroker {
        let broker = try TestBroker()
        let lines = (0..<500).map { "number \($0)\n" }.joined()
        #expect(try toymqctl(broker, "pub", "t", "--lines", input: lines).exit == 0)
        let log = broker.root.url.appendingPathComponent("data/topics/t/segment.log")
        let place = try #require(
            try Data(contentsOf: log).firstRange(of: Data("number 300".utf8)))
        let file = try FileHandle(forWritingTo: log)
        try file.seek(toOffset: UInt64(place.lowerBound))
        try file.write(contentsOf: Data("ROT".utf8))
        try file.close()
        return broker
    }

    @Test(arguments: [[], ["--timeout", "60"]])
    func toymqctlPrintsWhatIsThereAndSaysWhyThereIsNoMore(arguments: [String]) throws {
        let broker = try rotten()
        func sub(_ consumer: String) throws -> FinishedProcess {
            try run(
                "toymqctl",
                ["sub", "t", "--consumer", consumer, "--addr", "127.0.0.1:\(broker.port)"]
                    + arguments)
        }
        let first = try sub("c")
        #expect(first.output == (0..<300).map { "number \($0)\n" }.joined())
        #expect(first.exit == 1)
        #expect(first.error.contains("DAMAGED") && first.error.contains("run `toymq-fsck "))
        #expect(!first.error.contains("may come again"), "\(first.error)")
        let second = try sub("other")
        #expect(second.exit == 2 && second.output.isEmpty)
        #expect(second.error.contains("DAMAGED"), "\(second.error)")
    }

    @Test func aLoopOverASubscriptionEndsWithAnErrorOfItsOwn() async throws {
        let broker = try rotten()
        let client = ToyMQClient(broker.options)
        let subscription = try client.subscribe(to: "t", as: "c")
        var count: UInt64 = 0
        do {
            for try await delivery in subscription {
                #expect(delivery.id == count)
                count += 1
                _ = try await delivery.ack()
            }
            Issue.record("it ended as if somebody had asked for that")
        } catch {
            guard case .refused(.damaged, let text) = error else { throw error }
            #expect(text.contains("run `toymq-fsck "))
        }
        #expect(count == 300)
        await client.close()
    }
}
