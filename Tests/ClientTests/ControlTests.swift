import ChaosHarness
import DataDirectory
import Foundation
import Glibc
import ProcessSupport
import SystemPackage
import Testing
import TestSupport
import ToyMQClient

/// What toymqctl says and how it ends where not all is well.
@Suite("toymqctl in trouble", .timeLimit(.minutes(10))) struct ControlTests {
    /// toymqctl with its streams led elsewhere by a shell.
    private func shell(_ broker: TestBroker, _ script: String) throws -> FinishedProcess {
        try FinishedProcess([
            "/bin/sh", "-c", script, "sh", builtProgram("toymqctl"), "127.0.0.1:\(broker.port)",
        ])
    }

    private func count(_ text: String, _ part: String) -> Int {
        text.components(separatedBy: part).count - 1
    }

    // MARK: topics, ack

    @Test func aDamagedTopicHasAReasonAndNoIds() throws {
        let broker = try TestBroker()
        _ = try toymqctl(broker, "pub", "t", "--lines", input: "a\nb\n")
        try broker.victim.crash()
        let file = "data/topics/t/segment.log"
        var damaged = try bytes(of: broker.root.appending(file))
        damaged[20] ^= 0xFF
        try broker.root.write(damaged, to: file)
        _ = try broker.victim.start()
        let topics = try toymqctl(broker, "topics")
        #expect(topics.exit == 1)
        #expect(topics.output.hasPrefix("t: damaged: "), "\(topics.output)")
        #expect(!topics.output.contains("next id"))
        let facts = json(try toymqctl(broker, "topics", "--json").output)
        #expect(facts["condition"] as? String == "damaged")
        #expect(facts["first_id"] == nil && facts["next_id"] == nil)
        let ack = try toymqctl(broker, "ack", "t", "c", "0")
        #expect(ack.exit == 2 && ack.error.contains("topic t is damaged: "), "\(ack.error)")
    }

    @Test func whatWasAcknowledgedBeforeARestartIsKnownBehindIt() throws {
        let broker = try TestBroker()
        _ = try toymqctl(broker, "pub", "t", "--lines", input: "0\n1\n2\n3\n4\n5\n")
        #expect(try toymqctl(broker, "ack", "t", "c", "--up-to", "2").exit == 0)
        #expect(try toymqctl(broker, "ack", "t", "c", "4").exit == 0)
        #expect(try toymqctl(broker, "ack", "t", "all", "--up-to", "5").exit == 0)
        #expect(try broker.victim.stop() == nil)
        _ = try broker.victim.start()
        let topics = try toymqctl(broker, "topics").output
        #expect(topics.contains("c has acknowledged all below 3\n"), "\(topics)")
        #expect(topics.contains("all has acknowledged all below 6\n"))
        for arguments in [["1"], ["0", "2"], ["--up-to", "2"]] {
            let again = try run(
                "toymqctl",
                ["ack", "t", "c", "--addr", "127.0.0.1:\(broker.port)"] + arguments)
            #expect(again.exit == 0 && again.output.isEmpty, "\(arguments): \(again.error)")
        }
        #expect(try toymqctl(broker, "ack", "t", "all", "5").exit == 0)
        #expect(try toymqctl(broker, "ack", "t", "all", "--up-to", "5").exit == 0)
        // 5 is behind all that is left.
        #expect(try toymqctl(broker, "ack", "t", "late", "5").output == "5\n")
        let late = try toymqctl(broker, "ack", "t", "late", "5", "--timeout", "0.5")
        #expect(late.exit == 0 && late.output.isEmpty, "\(late.error)")
        #expect(
            try toymqctl(broker, "ack", "t", "late", "--up-to", "4").output == "0\n1\n2\n3\n4\n")
        // Nobody was connected: the broker has said it by itself. Out of order it can be seen by
        // what comes instead.
        let ahead = try toymqctl(broker, "ack", "t", "c", "4")
        #expect(ahead.exit == 0 && ahead.output.isEmpty, "\(ahead.error)")
        #expect(try toymqctl(broker, "ack", "t", "c", "3", "4", "5").output == "3\n5\n")
    }

    // MARK: sub

    @Test func aSubscriptionThatNeverWasIs2() async throws {
        let nobody = try run("toymqctl", ["sub", "t", "--timeout", "0.2", "--addr", "127.0.0.1:1"])
        #expect(nobody.exit == 2 && nobody.error.contains("127.0.0.1:1"), "\(nobody.error)")
        let broker = try TestBroker("--max-connections", "1")
        let client = ToyMQClient(broker.options)
        try await client.publish(Message("x"), to: "t")
        let busy = try toymqctl(broker, "sub", "t", "--timeout", "0.2")
        #expect(busy.exit == 2 && busy.error.contains("BUSY"), "\(busy.error)")
        await client.close()
    }

    @Test func aSubscriptionWithoutMessagesIs0() throws {
        let broker = try TestBroker()
        #expect(try toymqctl(broker, "sub", "t", "--timeout", "0.5").exit == 0)
    }

    // MARK: pub

    @Test func aLineThatIsTooLongIsOneFailedMessage() throws {
        let broker = try TestBroker()
        let long = String(repeating: "y", count: 4 << 20)
        let some = try toymqctl(
            broker, "pub", "t", "--lines", input: "a\n\(long)\nb\n\(long)\nc\n\(long)")
        #expect(some.exit == 1)
        #expect(some.output == "0\n1\n2\n")
        for number in [2, 4, 6] { #expect(some.error.contains("message \(number): "), "\(number)") }
        #expect(count(some.error, "\n") == 3)
        #expect(try toymqctl(broker, "sub", "t", "--count", "3").output == "a\nb\nc\n")
    }

    @Test func withoutABrokerItIsSaidWhereTheRestBegins() throws {
        let lines = (0..<5000).map { "\($0)\n" }.joined()
        let gone = try run(
            "toymqctl", ["pub", "t", "--lines", "--addr", "127.0.0.1:1", "--attempts", "1"],
            input: lines)
        #expect(gone.exit == 2)
        #expect(count(gone.error, "on were not sent") == 1, "\(gone.error.suffix(200))")
        let one = try run(
            "toymqctl", ["pub", "t", "--lines", "--addr", "127.0.0.1:1", "--attempts", "1"],
            input: "one\n")
        #expect(one.exit == 2 && !one.error.contains("were not sent"), "\(one.error)")
    }

    @Test func anOutputThatIsClosedIsSaidOnce() throws {
        let broker = try TestBroker()
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { close(ends[1]) }
        close(ends[0])
        let lines = try broker.root.write(
            (0..<600).map { "\($0)\n" }.joined().utf8, to: "lines")
        let child = try ChildProcess(
            [
                builtProgram("toymqctl"), "pub", "t", "--lines", "--addr",
                "127.0.0.1:\(broker.port)",
            ],
            input: .file(lines.string), output: .descriptor(ends[1]), error: .pipe)
        let error = String(decoding: child.readErrorToEnd(), as: UTF8.self)
        #expect(child.wait() == .exit(1))
        #expect(error.contains("standard output is closed: nobody reads it any more"), "\(error)")
        #expect(count(error, "\n") == 1)
    }

    @Test(arguments: ["pub t x", "sub t --count 1", "info", "topics", "ack t c 0"])
    func anOutputThatIsFullIsCalledThat(command: String) throws {
        let broker = try TestBroker()
        #expect(try toymqctl(broker, "pub", "t", "x").exit == 0)
        let full = try shell(broker, "exec \"$1\" \(command) --addr \"$2\" > /dev/full")
        #expect(full.exit == 1)
        #expect(full.error.contains("No space left on device"), "\(full.error)")
        #expect(count(full.error, "\n") == 1)
    }

    @Test func aReportThatCannotBePrintedIsNotAllRight() throws {
        let broker = try TestBroker()
        #expect(try toymqctl(broker, "pub", "t", "x").exit == 0)
        #expect(try broker.victim.stop() == nil)
        let data = broker.victim.layout.root.string
        let full = try FinishedProcess([
            "/bin/sh", "-c", "exec \"$1\" open \"$2\" > /dev/full", "sh", builtProgram("toymqctl"),
            data,
        ])
        #expect(full.exit == 1 && full.error.contains("No space left on device"), "\(full.error)")
        #expect(try run("toymqctl", ["open", data]).exit == 0)
    }

    @Test func theTraceContextHasOptionsOfItsOwn() throws {
        let broker = try TestBroker()
        for name in ["traceparent", "tracestate"] {
            let header = try toymqctl(broker, "pub", "t", "x", "--header", "\(name)=x")
            #expect(header.exit == 64 && header.error.contains("use --\(name)"), "\(header.error)")
        }
        #expect(
            try toymqctl(broker, "pub", "t", "x", "--traceparent", "00-1", "--tracestate", "a=b")
                .exit == 0)
        let message = json(try toymqctl(broker, "sub", "t", "--count", "1", "--json").output)
        #expect(message["traceparent"] as? String == "00-1")
        #expect(message["tracestate"] as? String == "a=b")
    }
}
