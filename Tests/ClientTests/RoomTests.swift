import Testing

@testable import ToyMQClient

/// What a client that runs for long must not gather, and who gets the room that others leave.
@Suite("Client: room", .timeLimit(.minutes(10))) struct RoomTests {
    /// Kept by nobody but the client.
    private struct Kept {
        weak let core: SubscriptionCore?
    }

    /// Waits until the client has let go of it.
    private static func isForgotten(_ kept: Kept) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(20)
        while kept.core != nil {
            if ContinuousClock.now > deadline { return false }
            await Task.yield()
        }
        return true
    }

    /// Subscribes and takes the error that it ends with.
    private static func ended(
        _ client: ToyMQClient, topic: String
    ) async throws -> (Kept, ClientError?) {
        let subscription = try client.subscribe(to: topic, as: "c")
        let kept = Kept(core: subscription.core)
        do {
            for try await _ in subscription {}
            return (kept, nil)
        } catch { return (kept, error) }
    }

    @Test func aRefusedSubscriptionIsForgotten() async throws {
        let broker = try TestBroker()
        try await ToyMQClient.with(broker.options) { client in
            for _ in 0..<3 {
                let (kept, error) = try await Self.ended(client, topic: "../x")
                if case .refused(.invalid, _)? = error {} else { Issue.record("\(error as Any)") }
                #expect(await Self.isForgotten(kept))
            }
            #expect(try await client.publish(Message("x"), to: "t").id == 0)
        }
    }

    @Test func aSubscriptionWithoutABrokerIsForgottenWhenTheAttemptsRunOut() async throws {
        let full = try FakeBroker { _, _ in }
        var options = full.options
        options.reconnect.attempts = 2
        try await ToyMQClient.with(options) { client in
            let (kept, error) = try await Self.ended(client, topic: "t")
            if case .unreachable? = error {} else { Issue.record("\(error as Any)") }
            #expect(await Self.isForgotten(kept))
        }
    }

    @Test func aCallerThatGoesLeavesTheRoomToSmallerOnesBehindIt() async throws {
        let (arrived, arrival) = AsyncStream.makeStream(of: Void.self)
        let broker = try FakeBroker { peer, _ in
            peer.greet()
            peer.read(until: "small\n")
            arrival.yield()
            peer.drain()
        }
        var options = broker.options
        options.publishWindowBytes = 1000
        try await ToyMQClient.with(options) { client in
            let text = String(repeating: "x", count: 600)
            _ = try await client.startPublishing(Message(text), to: "t")
            // Each waits behind the one before, and has no room.
            let large = Task.immediate { try await client.startPublishing(Message(text), to: "t") }
            let small = Task.immediate {
                try await client.startPublishing(Message("small"), to: "t")
            }
            let limit = Task {
                try await Task.sleep(for: .seconds(20))
                small.cancel()
            }
            defer { limit.cancel() }
            large.cancel()
            await #expect(throws: ClientError.cancelled) { try await large.value }
            _ = try await small.value
            var iterator = arrived.makeAsyncIterator()
            await iterator.next()
            await client.close(timeout: .zero)
        }
    }
}
