import Foundation
import Testing
import ToyMQClient

/// What becomes of a client that is let go of, and not closed.
@Suite("Client: letting go", .timeLimit(.minutes(10))) struct LettingGoTests {
    @Test func whatWasHandedOverGoesItsWay() async throws {
        let isLetGo = DispatchSemaphore(value: 0)
        let (ends, end) = AsyncStream.makeStream(of: Bool.self)
        // It connects before, and may say nothing until nobody has the client any more.
        let broker = try FakeBroker { peer, _ in
            peer.read(until: "HELLO 2\n")
            _ = isLetGo.wait(timeout: .now() + 60)
            peer.say("HELLO 2 OK\n")
            end.yield(peer.read(until: "last\n") != nil)
            peer.say((0..<100).map { "OK \($0)\n" }.joined())
            peer.drain()
        }
        func publish() async throws {
            let client = ToyMQClient(broker.options)
            for number in 0..<100 {
                _ = try await client.startPublishing(
                    Message(number == 99 ? "last" : "x"), to: "t")
            }
        }
        var iterator = ends.makeAsyncIterator()
        // The greeting may overtake an end that comes at once: not twenty times.
        for _ in 0..<20 {
            try await publish()
            isLetGo.signal()
            #expect(await iterator.next() == true)
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
        let broker = try FakeBroker { peer, number in
            peer.serve(number == 3 ? "OK 7\n" : nil)
        }
        func start() async throws -> PendingPublish {
            try await ToyMQClient(broker.options)
                .startPublishing(Message("x", key: "k"), to: "t")
        }
        #expect(try await start().receipt().id == 7)
        #expect(broker.connections == 4)
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
