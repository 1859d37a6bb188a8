import ChaosHarness
import Glibc
import ProcessSupport
import Testing

/// What `sub` does with SIGINT and SIGTERM.
@Suite("toymqctl sub that is stopped by a signal", .timeLimit(.minutes(10)))
struct StoppedSubTests {
    private func sub(_ port: Int, _ arguments: String...) throws -> ChildProcess {
        try ChildProcess(
            [
                builtProgram("toymqctl"), "sub", "t", "--consumer", "c", "--addr",
                "127.0.0.1:\(port)", "--attempts", "1",
            ] + arguments, error: .pipe)
    }

    /// Waits until it has printed so many bytes.
    private func read(_ count: Int, of child: ChildProcess) -> String {
        var output: [UInt8] = []
        while output.count < count {
            let more = child.readOutput()
            if more.isEmpty { break }
            output += more
        }
        return String(decoding: output, as: UTF8.self)
    }

    @Test(
        "it acknowledges what it has printed, and that is what was asked for",
        arguments: [SIGINT, SIGTERM])
    func acknowledges(signal: Int32) throws {
        let broker = try TestBroker()
        _ = try toymqctl(broker, "pub", "t", "--lines", input: "a\nb\n")
        for arguments in [[], ["--timeout", "600"]] {
            let child = try ChildProcess(
                [
                    builtProgram("toymqctl"), "sub", "t", "--addr", "127.0.0.1:\(broker.port)",
                ] + arguments, error: .pipe)
            #expect(read(4, of: child) == "a\nb\n")
            child.signal(signal)
            let error = String(decoding: child.readErrorToEnd(), as: UTF8.self)
            #expect(child.wait() == .exit(0) && error.isEmpty, "\(error)")
            let rest = try toymqctl(broker, "sub", "t", "--timeout", "0.3")
            #expect(rest.exit == 0 && rest.output.isEmpty, "all of it was acknowledged")
            _ = try toymqctl(broker, "pub", "t", "--lines", input: "a\nb\n")
        }
    }

    @Test("without --no-ack's acknowledgements it has nothing to wait for")
    func withoutAcknowledgements() throws {
        let broker = try TestBroker()
        _ = try toymqctl(broker, "pub", "t", "a")
        let child = try sub(broker.port, "--no-ack")
        #expect(read(2, of: child) == "a\n")
        child.signal(SIGINT)
        #expect(child.wait() == .exit(0))
    }

    @Test("fewer messages than --count are not what was asked for")
    func short() throws {
        let broker = try TestBroker()
        _ = try toymqctl(broker, "pub", "t", "a")
        let child = try sub(broker.port, "--count", "2")
        #expect(read(2, of: child) == "a\n")
        child.signal(SIGTERM)
        #expect(child.wait() == .exit(1))
    }

    @Test("it does not wait for ever for a broker that confirms nothing", arguments: [1, 1100])
    func unconfirmed(count: Int) throws {
        let broker = try FakeBroker { peer, _ in
            let messages = (0..<count).map { "MSG t \($0) 1\na\n" }.joined()
            peer.serve("OK 0\n" + messages, to: "SUB t c\n")
            peer.drain()
        }
        let child = try sub(broker.port)
        // So many it prints before it asks the broker for its word.
        let printed = min(count, 1024)
        _ = read(2 * printed, of: child)
        child.signal(SIGTERM)
        let error = String(decoding: child.readErrorToEnd(), as: UTF8.self)
        #expect(child.wait(seconds: 60) == .exit(1))
        #expect(error.contains("\(printed) message"), "\(error)")
        #expect(error.contains("may come again"), "\(error)")
    }

    @Test("before the broker has accepted it there was no subscription")
    func notAccepted() throws {
        let broker = try FakeBroker { peer, _ in
            peer.greet()
            peer.drain()
        }
        let child = try sub(broker.port)
        #expect(child.comes { broker.connections > 0 })
        child.signal(SIGINT)
        let error = String(decoding: child.readErrorToEnd(), as: UTF8.self)
        #expect(child.wait(seconds: 60) == .exit(2))
        #expect(error.contains("stopped before"), "\(error)")
    }

    @Test("a second signal ends it, also where nobody reads what it prints")
    func twice() throws {
        let size = 400_000
        let broker = try FakeBroker { peer, _ in
            let payload = String(repeating: "x", count: size)
            peer.serve("OK 0\nMSG t 0 \(size)\n\(payload)\n", to: "SUB t c\n")
            peer.drain()
        }
        let child = try sub(broker.port)
        // It has begun to print, and the pipe does not take the rest.
        #expect(!child.readOutput().isEmpty)
        #expect(
            child.comes {
                child.signal(SIGINT)
                return !child.isRunning
            })
        #expect(child.wait() == .exit(1))
    }
}
