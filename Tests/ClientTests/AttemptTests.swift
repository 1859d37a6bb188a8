import Foundation
import ProcessSupport
import Testing

@testable import ToyMQClient

/// When a connection is made again, and how often.
@Suite("Client: attempts", .timeLimit(.minutes(10))) struct AttemptTests {
    @Test func aSubscriptionThatStaysRefusedThrowsTheRefusalWhenTheAttemptsRunOut() async throws {
        let broker = try TestBroker("--max-topics", "1")
        var options = broker.options
        options.reconnect.attempts = 3
        try await ToyMQClient.with(options) { client in
            try await client.publish(Message("x"), to: "a")
            let subscription = try client.subscribe(to: "b", as: "c")
            await #expect {
                for try await _ in subscription {}
            } throws: { error in
                if case .refused(.busy, _)? = error as? ClientError { true } else { false }
            }
        }
    }

    @Test func toymqctlGivesARefusedSubscriptionUpAfterItsAttempts() async throws {
        let broker = try TestBroker("--max-topics", "1")
        try await ToyMQClient.with(broker.options) { client in
            _ = try await client.publish(Message("x"), to: "a")
        }
        let result = try toymqctl(broker, "sub", "b", "--attempts", "2")
        #expect(result.exit == 2 && result.error.contains("BUSY"))
    }

    @Test func aBrokerOfAnotherVersionIsNotSpokenTo() async throws {
        let broker = try FakeBroker { peer, _ in
            peer.read(until: "HELLO 2\n")
            peer.say("HELLO 3 OK\n")
            let more = peer.read()
            if !more.isEmpty { peer.say("OK 0\n") }
            peer.drain()
        }
        await expectUnreachable(broker.options, attempts: 1)
    }

    @Test func aGreetingEndsNoRowOfFailedAttempts() async throws {
        let broker = try FakeBroker { peer, _ in
            peer.serve("ERR BUSY too many topics\n", to: "SUB t c\n")
            peer.drain()
        }
        var options = broker.options
        options.reconnect.attempts = 5
        try await ToyMQClient.with(options) { client in
            let subscription = try client.subscribe(to: "t", as: "c")
            await #expect(throws: ClientError.refused(code: .busy, text: "too many topics")) {
                for try await _ in subscription {}
            }
        }
        #expect(broker.connections == 5)
    }

    @Test func eachPauseOfARowIsTwiceTheOneBeforeUpToTheLongestAndUpToAHalfShorter() {
        var reconnect = ClientOptions.Reconnect()
        reconnect.firstPause = .milliseconds(40)
        reconnect.longestPause = .milliseconds(200)
        let failures = [1, 2, 3, 4, 5, 64, 1_000_000]
        let longest = [40, 80, 160, 200, 200, 200, 200].map { Duration.milliseconds($0) }
        #expect(failures.map { reconnect.pause(failures: $0, chance: 0) } == longest)
        #expect(failures.map { reconnect.pause(failures: $0, chance: 1) } == longest.map { $0 / 2 })
        #expect(reconnect.pause(failures: 1, chance: 0.5) == .milliseconds(30))
    }

    @Test func aConnectionThatIsGreetedAndAnswersNothingIsAFailedAttempt() async throws {
        let broker = try FakeBroker { peer, _ in peer.serve(nil) }
        var options = broker.options
        options.reconnect.attempts = 3
        let client = ToyMQClient(options)
        await #expect {
            try await client.publish(Message("x", key: "k"), to: "t")
        } throws: { error in
            guard case .outcomeUnknown(let reason)? = error as? ClientError else { return false }
            return reason.contains("127.0.0.1:\(broker.port) has answered nothing")
        }
        await client.close()
        #expect(broker.connections == 3)
    }

    @Test func aConnectionThatAnswersIsNoFailedAttempt() async throws {
        let broker = try FakeBroker { peer, number in
            peer.greet()
            peer.read(until: "PUB t k:\(number) 1\nx\n")
            peer.say("OK \(number)\n")
        }
        var options = broker.options
        options.reconnect.attempts = 1
        try await ToyMQClient.with(options) { client in
            var pending: [PendingPublish] = []
            for number in 0..<8 {
                pending.append(
                    try await client.startPublishing(Message("x", key: "k:\(number)"), to: "t"))
            }
            for (number, promise) in pending.enumerated() {
                #expect(try await promise.receipt().id == UInt64(number))
            }
        }
    }

    @Test func aClientWithNothingToPublishConnectsAgainForTheNextMessageOnly() async throws {
        let broker = try FakeBroker { peer, number in peer.serve("OK \(number)\n") }
        // It connects again and again, on the same thread and with the same pauses.
        let (turns, turn) = AsyncStream.makeStream(of: Void.self)
        let other = try FakeBroker { peer, _ in
            peer.serve("OK 0\n", to: "SUB t c\n")
            turn.yield()
        }
        let client = ToyMQClient(broker.options)
        let neighbour = ToyMQClient(other.options, onThreadOf: client)
        #expect(try await client.publish(Message("x"), to: "t").id == 0)
        let subscription = try neighbour.subscribe(to: "t", as: "c")
        var iterator = turns.makeAsyncIterator()
        for _ in 0..<20 { await iterator.next() }
        #expect(broker.connections == 1)
        #expect(try await client.publish(Message("x"), to: "t").id == 1)
        await subscription.close()
        await neighbour.close()
        await client.close()
    }
}
