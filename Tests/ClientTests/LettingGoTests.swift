import Foundation
import Synchronization
import Testing
import ToyMQClient

/// What becomes of a client that is let go of, and not closed.
@Suite("Client: letting go", .timeLimit(.minutes(2))) struct LettingGoTests {
    @Test func whatWasHandedOverGoesItsWay() async throws {
        let broker = try TestBroker()
        func publish() async throws {
            let client = ToyMQClient(broker.options)
            for number in 0..<1000 {
                _ = try await client.startPublishing(Message("\(number)"), to: "t")
            }
        }
        try await publish()
        try await ToyMQClient.with(broker.options) { client in
            let subscription = try client.subscribe(to: "t", as: "c")
            var next = 0
            for try await delivery in subscription {
                #expect(delivery.text == "\(next)")
                delivery.ackWithoutWaiting()
                next += 1
                if next == 1000 { break }
            }
        }
    }

    @Test func aSubscriptionKeepsItsClient() async throws {
        let broker = try TestBroker()
        func subscribe() async throws -> Subscription {
            let client = ToyMQClient(broker.options)
            return try client.subscribe(to: "t", as: "c")
        }
        let subscription = try await subscribe()
        try await subscription.waitUntilAccepted()
        let publisher = ToyMQClient(broker.options)
        for number in 0..<100 {
            try await publisher.publish(Message("\(number)"), to: "t")
            var iterator = subscription.makeAsyncIterator()
            let delivery = try #require(try await iterator.next())
            #expect(try await delivery.ack() == .done)
        }
        await publisher.close()
        await subscription.close()
    }

    @Test func aPublishThatWasStartedKeepsItsClient() async throws {
        let count = Atomic(0)
        let broker = try FakeBroker { peer, number in
            count.add(1, ordering: .relaxed)
            peer.greet()
            peer.read(until: "x\n")
            if number == 3 { peer.say("OK 7\n") }
        }
        func start() async throws -> PendingPublish {
            try await ToyMQClient(broker.options)
                .startPublishing(Message("x", key: "k"), to: "t")
        }
        #expect(try await start().receipt().id == 7)
        #expect(count.load(ordering: .relaxed) == 4)
    }

    @Test func whenNobodyHasAnythingOfItItsConnectionsEnd() async throws {
        let broker = try TestBroker()
        func use() async throws {
            let client = ToyMQClient(broker.options)
            let guest = ToyMQClient(broker.options, onThreadOf: client)
            for client in [client, guest] {
                try await client.publish(Message("x"), to: "t")
                let subscription = try client.subscribe(to: "t", as: "c")
                try await subscription.waitUntilAccepted()
            }
        }
        for _ in 0..<5 { try await use() }
        try await ToyMQClient.with(broker.options) { client in
            let deadline = ContinuousClock.now + .seconds(60)
            var connections: Int?
            while connections != 1, ContinuousClock.now < deadline {
                connections = json(try await client.info())["connections"] as? Int
                await Task.yield()
            }
            #expect(connections == 1)
        }
    }

    @Test func aClientOnTheThreadOfOneThatWasLetGoOfGoesOn() async throws {
        let broker = try TestBroker()
        let guest = ToyMQClient(broker.options, onThreadOf: ToyMQClient(broker.options))
        for number in 0..<100 {
            #expect(try await guest.publish(Message("x"), to: "t").id == UInt64(number))
        }
        await guest.close()
    }
}
