import Testing
import ToyMQClient

@Suite("Client: subscriptions", .timeLimit(.minutes(10))) struct SubscribeTests {
    private static func fill(_ client: ToyMQClient, _ count: Int) async throws {
        var last: PendingPublish?
        for number in 0..<count {
            last = try await client.startPublishing(Message("\(number)"), to: "t")
        }
        _ = try await last?.receipt()
    }

    @Test(arguments: [1, 2, 256]) func aBacklogAckedOneByOneInsideTheLoopDoesNotDeadlock(
        window: Int
    ) async throws {
        let broker = try TestBroker()
        var options = broker.options
        options.deliveryWindow = window
        try await ToyMQClient.with(options) { client in
            try await Self.fill(client, 2000)
            let subscription = try client.subscribe(to: "t", as: "c")
            var next: UInt64 = 0
            for try await delivery in subscription {
                #expect(delivery.id == next && delivery.text == "\(next)")
                #expect(try await delivery.ack() == .done)
                next += 1
                if next == 2000 { break }
            }
            await subscription.close()
        }
    }

    @Test func whatIsPublishedLaterComesLive() async throws {
        let broker = try TestBroker()
        try await ToyMQClient.with(broker.options) { client in
            let subscription = try client.subscribe(to: "t", as: "c")
            for number in 0..<20 {
                try await client.publish(Message("\(number)"), to: "t")
                var iterator = subscription.makeAsyncIterator()
                let delivery = try #require(try await iterator.next())
                #expect(delivery.text == "\(number)")
                delivery.ackWithoutWaiting()
            }
        }
    }

    @Test func aRejectedMessageComesAgain() async throws {
        let broker = try TestBroker()
        try await ToyMQClient.with(broker.options) { client in
            try await client.publish(Message("x"), to: "t")
            let subscription = try client.subscribe(to: "t", as: "c")
            var iterator = subscription.makeAsyncIterator()
            for attempt in UInt64(1)...3 {
                let delivery = try #require(try await iterator.next())
                #expect(delivery.id == 0 && delivery.attempt == attempt)
                if attempt < 3 {
                    #expect(try await delivery.nack() == .done)
                } else {
                    #expect(try await delivery.ack() == .done)
                    #expect(try await delivery.ack() == .notInFlight, "it is settled")
                }
            }
        }
    }

    @Test func itGoesOnOverACrashOfTheBroker() async throws {
        let broker = try TestBroker()
        try await ToyMQClient.with(broker.options) { client in
            try await Self.fill(client, 600)
            let subscription = try client.subscribe(to: "t", as: "c")
            var iterator = subscription.makeAsyncIterator()
            let old = try #require(try await iterator.next())
            try broker.crashAndRestart()
            // All of it, since nothing was acknowledged; the first ones may have been taken before.
            var seen: Set<UInt64> = []
            while seen.count < 600, let delivery = try await iterator.next() {
                if try await delivery.ack() == .done { seen.insert(delivery.id) }
            }
            #expect(seen == Set(0..<600))
            #expect(try await old.ack() == .notInFlight)
        }
    }

    @Test func whatWasAcknowledgedWithoutWaitingIsSentByClosing() async throws {
        let broker = try TestBroker()
        try await ToyMQClient.with(broker.options) { client in
            try await Self.fill(client, 300)
            let subscription = try client.subscribe(to: "t", as: "c")
            for try await delivery in subscription {
                delivery.ackWithoutWaiting()
                if delivery.id == 199 { break }
            }
            await subscription.close()
            let again = try client.subscribe(to: "t", as: "c")
            var iterator = again.makeAsyncIterator()
            #expect(try await iterator.next()?.id == 200)
        }
    }

    @Test func aLoopEndsWhenItsSubscriptionIsClosedOrItsTaskCancelled() async throws {
        let broker = try TestBroker()
        let client = ToyMQClient(broker.options)
        let first = try client.subscribe(to: "t", as: "a")
        let closed = Task { for try await _ in first {} }
        await first.close()
        try await closed.value
        let second = try client.subscribe(to: "t", as: "b")
        let cancelled = Task { for try await _ in second {} }
        cancelled.cancel()
        try await cancelled.value
        await client.close()
    }

    @Test func aCancelledLoopEndsAtOnceAndLeavesTheRestToTheNextOne() async throws {
        let broker = try TestBroker()
        try await ToyMQClient.with(broker.options) { client in
            try await Self.fill(client, 200)
            let subscription = try client.subscribe(to: "t", as: "c")
            let loop = Task {
                var ids: [UInt64] = []
                for try await delivery in subscription {
                    ids.append(delivery.id)
                    // Its answer stands behind all that is delivered: they are queued now.
                    if delivery.id == 2 { try await delivery.ack() }
                    if delivery.id == 3 { withUnsafeCurrentTask { $0?.cancel() } }
                }
                return ids
            }
            #expect(try await loop.value == [0, 1, 2, 3])
            var next: UInt64 = 4
            for try await delivery in subscription {
                #expect(delivery.id == next)
                next += 1
                if next == 200 { break }
            }
            await subscription.close()
        }
    }

    @Test func aRefusedSubscriptionThrows() async throws {
        let broker = try TestBroker()
        try await ToyMQClient.with(broker.options) { client in
            let subscription = try client.subscribe(to: "../x", as: "c")
            await #expect {
                for try await _ in subscription {}
            } throws: { error in
                if case .refused(.invalid, _)? = error as? ClientError { true } else { false }
            }
            #expect(throws: ClientError.self) { try client.subscribe(to: "t", as: "a b") }
            #expect(throws: ClientError.self) { try client.subscribe(to: "t x", as: "a") }
        }
    }

    @Test func aSlowLoopStopsTheConnectionFromReading() async throws {
        let broker = try TestBroker()
        var options = broker.options
        options.deliveryWindowBytes = 100_000
        try await ToyMQClient.with(options) { client in
            // 20 MB: more than all buffers on the way hold.
            for _ in 0..<200 {
                try await client.publish(
                    Message([UInt8](repeating: 7, count: 100_000)), to: "t")
            }
            let subscription = try client.subscribe(to: "t", as: "c")
            var iterator = subscription.makeAsyncIterator()
            for number in 0..<UInt64(200) {
                let delivery = try #require(try await iterator.next())
                #expect(delivery.id == number && delivery.payload.count == 100_000)
                delivery.ackWithoutWaiting()
            }
        }
    }
}
