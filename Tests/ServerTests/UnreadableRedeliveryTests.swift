import Broker
import SystemPackage
import Testing
import WAL
import WALTestSupport

/// Messages in flight that are due once more and cannot be read any more.
@Suite("Deliveries once more that cannot be read", .timeLimit(.minutes(10)))
struct UnreadableRedeliveryTests {
    private static let segment = FilePath("/data/topics/t/segment.log")

    /// A server with messages 0 and so on in topic `t`, all in flight to `consumer`, who has
    /// everything.
    private struct Fixture {
        let disk = MemoryDisk()
        let local: LocalServer
        let consumer: RawClient

        init(
            messages: Int, visibilityTimeout: UInt64 = BrokerOptions().visibilityTimeout
        ) throws {
            disk.putDirectory("/data")
            local = try LocalServer(
                disk, reopenDelay: 60_000_000_000, visibilityTimeout: visibilityTimeout)
            let publisher = try local.client()
            for id in 0..<messages {
                #expect(try publisher.publish("t", "number \(id)") == "OK \(id)")
            }
            consumer = try local.client()
            #expect(try consumer.command("SUB t c") == "OK 0")
            for id in 0..<messages { #expect(try consumer.message().id == UInt64(id)) }
            // Published now, so that it waits for more.
            #expect(try publisher.publish("t", "number \(messages)") == "OK \(messages)")
            #expect(try consumer.message().id == UInt64(messages))
        }

        /// A message rots.
        func damage(_ id: Int) {
            disk.change(UnreadableRedeliveryTests.segment) { bytes in
                let text = Array("number \(id)".utf8)
                for start in 0...bytes.count - text.count
                where Array(bytes[start..<start + text.count]) == text { bytes[start] ^= 1 }
            }
        }

        func reject(_ id: Int) throws {
            #expect(try consumer.command("NACK c \(id)") == "OK \(id)")
        }

        func acknowledge(_ ids: [Int]) throws {
            for id in ids { #expect(try consumer.command("ACK c \(id)") == "OK \(id)") }
        }

        /// Waits until somebody has found the damage.
        func waitForDamage() throws {
            let client = try local.client()
            #expect(
                try comesTrue { try client.publish("t", "x").hasPrefix("ERR DAMAGED ") })
        }
    }

    @Test("somebody who publishes meanwhile does not end the subscription")
    func publishing() throws {
        let fixture = try Fixture(messages: 3)
        let hasFailed = Event()
        fixture.disk.follow { call in
            guard call.operation == .read, call.path == UnreadableRedeliveryTests.segment else {
                return nil
            }
            hasFailed.fire()
            return .fail(.ioError)
        }
        try fixture.reject(1)
        #expect(hasFailed.wait())
        let publisher = try fixture.local.client()
        #expect(try publisher.command("PING") == "PONG")
        for id in 4..<8 { #expect(try publisher.publish("t", "x") == "OK \(id)") }
        #expect(try fixture.consumer.isQuiet())
        try fixture.acknowledge([0, 2, 3])
        #expect(try fixture.consumer.isClosed())
        #expect(try publisher.command("SUB t c").hasPrefix("ERR SUB_FAILED "))
        #expect(fixture.local.stop())
    }

    @Test("the time of a message that is over does")
    func timeout() throws {
        let fixture = try Fixture(messages: 3, visibilityTimeout: 300_000_000)
        fixture.damage(1)
        // None is acknowledged. Some come once more before.
        while (try? fixture.consumer.message()) != nil {}
        #expect(try fixture.consumer.isClosed())
        #expect(try fixture.local.client().command("SUB t c").hasPrefix("ERR DAMAGED "))
        #expect(fixture.local.stop())
    }

    @Test(
        "what was given back and is before it is delivered, whatever was given back first",
        arguments: [[3, 1], [3, 2, 0], [4, 3, 2, 1, 0], [3, 4, 0, 1]])
    func before(givenBack: [Int]) throws {
        let fixture = try Fixture(messages: 4)
        fixture.damage(3)
        for (number, id) in givenBack.enumerated() {
            try fixture.reject(id)
            if number == 0 { try fixture.waitForDamage() }
            guard id < 3 else { continue }
            let message = try fixture.consumer.message()
            #expect(message.id == UInt64(id) && message.payload == "number \(id)")
        }
        #expect(try fixture.consumer.isQuiet())
        let inFlight = (0...4).filter { $0 < 3 || !givenBack.contains($0) }
        try fixture.acknowledge(inFlight.filter { $0 != 3 })
        #expect(try fixture.consumer.isClosed())
        #expect(try fixture.local.client().command("SUB t c").hasPrefix("ERR DAMAGED "))
        #expect(fixture.local.stop())
    }

    @Test("what can be read after all ends nothing")
    func readAfterAll() throws {
        let fixture = try Fixture(messages: 3)
        let hasFailed = Event()
        fixture.disk.follow { call in
            guard call.operation == .read, call.path == UnreadableRedeliveryTests.segment,
                !hasFailed.hasFired
            else { return nil }
            hasFailed.fire()
            return .fail(.ioError)
        }
        try fixture.reject(2)
        #expect(hasFailed.wait())
        // The failure is known to the loop by then, or it reads both at once.
        try fixture.reject(1)
        #expect(try fixture.consumer.nextMessage().id == 1)
        #expect(try fixture.consumer.nextMessage().id == 2)
        try fixture.acknowledge([0, 1, 2, 3])
        let publisher = try fixture.local.client()
        #expect(try publisher.publish("t", "number 4") == "OK 4")
        #expect(try fixture.consumer.message().id == 4)
        #expect(fixture.local.stop())
    }
}
