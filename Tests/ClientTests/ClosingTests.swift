import Foundation
import ProcessSupport
import Synchronization
import Testing
import ToyMQClient

/// However and in whatever order things are closed, it comes to an end.
@Suite("Client: closing", .timeLimit(.minutes(10))) struct ClosingTests {
    @Test func aSubscriptionMayBeClosedAfterItsClientAndMoreThanOnce() async throws {
        let broker = try TestBroker()
        let client = ToyMQClient(broker.options)
        let subscription = try client.subscribe(to: "t", as: "c")
        let loop = Task {
            for try await _ in subscription {}
            await subscription.close()
        }
        _ = try await client.publish(Message("x"), to: "t")
        await client.close()
        await subscription.close()
        await subscription.close()
        try await loop.value
        var iterator = subscription.makeAsyncIterator()
        #expect(try await iterator.next() == nil)
    }

    @Test func aSubscriptionThatOutlivesItsClientEndsAndTakesNothingMore() async throws {
        let broker = try TestBroker()
        let (subscription, delivery) = try await ToyMQClient.with(broker.options) { client in
            try await client.publish(Message("x"), to: "t")
            let subscription = try client.subscribe(to: "t", as: "c")
            var iterator = subscription.makeAsyncIterator()
            return (subscription, try #require(try await iterator.next()))
        }
        await #expect(throws: ClientError.closed) { try await delivery.ack() }
        delivery.ackWithoutWaiting()
        for try await _ in subscription {}
        await subscription.close()
    }

    @Test func closingInACancelledTaskWaitsAllTheSame() async throws {
        let broker = try TestBroker()
        let client = ToyMQClient(broker.options)
        try await client.publish(Message("x"), to: "t")
        let subscription = try client.subscribe(to: "t", as: "c")
        try await Task {
            var iterator = subscription.makeAsyncIterator()
            try await iterator.next()?.ackWithoutWaiting()
            withUnsafeCurrentTask { $0?.cancel() }
            await subscription.close()
        }.value
        let again = try client.subscribe(to: "t", as: "c")
        try await client.publish(Message("y"), to: "t")
        var iterator = again.makeAsyncIterator()
        #expect(try await iterator.next()?.id == 1)
        await client.close()
    }

    @Test func whatIsStartedWhileTheClientClosesEndsToo() async throws {
        let broker = try TestBroker()
        for _ in 0..<50 {
            let client = ToyMQClient(broker.options)
            let others = (0..<4).map { number in
                Task {
                    while true {
                        let subscription = try client.subscribe(to: "t", as: "c\(number)")
                        _ = try await client.startPublishing(Message("x"), to: "t")
                        await subscription.close()
                    }
                }
            }
            _ = try await client.publish(Message("x"), to: "t")
            await client.close()
            for other in others {
                await #expect(throws: ClientError.closed) { try await other.value }
            }
        }
    }

    @Test func aClientOnTheThreadOfOneThatIsClosedIsClosed() async throws {
        let broker = try TestBroker()
        let owner = ToyMQClient(broker.options)
        let guest = ToyMQClient(broker.options, onThreadOf: owner)
        await owner.close()
        await #expect(throws: ClientError.closed) { try await guest.publish(Message("x"), to: "t") }
        #expect(throws: ClientError.closed) { try guest.subscribe(to: "t", as: "c") }
        await guest.close()
        let late = ToyMQClient(broker.options, onThreadOf: owner)
        await #expect(throws: ClientError.closed) { try await late.publish(Message("x"), to: "t") }
        let subscription = try late.subscribe(to: "t", as: "c")
        for try await _ in subscription {}
        await late.close()
        await subscription.close()
    }

    @Test func closingAClientEndsTheLoopsOfThoseOnItsThread() async throws {
        let broker = try TestBroker()
        let owner = ToyMQClient(broker.options)
        let guest = ToyMQClient(broker.options, onThreadOf: owner)
        try await guest.publish(Message("x"), to: "t")
        let subscription = try guest.subscribe(to: "t", as: "c")
        let (firsts, first) = AsyncStream.makeStream(of: Void.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for try await delivery in subscription {
                    delivery.ackWithoutWaiting()
                    first.yield()
                }
            }
            var iterator = firsts.makeAsyncIterator()
            await iterator.next()
            await owner.close()
            try await group.waitForAll()
        }
        await guest.close()
        // What was handed over went its way before.
        try await ToyMQClient.with(broker.options) { client in
            try await client.publish(Message("y"), to: "t")
            var iterator = try client.subscribe(to: "t", as: "c").makeAsyncIterator()
            #expect(try await iterator.next()?.id == 1)
        }
    }

    @Test func closingAClientAndThoseOnItsThreadAtOnceEnds() async throws {
        let broker = try TestBroker()
        for _ in 0..<50 {
            let owner = ToyMQClient(broker.options)
            let guests = (0..<3).map { _ in ToyMQClient(broker.options, onThreadOf: owner) }
            await withTaskGroup { group in
                for guest in guests {
                    group.addTask {
                        _ = try? await guest.startPublishing(Message("x", key: "k"), to: "t")
                        await guest.close()
                    }
                }
                group.addTask { await owner.close() }
            }
        }
    }

    @Test func aBrokerThatHangsHoldsClosingUpOnceAndNotForEachSubscription() async throws {
        let (quits, quit) = AsyncStream.makeStream(of: Void.self)
        let broker = try FakeBroker(concurrent: true) { peer, _ in
            peer.greet()
            peer.read(until: "\n")
            peer.say("OK 0\nMSG t 0 1\nx\n")
            if peer.read(until: "QUIT\n") != nil { quit.yield() }
            peer.drain()
        }
        let owner = ToyMQClient(broker.options)
        let client = ToyMQClient(broker.options, onThreadOf: owner)
        var deliveries: [Delivery] = []
        for number in 0..<20 {
            let subscription = try client.subscribe(to: "t", as: "c\(number)")
            var iterator = subscription.makeAsyncIterator()
            deliveries.append(try #require(try await iterator.next()))
        }
        let acks = deliveries.map { delivery in Task { try await delivery.ack() } }
        let closing = Task { await client.close(timeout: .seconds(3600)) }
        // One after the other, the second would be asked to end in an hour.
        var iterator = quits.makeAsyncIterator()
        for _ in deliveries { await iterator.next() }
        await owner.close(timeout: .milliseconds(10))
        await closing.value
        for ack in acks { _ = await ack.result }
    }

    @Test func closingDoesNotWaitForAConnectionThatDoesNotComeAbout() async throws {
        // A full queue of a listener: further connections get no answer.
        let listener = try FullListener()
        var options = ClientOptions(port: listener.port)
        options.connectTimeout = .seconds(100)
        // The second address is tried beside the first, or after it.
        for addresses in [["127.0.0.1"], ["127.0.0.1", "127.0.0.1"]] {
            options.addresses = addresses
            let client = ToyMQClient(options)
            let pending = try await client.startPublishing(Message("x"), to: "t")
            _ = try client.subscribe(to: "t", as: "c")
            await client.close(timeout: .milliseconds(10))
            await #expect(throws: ClientError.closed) { try await pending.receipt() }
        }
    }
}
