import ChaosHarness
import DataDirectory
import Foundation
import Glibc
import ProcessSupport
import SystemPackage
import Testing
import TestSupport

/// Whoever starts a program may have closed 0, 1 and 2. The files that it opens must not get them.
@Suite("Programs that are started without standard streams", .timeLimit(.minutes(10)))
struct StandardStreamsTests {
    private static let all = "<&- >&- 2>&-"

    /// Starts a program of this build with these of its streams closed. Before that they lead to a
    /// file, and nothing to /dev/null.
    private func start(
        _ name: String, _ arguments: [String], closed: String = all, in broker: TestBroker
    ) throws -> ChildProcess {
        let file = try broker.root.write([], to: "stream").string
        return try ChildProcess(
            ["/bin/sh", "-c", "exec \"$@\" \(closed)", "sh", builtProgram(name)] + arguments,
            input: .file(file), error: .file(file))
    }

    /// Whether these descriptors of a process come to lead to /dev/null.
    private func leadNowhere(_ child: ChildProcess, _ descriptors: [Int32]) -> Bool {
        child.comes {
            let targets = descriptors.map {
                try? FileManager.default.destinationOfSymbolicLink(
                    atPath: "/proc/\(child.pid)/fd/\($0)")
            }
            return targets.allSatisfy { $0 == "/dev/null" }
        }
    }

    @Test func aBrokerWritesItsLinesNowhereAndKeepsItsMessages() throws {
        let broker = try TestBroker()
        let address = "127.0.0.1:\(broker.port)"
        let publish = { (input: String) in
            try run(
                "toymqctl", ["pub", "t", "--addr", address, "--attempts", "30", "--lines"],
                input: input)
        }
        #expect(try publish("before\n").exit == 0)
        try broker.victim.crash()
        let data = broker.victim.layout.root.string
        let child = try start(
            "toymq", ["--data-dir", data, "--addr", address, "--log-level", "trace"], in: broker)
        let texts = (0..<40).map { "message \($0)" }
        for text in texts { #expect(try publish(text + "\n").exit == 0) }
        #expect(leadNowhere(child, [0, 1, 2]))
        child.signal(SIGTERM)
        #expect(child.wait() == .exit(0))
        let check = try run("toymq-fsck", [data])
        #expect(check.exit == 0, "\(check.output)")
        _ = try broker.victim.start()
        let got = try run("toymqctl", ["sub", "t", "--addr", address, "--count", "41"])
        #expect(got.output == (["before"] + texts).map { $0 + "\n" }.joined())
    }

    @Test(arguments: ["toymqctl", "toymq-bench", "toymq-dump", "toymq-fsck", "toymq-fuzzgen"])
    func aToolOpensNothingInTheirPlaces(tool: String) throws {
        let broker = try TestBroker()
        let address = "127.0.0.1:\(broker.port)"
        let published = try run("toymqctl", ["pub", "t", "x", "--addr", address])
        #expect(published.exit == 0)
        let data = broker.victim.layout.root.string
        // Opening a pipe that nobody writes to takes as long as the test needs.
        let topic = try broker.root.makeDirectory("other/topics/t")
        #expect(mkfifo(topic.appending("segment.log").string, 0o600) == 0)
        let arguments =
            switch tool {
            case "toymqctl": ["sub", "t", "--no-ack", "--consumer", "c", "--addr", address]
            case "toymq-bench": ["publish", "--seconds", "600", "--addr", address]
            case "toymq-dump": ["--follow", data]
            case "toymq-fsck": [broker.root.appending("other").string]
            default: [broker.root.appending("corpus").string, "--count", "1000000"]
            }
        // Standard output would end some of them.
        let child = try start(tool, arguments, closed: "<&- 2>&-", in: broker)
        #expect(leadNowhere(child, [0, 2]))
        child.signal(SIGKILL)
        child.wait()
    }

    @Test func whatCannotBePrintedIsNotAcknowledged() throws {
        let broker = try TestBroker()
        let address = "127.0.0.1:\(broker.port)"
        #expect(try run("toymqctl", ["pub", "t", "x", "--addr", address]).exit == 0)
        let child = try start(
            "toymqctl", ["sub", "t", "--count", "1", "--addr", address], closed: ">&-",
            in: broker)
        #expect(child.wait() == .exit(1))
        let again = try run("toymqctl", ["sub", "t", "--count", "1", "--addr", address])
        #expect(again.output == "x\n")
    }
}
