import SystemPackage
import Foundation
import ProcessSupport
import Testing
import TestSupport

/// toymqctl against a broker, toymq-bench, and the example of the documentation.
@Suite("toymqctl and toymq-bench with a broker", .timeLimit(.minutes(10))) struct RemoteToolTests {
    @Test func payloadsComeFromArgumentFileAndStandardInput() throws {
        let broker = try TestBroker()
        let file = try broker.root.write([0, 10, 255], to: "payload").string
        #expect(try toymqctl(broker, "pub", "t", "hello").output == "0\n")
        #expect(try toymqctl(broker, "pub", "t", "--file", file).output == "1\n")
        #expect(try toymqctl(broker, "pub", "t", input: "a\nb\n").output == "2\n")
        let lines = try toymqctl(broker, "pub", "t", "--lines", "--json", input: "x\n\ny")
        #expect(lines.exit == 0)
        #expect(lines.output.split(separator: "\n").map { json($0)["id"] as? Int } == [3, 4, 5])
        let all = try toymqctl(broker, "sub", "t", "--count", "6", "--json")
        #expect(all.exit == 0)
        let messages = all.output.split(separator: "\n").map { json($0) }
        #expect(
            messages.map { $0["payload"] as? String } == ["hello", nil, "a\nb\n", "x", "", "y"])
        #expect(messages[1]["payload_base64"] as? String == "AAr/")
        #expect(messages.map { $0["id"] as? Int } == Array(0..<6))
    }

    @Test func aStreamWithKeysMayBePublishedAgain() throws {
        let broker = try TestBroker()
        let input = (0..<50).map { "line \($0)\n" }.joined()
        let first = try toymqctl(broker, "pub", "t", "--lines", "--key-prefix", "f", input: input)
        let again = try toymqctl(broker, "pub", "t", "--lines", "--key-prefix", "f", input: input)
        #expect(first.output == (0..<50).map { "\($0)\n" }.joined())
        #expect(again.output == (0..<50).map { "\($0) duplicate\n" }.joined())
    }

    @Test func aBacklogOf2000OnAWindowOf1IsPrintedOnce() throws {
        let broker = try TestBroker()
        let input = (0..<2000).map { "\($0)\n" }.joined()
        #expect(try toymqctl(broker, "pub", "t", "--lines", input: input).exit == 0)
        let got = try toymqctl(broker, "sub", "t", "--count", "2000", "--window", "1")
        #expect(got.exit == 0 && got.output == input)
        let rest = try toymqctl(broker, "sub", "t", "--timeout", "0.3")
        #expect(rest.exit == 0 && rest.output.isEmpty, "all of it was acknowledged")
        #expect(try toymqctl(broker, "sub", "t", "--count", "1", "--timeout", "0.3").exit == 1)
    }

    @Test func brokerAndClientsAgreeAboutTheFirstLineOfATokenFile() throws {
        let folder = try TemporaryDirectory()
        let text = (String(repeating: "t", count: 8179) + "\r\nrest\n").utf8
        let file = try folder.write(text, to: "token").string
        let broker = try TestBroker("--auth-token-file", file)
        let shown = try toymqctl(broker, "pub", "t", "x", "--token-file", file)
        #expect(shown.exit == 0, "\(shown.error)")
        let flaws = [
            (String(repeating: "t", count: 8180), "more than 8179"), ("", "0"), ("\nsecret", "0"),
            ("two words\n", "9"), ("é", "2"),
        ]
        for (text, count) in flaws {
            try folder.write(text.utf8, to: "token")
            let reason =
                "the first line of \(file) has \(count) bytes: it has to be a token, 1 to 8179 "
                + "visible ASCII letters without spaces\n"
            let client = try toymqctl(broker, "pub", "t", "x", "--token-file", file)
            #expect(client.exit == 2)
            #expect(client.error.contains("--token-file: \(reason)"), "\(client.error)")
            let second = try FinishedProcess([
                builtProgram("toymq"), "--data-dir", broker.root.appending("second").string,
                "--addr", "127.0.0.1:0", "--auth-token-file", file,
            ])
            #expect(second.exit != 0)
            #expect(second.error.contains("--auth-token-file: \(reason)"), "\(second.error)")
        }
    }

    @Test func headersAndTraceContextAreShown() throws {
        let broker = try TestBroker()
        let published = try toymqctl(
            broker, "pub", "t", "x", "--key", "k", "--header", "a=1=2", "--traceparent", "00-1")
        #expect(published.exit == 0)
        let message = json(try toymqctl(broker, "sub", "t", "--count", "1", "--json").output)
        #expect(message["key"] as? String == "k" && message["traceparent"] as? String == "00-1")
        #expect((message["headers"] as? [[String]]) == [["a", "1=2"]])
        #expect(message["attempt"] as? Int == 1)
    }

    @Test func ackSettlesWhatItIsTold() throws {
        let broker = try TestBroker()
        _ = try toymqctl(broker, "pub", "t", "--lines", input: "0\n1\n2\n3\n4\n5\n")
        let some = try toymqctl(broker, "ack", "t", "c", "1", "3")
        #expect(some.exit == 0 && some.output == "1\n3\n")
        #expect(try toymqctl(broker, "ack", "t", "c", "--up-to", "2").output == "0\n2\n")
        #expect(
            try toymqctl(broker, "sub", "t", "--consumer", "c", "--count", "2").output == "4\n5\n")
        #expect(try toymqctl(broker, "ack", "t", "c", "4").exit == 0, "it was acknowledged before")
        #expect(try toymqctl(broker, "ack", "t", "c", "9").exit == 2)
        #expect(try toymqctl(broker, "ack", "nothing", "c", "0").exit == 2)
    }

    @Test func topicsAndInfoTellWhatTheBrokerHas() throws {
        let broker = try TestBroker()
        // More than one answer holds.
        let names = (0..<150).map { String(format: "topic-%03d", $0) }
        for name in names.prefix(3) { _ = try toymqctl(broker, "pub", name, "x") }
        let topics = try toymqctl(broker, "topics", "--json")
        #expect(topics.exit == 0)
        let listed = topics.output.split(separator: "\n").map { json($0) }
        #expect(listed.map { $0["topic"] as? String } == names.prefix(3).map { $0 })
        #expect(listed.allSatisfy { $0["next_id"] as? Int == 1 })
        #expect(try toymqctl(broker, "topics").output.contains("topic-001: ids 0 to below 1"))
        let info = try toymqctl(broker, "info", "--json")
        #expect(json(info.output)["topics"] as? Int == 3)
        #expect(try toymqctl(broker, "info").output.contains("uptime_ms"))
    }

    @Test func exitCodesAreThoseOfTheContract() throws {
        let broker = try TestBroker()
        for wrong in [
            ["pub"], ["pub", "t", "x", "--lines"], ["pub", "t", "x", "--addr", "nowhere"],
            ["sub"], ["sub", "t", "--count", "0"], ["ack", "t", "c"], ["ack", "t", "c", "x"],
            ["topics", "x"], ["info", "x"],
        ] {
            #expect(try run("toymqctl", wrong).exit == 64, "\(wrong)")
        }
        for command in [
            ["pub", "t", "x"], ["sub", "t"], ["topics"], ["info"], ["ack", "t", "c", "0"],
        ] {
            let result = try run(
                "toymqctl", command + ["--addr", "127.0.0.1:1", "--attempts", "1"])
            #expect(result.exit == 2 && result.error.contains("127.0.0.1:1"), "\(command)")
        }
        #expect(try toymqctl(broker, "pub", "../x", "x").exit == 2)
        let some = try toymqctl(
            broker, "pub", "t", "--lines", input: "x\n" + String(repeating: "y", count: 2 << 20))
        #expect(some.exit == 1 && some.error.contains("message 2"))
        for command in ["pub", "sub", "ack", "topics", "info"] {
            let help = try run("toymqctl", [command, "--help"])
            #expect(help.exit == 0 && help.output.contains("Exit codes"))
        }
    }

    @Test func benchmarksPrintJSON() throws {
        let broker = try TestBroker()
        let address = ["--addr", "127.0.0.1:\(broker.port)", "--json"]
        let time = ["--seconds", "1", "--warmup", "0.1"]
        for (name, arguments) in [
            ("publish", ["--connections", "3", "--window", "4"] + time),
            ("consume", ["--messages", "500"]), ("e2e", time),
            ("e2e", ["--bare", "--window", "3"] + time),
        ] {
            let result = try run("toymq-bench", [name] + address + arguments)
            #expect(result.exit == 0, "\(result.error)")
            let report = json(result.output)
            #expect(report["measurement"] as? String == name)
            #expect((report["messages"] as? Int ?? 0) > 0)
            if name != "consume" {
                let latency = report["latency_us"] as? [String: Double] ?? [:]
                #expect(Set(latency.keys) == ["p50", "p90", "p99", "p99.9", "max"])
                #expect((latency["p50"] ?? 0) <= (latency["max"] ?? 0))
            }
        }
        #expect(try run("toymq-bench", ["publish", "--addr", "127.0.0.1:1"]).exit == 2)
        #expect(try run("toymq-bench", ["publish", "--window", "0"]).exit == 64)
    }

    @Test func theProgramOnTheLandingPageIsTheOneThatIsBuiltAndItRuns() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let page = try String(
            contentsOf: root.appendingPathComponent(
                "Sources/ToyMQClient/ToyMQClient.docc/ToyMQClient.md"), encoding: .utf8)
        let program = try String(
            contentsOf: root.appendingPathComponent("Sources/client-example/main.swift"),
            encoding: .utf8)
        #expect(page.contains("```swift\n" + program + "```"))
        let broker = try TestBroker()
        let result = try run("client-example", ["\(broker.port)"])
        #expect(result.exit == 0)
        #expect(
            result.output == """
                message 0 is on stable storage
                so are 1 and 2
                0: one
                1: two
                2: three

                """)
    }
}
