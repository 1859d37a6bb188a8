import Foundation
import SystemPackage
import Testing
import WAL
import WALTestSupport

/// Messages that were durable and are not there any more, found while the broker serves.
@Suite("Rot under a broker that runs", .serialized, .timeLimit(.minutes(10)))
struct RotTests {
    private static let count = 700

    private func payload(_ number: Int) -> String {
        "number \(number) " + String(repeating: "x", count: 300)
    }

    /// A broker with messages in topic `t`, of which one has rotted.
    private func rotten(_ number: Int, _ arguments: String...) throws -> BrokerProcess {
        let data = try DataFolder()
        let broker = try BrokerProcess(
            data, ["--metrics-addr", "127.0.0.1:0"] + arguments)
        let publisher = try broker.client()
        for number in 0..<RotTests.count {
            let text = payload(number)
            try publisher.send("PUB t key:\(number) \(text.utf8.count)\n\(text)\n")
        }
        for id in 0..<RotTests.count { #expect(try publisher.line() == "OK \(id)") }
        try damage(data, number)
        return broker
    }

    private func damage(_ data: DataFolder, _ number: Int) throws {
        let log = data.url.appendingPathComponent("topics/t/segment.log")
        let place = try #require(
            try Data(contentsOf: log).firstRange(of: Data("number \(number) ".utf8)))
        let file = try FileHandle(forWritingTo: log)
        try file.seek(toOffset: UInt64(place.upperBound + 10))
        try file.write(contentsOf: Data("ROT".utf8))
        try file.close()
    }

    private func isDamaged(_ answer: String) -> Bool {
        answer.hasPrefix("ERR DAMAGED ") && answer.contains("run `toymq-fsck ")
    }

    @Test(
        "all before it is delivered and acknowledged, then the subscription ends and everybody is told",
        arguments: [0, 50, 300, 699])
    func rot(at bad: Int) throws {
        let broker = try rotten(bad)
        let consumer = try broker.client()
        #expect(try consumer.command("SUB t c") == "OK 0")
        for id in 0..<bad {
            #expect(try consumer.nextMessage() == .init(id: UInt64(id), payload: payload(id)))
            try consumer.send("ACK c \(id)\n")
        }
        while (try? consumer.line().hasPrefix("OK ")) == true {}
        #expect(try consumer.isClosed())

        let client = try broker.client()
        #expect(isDamaged(try client.command("SUB t c")))
        #expect(isDamaged(try client.command("SUB t other")))
        #expect(isDamaged(try client.publish("t", "more")))
        #expect(isDamaged(try client.publish("t", "more", key: "key:0")))
        let info = try client.command("INFO after=")
        #expect(info.contains("\"condition\": \"damaged\""), "\(info)")
        #expect(info.contains("\"first_unacknowledged\": \(bad)"), "\(info)")
        #expect(try client.publish("u", "x") == "OK 0")
        let metrics = try broker.get("/metrics")
        #expect(metrics.contains("\ntoymq_topics_closed 1\n"))
        #expect(broker.stop() == 0)
        let told = broker.log.split(separator: "\n").filter { $0.contains(" error ") }
        #expect(told.count == 1, "\(broker.log)")
        #expect(told.first?.contains("run `toymq-fsck ") == true)
    }

    @Test("a consumer that acknowledges nothing is told when its messages are due again")
    func notAcknowledged() throws {
        let broker = try rotten(50, "--visibility-timeout", "100ms")
        let consumer = try broker.client()
        #expect(try consumer.command("SUB t c") == "OK 0")
        for id in 0..<50 { #expect(try consumer.message().id == UInt64(id)) }
        // Some of them may have come once more before.
        while (try? consumer.message()) != nil {}
        #expect(try consumer.isClosed())
        #expect(isDamaged(try broker.client().command("SUB t c")))
    }

    @Test("a consumer that was there before gets what it can, and its acknowledgements count")
    func present() throws {
        let broker = try rotten(600)
        let slow = try broker.client()
        #expect(try slow.command("SUB t slow") == "OK 0")
        #expect(try slow.message().id == 0)
        let consumer = try broker.client()
        #expect(try consumer.command("SUB t c") == "OK 0")
        for id in 0..<600 {
            #expect(try consumer.nextMessage().id == UInt64(id))
            try consumer.send("ACK c \(id)\n")
        }
        while (try? consumer.line()) != nil {}
        #expect(isDamaged(try broker.client().publish("t", "x")))
        try slow.send("ACK slow 0\n")
        for id in 1..<600 {
            #expect(try slow.nextMessage().id == UInt64(id))
            try slow.send("ACK slow \(id)\n")
        }
        while (try? slow.line()) != nil {}
        #expect(try slow.isClosed())
    }

    @Test("a consumer that has everything is told, too")
    func waiting() throws {
        let data = try DataFolder()
        let broker = try BrokerProcess(data)
        let waiting = try broker.client()
        #expect(try waiting.command("SUB t waiting") == "OK 0")
        for number in 0..<3 {
            #expect(try broker.client().publish("t", payload(number)) == "OK \(number)")
            #expect(try waiting.message().id == UInt64(number))
        }
        try damage(data, 1)
        let consumer = try broker.client()
        #expect(try consumer.command("SUB t c") == "OK 0")
        #expect(try consumer.message().id == 0)
        try consumer.send("ACK c 0\n")
        while (try? consumer.line()) != nil {}
        for number in 0..<3 { try waiting.send("ACK waiting \(number)\n") }
        #expect(try waiting.lines(3) == ["OK 0", "OK 1", "OK 2"])
        #expect(try waiting.isClosed())
        #expect(isDamaged(try broker.client().command("SUB t waiting")))
    }

    @Test("what cannot be read just now refuses its consumer for a while, and no others")
    func unreadable() throws {
        let disk = MemoryDisk()
        disk.putDirectory("/data")
        let local = try LocalServer(disk, reopenDelay: 200_000_000)
        #expect(try local.client().publish("t", "first") == "OK 0")
        disk.follow { $0.operation == .read && $0.name == "segment.log" ? .fail(.ioError) : nil }
        let isOver = ContinuousClock.now + .seconds(30)
        var answer = ""
        // One that was accepted finds out, and the next one is told.
        while !answer.hasPrefix("ERR "), ContinuousClock.now < isOver {
            let client = try local.client()
            answer = try client.command("SUB t c")
            if answer == "OK 0" { #expect(try client.isClosed()) }
        }
        #expect(answer.hasPrefix("ERR SUB_FAILED ") && answer.contains("Input/output error"))
        #expect(try local.client().publish("t", "second") == "OK 1")
        disk.follow(nil)
        let other = try local.client()
        #expect(try other.command("SUB t other") == "OK 0")
        #expect(try other.message().payload == "first")
        let client = try local.client()
        repeat {
            answer = try client.command("SUB t c")
        } while answer != "OK 0"
            && ContinuousClock.now < isOver
        #expect(try client.message().payload == "first")
        #expect(local.stop())
    }
}
