import SystemPackage
import Foundation
import Testing
import TestSupport
import ToyMQClient

@Suite("Client: publishing", .timeLimit(.minutes(10))) struct PublishTests {
    @Test func messagesSentAheadAreAnsweredInTheirOrder() async throws {
        let broker = try TestBroker()
        try await ToyMQClient.with(broker.options) { client in
            var pending: [PendingPublish] = []
            for number in 0..<3000 {
                pending.append(
                    try await client.startPublishing(Message("\(number)"), to: "orders"))
            }
            for (number, promise) in pending.enumerated() {
                let receipt = try await promise.receipt()
                #expect(receipt.id == UInt64(number) && !receipt.isDuplicate)
            }
        }
    }

    @Test func aNameIsTriedAtEachOfItsAddresses() async throws {
        let broker = try TestBroker()
        var options = broker.options
        options.host = "broker"
        options.reconnect.attempts = 1
        for addresses in [["127.0.0.2", "127.0.0.1"], ["::1", "127.0.0.1"], ["127.0.0.1"]] {
            options.addresses = addresses
            try await ToyMQClient.with(options) { client in
                _ = try await client.publish(Message("x"), to: "t")
            }
        }
        options.addresses = ["127.0.0.2", "127.0.0.3"]
        await ToyMQClient.with(options) { client in
            _ = await #expect(throws: ClientError.self) {
                _ = try await client.publish(Message("x"), to: "t")
            }
        }
    }

    @Test func aKeyThatIsKnownGivesTheFirstID() async throws {
        let broker = try TestBroker()
        try await ToyMQClient.with(broker.options) { client in
            try await client.publish(Message("a"), to: "t")
            let first = try await client.publish(Message("b", key: "p:1"), to: "t")
            let again = try await client.publish(Message("b", key: "p:1"), to: "t")
            #expect(first.id == 1 && !first.isDuplicate)
            #expect(again.id == 1 && again.isDuplicate)
        }
    }

    @Test func keyHeadersAndTraceContextReachTheConsumer() async throws {
        let broker = try TestBroker()
        let context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let headers = [Header("kind", "a b%=\n"), Header("bytes", [0, 255]), Header("empty", "")]
        try await ToyMQClient.with(broker.options) { client in
            try await client.publish(
                Message(
                    [0, 10, 255], key: "ключ", headers: headers, traceparent: context,
                    tracestate: "a=1,b=2"), to: "t")
            let subscription = try client.subscribe(to: "t", as: "c")
            var iterator = subscription.makeAsyncIterator()
            let delivery = try #require(try await iterator.next())
            #expect(delivery.id == 0 && delivery.payload == [0, 10, 255])
            #expect(delivery.key == Array("ключ".utf8) && delivery.headers == headers)
            #expect(delivery.traceparent == context && delivery.tracestate == "a=1,b=2")
            #expect(delivery.attempt == 1 && delivery.timestamp != nil)
        }
    }

    private static let unsayable: [(String, Message)] = [
        ("", Message("x")), ("a b", Message("x")), ("a\nPUB t - 1", Message("x")),
        ("t", Message("x", key: "")), ("t", Message("x", key: "-")),
        ("t", Message("x", key: "a b")), ("t", Message("x", key: "a\nb")),
        ("t", Message("x", key: String(repeating: "k", count: 1025))),
        ("t", Message("x", headers: [Header("a b", "")])),
        ("t", Message("x", headers: [Header("traceparent", "1")])),
        ("t", Message("x", headers: [Header("a", String(repeating: "v", count: 9000))])),
        ("t", Message([1], traceparent: "")),
    ]

    @Test func whatTheProtocolCannotSayIsNotSent() async throws {
        let client = ToyMQClient(ClientOptions(port: 1))
        for (topic, message) in Self.unsayable {
            await #expect {
                try await client.publish(message, to: topic)
            } throws: { error in
                if case .invalidArgument? = error as? ClientError { true } else { false }
            }
        }
        await #expect {
            _ = try await client.info(topicsAfter: String(repeating: "n", count: 9_000))
        } throws: { error in
            if case .invalidArgument? = error as? ClientError { true } else { false }
        }
        await client.close()
    }

    @Test func whatIsTooLargeIsRefusedAndWhatStandsBehindItIsPublished() async throws {
        let broker = try TestBroker("--max-payload", "64KiB")
        try await ToyMQClient.with(broker.options) { client in
            let large = try await client.startPublishing(
                Message([UInt8](repeating: 1, count: 100_000)), to: "t")
            let behind = try await client.startPublishing(Message("behind"), to: "t")
            await #expect {
                try await large.receipt()
            } throws: { error in
                if case .refused(.tooLarge, _)? = error as? ClientError { true } else { false }
            }
            #expect(try await behind.receipt().id == 0)
        }
    }

    @Test func aRefusedNameIsATypedError() async throws {
        let broker = try TestBroker()
        try await ToyMQClient.with(broker.options) { client in
            await #expect {
                try await client.publish(Message("x"), to: "../../x")
            } throws: { error in
                if case .refused(.invalid, _)? = error as? ClientError { true } else { false }
            }
            let id = try await client.publish(Message("x"), to: "t").id
            #expect(id == 0)
        }
    }

    @Test func theWindowBoundsWhatIsUnanswered() async throws {
        let gate = DispatchSemaphore(value: 0)
        let broker = try FakeBroker { peer, _ in
            peer.greet()
            peer.read(until: "PUB t - 1\n1\n")
            _ = gate.wait(timeout: .now() + 600)
            peer.say("OK 0\nOK 1\n")
            peer.drain()
        }
        var options = broker.options
        options.publishWindow = 2
        let client = ToyMQClient(options)
        let first = try await client.startPublishing(Message("0"), to: "t")
        _ = try await client.startPublishing(Message("1"), to: "t")
        // A third one has no room: it is cancelled where it waits, and leaves no trace.
        let waiting = Task { try await client.startPublishing(Message("2"), to: "t") }
        waiting.cancel()
        await #expect(throws: ClientError.cancelled) { _ = try await waiting.value }
        gate.signal()
        #expect(try await first.receipt().id == 0)
        await client.close()
    }
}

@Suite("Client: connections that end", .timeLimit(.minutes(10))) struct ReconnectTests {
    @Test func unansweredMessagesWithAKeyAreSentAgainAndOthersHaveAnUnknownOutcome() async throws {
        let broker = try FakeBroker { peer, number in
            peer.greet()
            if number == 0 {
                peer.read(until: "PUB t - 1\n3\n")
                peer.say("OK 0\n")
            } else {
                // Only what has a key, in its order.
                #expect(peer.read(until: "PUB t k:2 1\n2\n") == "PUB t k:1 1\n1\nPUB t k:2 1\n2\n")
                peer.say("DUP 1\nOK 2\n")
                peer.drain()
            }
        }
        try await ToyMQClient.with(broker.options) { client in
            var pending: [PendingPublish] = []
            for (text, key) in [("0", "k:0"), ("1", "k:1"), ("2", "k:2"), ("3", nil)] {
                pending.append(try await client.startPublishing(Message(text, key: key), to: "t"))
            }
            let receipts = [
                try await pending[0].receipt(), try await pending[1].receipt(),
                try await pending[2].receipt(),
            ]
            #expect(receipts.map(\.id) == [0, 1, 2])
            #expect(receipts.map(\.isDuplicate) == [false, true, false])
            await #expect {
                try await pending[3].receipt()
            } throws: { error in
                if case .outcomeUnknown? = error as? ClientError { true } else { false }
            }
        }
    }

    @Test func aBusyBrokerIsTriedAgain() async throws {
        let broker = try FakeBroker { peer, number in
            guard number > 1 else { return peer.say("ERR BUSY too many connections\n") }
            peer.serve("OK 7\n")
            peer.drain()
        }
        try await expectStored(as: 7, broker.options)
    }

    @Test func aBrokerThatDoesNotGreetAsOneIsLeft() async throws {
        let broker = try FakeBroker { peer, _ in
            peer.say("220 mail.example.org\r\n")
            peer.drain()
        }
        await expectUnreachable(broker.options, attempts: 2)
    }

    @Test func aSilentBrokerIsGivenUp() async throws {
        let broker = try FakeBroker { peer, number in
            peer.greet()
            if number > 0 {
                peer.read(until: "x\n")
                peer.say("OK 0\n")
            }
            peer.drain()
        }
        var options = broker.options
        options.keepAlive = .milliseconds(100)
        try await ToyMQClient.with(options) { client in
            let id = try await client.publish(Message("x", key: "k"), to: "t").id
            #expect(id == 0)
        }
    }

    @Test func errorsArePlainText() async throws {
        // What it has not read resets the connection when it closes it.
        let broker = try FakeBroker { peer, _ in
            peer.greet()
            peer.waitForMore()
        }
        let client = ToyMQClient(broker.options)
        await #expect(throws: ClientError.outcomeUnknown(reason: "Connection reset by peer")) {
            try await client.publish(Message("x"), to: "t")
        }
        await #expect {
            let header = Header("traceparent", "1")
            try await client.publish(Message("x", headers: [header]), to: "t")
        } throws: { error in
            "\(error)".contains("property traceparent")
        }
        await client.close()
        var options = ClientOptions(host: "::1", port: 1)
        options.reconnect.attempts = 1
        let other = ToyMQClient(options)
        await #expect {
            try await other.publish(Message("x"), to: "t")
        } throws: { error in
            guard case .unreachable(let text)? = error as? ClientError else { return false }
            return text.hasPrefix("cannot connect to [::1]:1: ") && !text.contains("errno")
        }
        await other.close()
    }

    @Test func nobodyThereIsATypedErrorAndTheNextCallTriesAgain() async throws {
        var options = ClientOptions(port: 1)
        options.reconnect.firstPause = .milliseconds(1)
        await expectUnreachable(options, attempts: 2, messages: 2)
    }

    @Test func aWrongTokenIsRefusedAndTheRightOneServed() async throws {
        let folder = try TemporaryDirectory()
        let file = try folder.write("secret\n".utf8, to: "token").string
        let broker = try TestBroker("--auth-token-file", file)
        for (token, isRight) in [(nil, false), ("guess", false), ("secret", true)] {
            var options = broker.options
            options.token = token
            let client = ToyMQClient(options)
            do {
                try await client.publish(Message("x"), to: "t")
                #expect(isRight)
            } catch {
                if case .refused(.authentication, _) = error {
                } else {
                    Issue.record("\(error)")
                }
                #expect(!isRight)
            }
            await client.close()
        }
    }

    @Test func whatIsPublishedThroughACrashIsThereOnce() async throws {
        let broker = try TestBroker()
        try await ToyMQClient.with(broker.options) { client in
            var pending: [PendingPublish] = []
            for number in 0..<400 {
                pending.append(
                    try await client.startPublishing(
                        Message("\(number)", key: "p:\(number)"), to: "t"))
                if number == 200 {
                    _ = try await pending[100].receipt()
                    try broker.crashAndRestart()
                }
            }
            var ids: Set<UInt64> = []
            for promise in pending { ids.insert(try await promise.receipt().id) }
            #expect(ids == Set(0..<400))
        }
    }

    @Test func closingAnswersWhatIsOutAndRefusesTheRest() async throws {
        let broker = try TestBroker()
        let client = ToyMQClient(broker.options)
        var pending: [PendingPublish] = []
        for _ in 0..<100 {
            pending.append(try await client.startPublishing(Message("x"), to: "t"))
        }
        await client.close()
        for promise in pending { _ = try await promise.receipt() }
        await #expect(throws: ClientError.closed) {
            try await client.publish(Message("x"), to: "t")
        }
        #expect(throws: ClientError.closed) { try client.subscribe(to: "t", as: "c") }
        await client.close()
    }
}
