import Broker
import DataDirectory
import SystemPackage
import Testing
import WAL
import WALTestSupport

@Suite("Deliveries")
struct DeliveryTests {
    private func filled(_ count: Int, _ change: (inout BrokerOptions) -> Void = { _ in }) throws
        -> (Bench, Topic)
    {
        let bench = try Bench(change)
        let topic = try bench.topic()
        _ = try bench.publish((0..<count).map { ("m\($0)", nil) }, to: topic)
        return (bench, topic)
    }

    @Test("message 0 acknowledged stays acknowledged across a restart")
    func messageZero() throws {
        let (bench, topic) = try filled(1)
        let reader = try Reader(topic)
        #expect(try reader.take() == [.init(id: 0, text: "m0")])
        try reader.acknowledge(0)
        reader.subscription.end()
        bench.broker.close()
        let again = try Bench(on: bench.disk)
        defer { again.broker.close() }
        let reread = try Reader(try again.topic())
        #expect(try reread.take().isEmpty)
        reread.subscription.end()
    }

    @Test("consumers of before a restart are known, behind those with a connection")
    func knownConsumers() throws {
        let (bench, topic) = try filled(3)
        for name in ["a", "b", "c", "d"] {
            let reader = try Reader(topic, name)
            _ = try reader.take()
            for id in 0...UInt64(name == "b" ? 1 : 0) { try reader.acknowledge(id) }
            reader.subscription.end()
        }
        bench.broker.close()
        let again = try Bench(on: bench.disk)
        defer { again.broker.close() }
        let reopened = try again.topic()
        #expect(reopened.facts.consumers.map(\.name) == ["a", "b", "c", "d"])
        #expect(reopened.facts.consumers.map(\.firstUnacknowledged) == [1, 2, 1, 1])
        #expect(reopened.facts.consumers.map(\.unacknowledged) == [2, 1, 2, 2])
        let reader = try Reader(reopened, "c")
        _ = try reader.take()
        let facts = reopened.facts(consumers: 2)
        #expect(facts.consumers.map(\.name) == ["c", "a"])
        #expect(facts.consumers.map(\.isConnected) == [true, false])
        #expect(facts.consumersTotal == 4 && facts.inFlight == 2)
        reader.subscription.end()
    }

    @Test("what is not in flight cannot be acknowledged or rejected")
    func notInFlight() throws {
        let (bench, topic) = try filled(2)
        defer { bench.broker.close() }
        let reader = try Reader(topic)
        #expect(throws: BrokerError.notInFlight(MessageID(0))) { try reader.acknowledge(0) }
        _ = try reader.take()
        try reader.acknowledge(0)
        #expect(throws: BrokerError.notInFlight(MessageID(0))) { try reader.acknowledge(0) }
        #expect(throws: BrokerError.notInFlight(MessageID(0))) { try reader.reject(0) }
        #expect(throws: BrokerError.notInFlight(MessageID(9))) { try reader.acknowledge(9) }
    }

    @Test("the window bounds what is in flight, and opens with each acknowledgement")
    func window() throws {
        let (bench, topic) = try filled(10) { $0.receiveWindow = 4 }
        defer { bench.broker.close() }
        let reader = try Reader(topic)
        #expect(try reader.take().map(\.id) == [0, 1, 2, 3])
        #expect(try reader.take().isEmpty)
        try reader.acknowledge(2)
        #expect(try reader.take().map(\.id) == [4])
        try reader.reject(0)
        #expect(try reader.take() == [.init(id: 0, text: "m0", attempt: 2)])
    }

    @Test("what is pending once more goes before what was read already, the lowest id first")
    func dueGoesFirst() throws {
        let (bench, topic) = try filled(10) { $0.receiveWindow = 4 }
        defer { bench.broker.close() }
        let reader = try Reader(topic)
        #expect(try reader.take().map(\.id) == [0, 1, 2, 3])
        let subscription = reader.subscription
        var ahead: [MessageID] = []
        _ = try subscription.read(upTo: 4) { message in
            ahead.append(message.id)
            return .next
        }
        func due() throws -> [MessageID] { try subscription.readDue { _, _ in .next } }
        try reader.acknowledge(0)
        try reader.reject(3)
        try reader.reject(2)
        #expect(subscription.claim(ahead[...]) == 0)
        let first = try due()
        #expect(first.map(\.rawValue) == [2, 3])
        // It has become due since they were read.
        try reader.reject(1)
        #expect(subscription.claimDue(first) == 0)
        let second = try due()
        #expect(second.map(\.rawValue) == [1, 2, 3])
        #expect(subscription.claimDue(second) == 3)
        #expect(subscription.claim(ahead[...]) == 1)
    }

    @Test("what was acknowledged out of order is skipped after a restart, and nothing else")
    func outOfOrder() throws {
        let (bench, topic) = try filled(8)
        let reader = try Reader(topic)
        _ = try reader.take()
        for id in [1, 2, 5, 7] as [UInt64] { try reader.acknowledge(id) }
        bench.broker.close()
        let again = try Bench(on: bench.disk)
        let next = try Reader(try again.topic())
        #expect(try next.take().map(\.id) == [0, 3, 4, 6])
        try next.acknowledge(0)
        again.broker.close()
        let last = try Bench(on: bench.disk)
        defer { last.broker.close() }
        #expect(try Reader(try last.topic()).take().map(\.id) == [3, 4, 6])
    }

    @Test("what was in flight is delivered again when its connection ends, lowest id first")
    func connectionEnds() throws {
        let (bench, topic) = try filled(3)
        defer { bench.broker.close() }
        let reader = try Reader(topic)
        _ = try reader.take()
        try reader.acknowledge(1)
        reader.subscription.end()
        #expect(throws: BrokerError.detached) { try reader.acknowledge(0) }
        _ = try bench.publish("m3", to: topic)
        #expect(
            try Reader(topic).take() == [
                .init(id: 0, text: "m0", attempt: 2), .init(id: 2, text: "m2", attempt: 2),
                .init(id: 3, text: "m3"),
            ])
    }

    @Test("a second connection of a consumer detaches the first")
    func detaches() throws {
        let (bench, topic) = try filled(2)
        defer { bench.broker.close() }
        let first = try Reader(topic)
        _ = try first.take()
        let second = try Reader(topic)
        #expect(first.replaced.hasFired)
        #expect(first.subscription.demand == nil)
        #expect(throws: BrokerError.detached) { try first.acknowledge(0) }
        #expect(try first.take().isEmpty)
        #expect(try second.take().map(\.id) == [0, 1])
        first.subscription.end()
        try second.acknowledge(0)
    }

    @Test("a message in flight for too long is delivered again, and its consumer is woken")
    func timeout() throws {
        let (bench, topic) = try filled(2) { $0.visibilityTimeout = 20_000_000 }
        defer { bench.broker.close() }
        let reader = try Reader(topic)
        _ = try reader.take()
        try reader.acknowledge(0)
        #expect(reader.woken.wait { $0 >= 1 })
        #expect(throws: BrokerError.notInFlight(MessageID(1))) { try reader.acknowledge(1) }
        #expect(try reader.take() == [.init(id: 1, text: "m1", attempt: 2)])
        #expect(reader.woken.wait { $0 >= 2 })
        #expect(try reader.take() == [.init(id: 1, text: "m1", attempt: 3)])
    }

    @Test("a consumer that has everything is woken by the next message, and by each once")
    func woken() throws {
        let (bench, topic) = try filled(1)
        defer { bench.broker.close() }
        let reader = try Reader(topic)
        _ = try reader.take()
        #expect(reader.subscription.waitForMore())
        _ = try bench.publish("next", to: topic)
        #expect(reader.woken.wait { $0 == 1 })
        _ = try bench.publish("another", to: topic)
        #expect(reader.woken.value == 1)
        #expect(try reader.take().map(\.id) == [1, 2])
        _ = try bench.publish("more", to: topic)
        #expect(!reader.subscription.waitForMore())
    }

    @Test("ids without a message count as acknowledged")
    func lostIDs() throws {
        let disk = MemoryDisk()
        let first = try Bench(on: disk)
        _ = try first.topic()
        first.broker.close()
        let host = LogHost(storage: Storage(disk))
        let log = try Log.open("/data/topics/t", host: host)
        _ = try log.appendBlocking(Message(payload: Array("a".utf8).span.bytes))
        let done = Event()
        try log.appendLost(3) { _ in done.fire() }
        #expect(done.wait())
        _ = try log.appendBlocking(Message(payload: Array("b".utf8).span.bytes))
        try log.appendLost(2) { _ in }
        try log.close()
        host.shutdown()
        let bench = try Bench(on: disk)
        let reader = try Reader(try bench.topic())
        #expect(try reader.take().map(\.id) == [0, 4])
        try reader.acknowledge(4)
        try reader.acknowledge(0)
        #expect(reader.subscription.waitForMore())
        bench.broker.close()
        #expect(bench.offsets?[try ConsumerID("c")]?.acked == MessageID(6))
    }

    @Test("positions are written soon after an acknowledgement, and again when that failed")
    func offsetsAreWritten() throws {
        let (bench, topic) = try filled(2)
        let reader = try Reader(topic)
        _ = try reader.take()
        let failures = Observed(0)
        bench.disk.follow { call in
            guard call.operation == .rename, failures.value < 3 else { return nil }
            failures.update { $0 += 1 }
            return .fail(.noSpace)
        }
        let written = Observed(false)
        try reader.acknowledge(0)
        #expect(failures.wait { $0 == 3 })
        bench.disk.follow { call in
            if call.operation == .syncDirectory, call.path == "/data/topics/t" {
                written.update { $0 = true }
            }
            return nil
        }
        #expect(written.wait { $0 })
        #expect(bench.offsets?[try ConsumerID("c")]?.acked == MessageID(0))
        bench.broker.close()
    }
}
