import Foundation
import ProcessSupport
import Testing
import ToyMQClient

@Suite("Client: options", .timeLimit(.minutes(10))) struct OptionsTests {
    private static func with(_ change: (inout ClientOptions) -> Void) -> ClientOptions {
        var options = ClientOptions()
        change(&options)
        return options
    }

    private static let impossible: [(String, ClientOptions)] = [
        ("port is 0: it has to be 1 to 65535", with { $0.port = 0 }),
        ("port is 72325: ", with { $0.port = 65_536 + 6789 }),
        ("port is -1: ", with { $0.port = -1 }),
        ("host ", with { $0.host = "" }),
        ("token ", with { $0.token = "" }),
        ("token ", with { $0.token = "secret\n" }),
        ("token ", with { $0.token = "secret more" }),
        ("token ", with { $0.token = "secret\nPUB t - 2\nhi\n" }),
        ("token ", with { $0.token = "sécret" }),
        (
            "token has 8180 bytes: ",
            with { $0.token = String(repeating: "secret", count: 1363) + "12" }
        ),
        ("keepAlive is 0.0 seconds: it has to be 1 ms to ", with { $0.keepAlive = .zero }),
        ("keepAlive is -1.0 seconds: ", with { $0.keepAlive = .seconds(-1) }),
        ("keepAlive is ", with { $0.keepAlive = .seconds(Int64.max) }),
        ("connectTimeout is 0.0 seconds: ", with { $0.connectTimeout = .zero }),
        ("reconnect.firstPause is ", with { $0.reconnect.firstPause = .zero }),
        ("reconnect.longestPause is ", with { $0.reconnect.longestPause = .seconds(-2) }),
        ("reconnect.attempts is 0: it has to be at least 1", with { $0.reconnect.attempts = 0 }),
        ("publishWindow is 0: ", with { $0.publishWindow = 0 }),
        ("publishWindowBytes is -1: ", with { $0.publishWindowBytes = -1 }),
        ("deliveryWindow is -5: ", with { $0.deliveryWindow = -5 }),
        ("deliveryWindowBytes is 0: ", with { $0.deliveryWindowBytes = 0 }),
        ("addresses is empty: ", with { $0.addresses = [] }),
        ("addresses holds nonsense, ", with { $0.addresses = ["127.0.0.1", "nonsense"] }),
    ]

    @Test func everyCallOfAClientWithAnImpossibleOptionNamesIt() async {
        for (text, options) in Self.impossible {
            let client = ToyMQClient(options)
            let guest = ToyMQClient(options, onThreadOf: client)
            for client in [guest, client] {
                let calls: [() async throws -> Void] = [
                    { try await client.publish(Message("x"), to: "t") },
                    { _ = try await client.info() },
                    { _ = try client.subscribe(to: "t", as: "c") },
                ]
                for call in calls { await expectArgument(text, call) }
                await client.close()
            }
        }
    }

    private func expectArgument(_ text: String, _ call: () async throws -> Void) async {
        await #expect {
            try await call()
        } throws: { error in
            guard case .invalidArgument(let said)? = error as? ClientError else { return false }
            return said.hasPrefix(text) && !said.contains("secret") && !said.contains("\n")
        }
    }

    @Test func theLongestTokenIsShown() async throws {
        let broker = try FakeBroker { peer, _ in
            guard let hello = peer.read(until: "\n") else { return }
            peer.say("HELLO 2 OK\n")
            peer.read(until: "x\n")
            // A line has at most 8,192 bytes, its end apart.
            peer.say("OK \(hello.utf8.count)\n")
            peer.drain()
        }
        var options = broker.options
        options.token = String(repeating: "t", count: 8179)
        try await ToyMQClient.with(options) { client in
            let id = try await client.publish(Message("x"), to: "t").id
            #expect(id == 8193)
        }
    }
}

@Suite("Client: what nobody asked for", .timeLimit(.minutes(10))) struct UnaskedTests {
    @Test(arguments: ["ERR INVALID an empty line\n", "OK 3\n", "{}\n"])
    func anAnswerThatComesBeforeTheFirstRequestIsNotTakenForItsAnswer(unasked: String) async throws
    {
        let broker = try FakeBroker { peer, number in
            if number == 0 {
                peer.read(until: "HELLO 2\n")
                peer.say("HELLO 2 OK\n" + unasked)
                #expect(peer.read().isEmpty, "nothing is asked on such a connection")
                return
            }
            peer.serve("OK 7\n")
            peer.drain()
        }
        try await expectStored(as: 7, broker.options)
    }

    @Test func aDeliveryBeforeTheSubscriptionIsNone() async throws {
        let broker = try FakeBroker { peer, number in
            peer.serve(
                number == 0 ? "MSG t 5 1\nx\nOK 0\n" : "OK 0\nMSG t 0 1\nx\n", to: "SUB t c\n")
            peer.read(until: "QUIT\n")
        }
        try await ToyMQClient.with(broker.options) { client in
            let subscription = try client.subscribe(to: "t", as: "c")
            var iterator = subscription.makeAsyncIterator()
            #expect(try await iterator.next()?.id == 0)
        }
    }
}
