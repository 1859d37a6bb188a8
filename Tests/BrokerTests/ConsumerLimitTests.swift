import Broker
import DataDirectory
import SystemPackage
import Testing
import WAL
import WALTestSupport

@Suite("The limit of consumers")
struct ConsumerLimitTests {
    @Test("who has no connection and acknowledged nothing makes room for others, and nobody else")
    func makesRoom() throws {
        let bench = try Bench { $0.consumerLimit = 3 }
        defer { bench.broker.close() }
        let topic = try bench.topic()
        _ = try bench.publish([("a", nil), ("b", nil)], to: topic)
        let first = try Reader(topic, "acknowledges")
        _ = try first.take()
        try first.acknowledge(0)
        let second = try Reader(topic, "stays")
        _ = try second.take()
        let third = try Reader(topic, "leaves")
        #expect(try third.take().map(\.attempt) == [1, 1])
        #expect(throws: BrokerError.busy("topic t has 3 consumers already")) {
            try Reader(topic, "new")
        }
        first.subscription.end()
        #expect(throws: BrokerError.self) { try Reader(topic, "new") }
        third.subscription.end()
        let new = try Reader(topic, "new")
        #expect(topic.facts.consumers.map(\.name) == ["new", "stays", "acknowledges"])
        #expect(try new.take().map(\.id) == [0, 1])
        // Those who were there go on as before.
        try second.acknowledge(1)
        #expect(try Reader(topic, "acknowledges").take() == [.init(id: 1, text: "b", attempt: 2)])
        #expect(throws: BrokerError.self) { try Reader(topic, "leaves") }
        new.subscription.end()
        // It begins anew, as after a restart.
        #expect(try Reader(topic, "leaves").take().map(\.attempt) == [1, 1])
        // And is woken as all others.
        _ = try bench.publish("c", to: topic)
        #expect(topic.facts.consumersTotal == 3)
    }

    @Test("ids that have no message are nothing that a consumer has acknowledged")
    func lostIDs() throws {
        let disk = MemoryDisk()
        let before = try Bench(on: disk)
        _ = try before.topic()
        before.broker.close()
        let host = LogHost(storage: Storage(disk))
        let log = try Log.open("/data/topics/t", host: host)
        let done = Event()
        try log.appendLost(3) { _ in done.fire() }
        #expect(done.wait())
        _ = try log.appendBlocking(Message(payload: Array("a".utf8).span.bytes))
        try log.close()
        host.shutdown()
        let bench = try Bench(on: disk) { $0.consumerLimit = 1 }
        defer { bench.broker.close() }
        let topic = try bench.topic()
        for name in ["a", "b", "a"] {
            let reader = try Reader(topic, name)
            #expect(try reader.take() == [.init(id: 3, text: "a")])
            reader.subscription.end()
        }
    }
}
