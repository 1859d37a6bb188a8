import ChaosHarness
import Foundation
import Glibc
import ProcessSupport
import Testing

/// What `pub` and `sub` exit with when the broker goes away or does not answer.
@Suite("toymqctl: exits that a script may rely on", .timeLimit(.minutes(10)))
struct HonestExitTests {
    private func run(
        _ broker: FakeBroker, _ arguments: String..., input: String = ""
    ) throws -> FinishedProcess {
        try FinishedProcess(
            [builtProgram("toymqctl")] + arguments
                + ["--addr", "127.0.0.1:\(broker.port)", "--attempts", "1"],
            input: input)
    }

    // MARK: pub

    @Test func aMessageOfWhichNothingIsKnownIsNotCountedAsNotPublished() throws {
        let broker = try FakeBroker { peer, _ in peer.serve(nil) }
        let one = try run(broker, "pub", "t", "x")
        #expect(one.exit == 1 && one.error.contains("may or may not"), "\(one.error)")
        let key = try run(broker, "pub", "t", "x", "--key", "k")
        #expect(key.exit == 1 && key.error.contains("may or may not"), "\(key.error)")
        let lines = try run(broker, "pub", "t", "--lines", input: "x\n")
        #expect(lines.exit == 1 && lines.error.contains("may or may not"), "\(lines.error)")
    }

    @Test func aMessageThatWasRefusedWasNotPublished() throws {
        let broker = try FakeBroker { peer, _ in
            peer.serve("ERR PUB_FAILED no\n")
            peer.drain()
        }
        #expect(try run(broker, "pub", "t", "x").exit == 2)
    }

    // MARK: sub

    @Test func aBrokerThatGoesAwayBehindASubscriptionIs1() throws {
        for arguments in [["--count", "5"], []] {
            let broker = try TestBroker()
            _ = try toymqctl(broker, "pub", "t", "--lines", input: "a\nb\n")
            let child = try ChildProcess(
                [
                    builtProgram("toymqctl"), "sub", "t", "--addr", "127.0.0.1:\(broker.port)",
                    "--attempts", "2",
                ] + arguments, error: .pipe)
            var output: [UInt8] = []
            while output.count < 4 { output += child.readOutput() }
            try broker.victim.crash()
            let error = String(decoding: child.readErrorToEnd(), as: UTF8.self)
            #expect(child.wait() == .exit(1), "\(error)")
            #expect(error.contains("127.0.0.1:\(broker.port)"), "\(error)")
        }
    }

    @Test func aBrokerThatGoesAwayBeforeTheFirstMessageIs1Too() throws {
        let broker = try FakeBroker { peer, number in
            guard number == 0 else { return }
            peer.serve("OK 0\n", to: "SUB t c\n")
        }
        let result = try run(broker, "sub", "t", "--consumer", "c", "--timeout", "60")
        #expect(result.exit == 1, "\(result.error)")
    }

    /// More attempts than `--timeout` has time for.
    @Test func aBrokerThatIsGoneWhenTheTimeIsOverIsNotOneWithoutMessages() throws {
        for output in ["", "a\n"] {
            let broker = try FakeBroker { peer, number in
                guard number == 0 else { return }
                peer.serve("OK 0\n", to: "SUB t c\n")
                guard !output.isEmpty else { return }
                peer.say("MSG t 0 1\na\n")
                peer.read(until: "ACK c 0\n")
                peer.say("OK 0\n")
            }
            let result = try FinishedProcess(
                [
                    builtProgram("toymqctl"), "sub", "t", "--consumer", "c", "--addr",
                    "127.0.0.1:\(broker.port)", "--attempts", "1000", "--timeout", "0.5",
                ])
            #expect(result.output == output && result.exit == 1, "\(result.error)")
            #expect(result.error.contains("there is no subscription just now: "))
        }
    }

    @Test func acknowledgementsThatWereNotTakenAreNotSuccess() throws {
        let broker = try FakeBroker { peer, number in
            guard number == 0 else { return }
            peer.serve("OK 0\nMSG t 0 1\na\nMSG t 1 1\nb\nMSG t 2 1\nc\n", to: "SUB t c\n")
            // All were printed by then; it answers none of them.
            peer.read(until: "ACK c 2\n")
        }
        let result = try run(broker, "sub", "t", "--consumer", "c", "--count", "3")
        #expect(result.output == "a\nb\nc\n")
        #expect(result.exit == 1 && result.error.contains("3 messages may come again"))
        let quiet = try FakeBroker { peer, number in
            guard number == 0 else { return }
            peer.serve("OK 0\nMSG t 0 1\na\n", to: "SUB t c\n")
            peer.drain()
        }
        // With --no-ack that is as was asked for.
        let kept = try run(quiet, "sub", "t", "--consumer", "c", "--count", "1", "--no-ack")
        #expect(kept.exit == 0 && kept.output == "a\n", "\(kept.error)")
    }

    @Test func whatComesAgainAndIsConfirmedThenIsSuccess() throws {
        let broker = try FakeBroker { peer, number in
            peer.greet()
            peer.read(until: "SUB t c\n")
            guard number > 0 else {
                peer.say("OK 0\nMSG t 0 1\na\n")
                return peer.waitForMore()
            }
            peer.say("OK 0\nMSG t 0 1\na\n")
            peer.read(until: "ACK c 0\n")
            peer.say("OK 0\nMSG t 1 1\nb\n")
            peer.read(until: "ACK c 1\n")
            peer.say("OK 1\n")
            peer.read(until: "QUIT\n")
            peer.say("OK 0\n")
        }
        let result = try run(broker, "sub", "t", "--consumer", "c", "--count", "3")
        #expect(result.output == "a\na\nb\n" && result.exit == 0, "\(result.error)")
    }

    @Test(arguments: ["0.01", "0.2"])
    func aSubscriptionThatIsRefusedIsRefusedWithAReasonHoweverShortTheTimeout(
        timeout: String
    ) throws {
        // INFO is answered all the while.
        let broker = try TestBroker("--max-topics", "1")
        _ = try toymqctl(broker, "pub", "a", "x")
        let result = try toymqctl(broker, "sub", "b", "--timeout", timeout)
        #expect(result.exit == 2 && result.error.contains("BUSY"), "\(result.error)")
    }

    @Test func aBrokerThatSaysNothingOfTheSubscriptionIsGivenUp() throws {
        let broker = try FakeBroker { peer, _ in
            peer.greet()
            peer.drain()
        }
        let result = try run(broker, "sub", "t", "--timeout", "0.1")
        #expect(result.exit == 2 && result.error.contains("has no subscription to t"))
    }
}
