import Foundation
import Server
import SystemPackage
import Testing
import Threads
import WAL
import WALTestSupport

/// Answers that are late: because the disk is, or because the client does not read.
@Suite("Answers that have to wait", .timeLimit(.minutes(10)))
struct AnswerTests {
    private func disk() -> MemoryDisk {
        let disk = MemoryDisk()
        disk.putDirectory("/data")
        return disk
    }

    @Test(
        "duplicates in two topics are told what came of their own topic's message",
        arguments: [false, true])
    func duplicatesInTwoTopics(fails: Bool) throws {
        let disk = disk()
        let local = try LocalServer(disk)
        let client = try local.client()
        for (topic, id) in [("a", 0), ("a", 1), ("b", 0)] {
            #expect(try client.publish(topic, "x") == "OK \(id)")
        }
        let gate = Gate()
        disk.follow { call in
            guard call.operation == .write, call.path.string.contains("/a/") else { return nil }
            gate.pass()
            return fails ? .fail(.noSpace) : nil
        }
        let publish = ["a", "a", "b", "b"].map { "PUB \($0) k 1\nx\n" }
        try client.send(publish.joined())
        #expect(gate.waitForVisitor())
        // The topic whose commit comes second is the one that was asked for first.
        let other = try local.client()
        #expect(try other.publish("b", "x", key: "k") == "DUP 1")
        gate.open()
        let answers = try client.lines(4)
        #expect(answers[2...] == ["OK 1", "DUP 1"])
        if fails {
            #expect(answers[..<2].allSatisfy { $0.hasPrefix("ERR PUB_FAILED ") })
        } else {
            #expect(answers[..<2] == ["OK 2", "DUP 2"])
        }
        disk.follow(nil)
        #expect(local.stop())
    }

    /// How many messages of a topic are durable.
    private func durable(_ client: RawClient, behind name: String) throws -> Int {
        let info = try client.command("INFO after=\(name)")
        let value = info.components(separatedBy: "\"next_id\": ").dropFirst().first
        return Int(value?.prefix { $0.isNumber } ?? "") ?? -1
    }

    @Test("while one topic's disk hangs, a bounded number of answers of others waits behind it")
    func boundedBehindAHangingDisk() throws {
        let disk = disk()
        let local = try LocalServer(disk)
        let other = try local.client()
        for topic in ["fast", "slow"] { #expect(try other.publish(topic, "x") == "OK 0") }
        let gate = Gate()
        disk.follow { call in
            if call.operation == .sync, call.path.string.contains("/slow/") { gate.pass() }
            return nil
        }
        let client = try local.client()
        try client.send("PUB slow - 1\nx\n")
        #expect(gate.waitForVisitor())
        let chunk = 1_000
        let text = String(repeating: "PUB fast - 1\nx\n", count: chunk)
        var sent = 0
        while sent <= 32_768 {
            try client.send(text)
            sent += chunk
            #expect(try comesTrue { try durable(other, behind: "a") == 1 + sent })
        }
        // All of these come in one piece. The first is taken, and no more.
        try client.send(text)
        sent += chunk
        #expect(try comesTrue { try durable(other, behind: "a") > 1 + sent - chunk })
        for _ in 0..<100 { #expect(try other.isQuiet()) }
        #expect(try durable(other, behind: "a") == 1 + sent - chunk + 1)
        disk.follow(nil)
        gate.open()
        #expect(try client.line() == "OK 1")
        for id in 1...sent { try #require(try client.line() == "OK \(id)") }
        #expect(local.stop())
    }

    @Test(
        "a command that waits for its topic when the server stops is answered, and none behind it")
    func stopsWhileATopicIsMade() throws {
        let disk = disk()
        let local = try LocalServer(disk)
        let idle = try local.client()
        #expect(try idle.isQuiet())
        let gate = Gate()
        disk.follow { call in
            if call.path.string.contains("/topics/new") { gate.pass() }
            return nil
        }
        let clients = try (0..<2).map { _ in try local.client() }
        try clients[0].send("PING\nPUB new - 1\nx\nPUB new - 1\ny\n")
        #expect(try clients[0].line() == "PONG")
        try clients[1].send("PING\nSUB new c\nPING\n")
        #expect(try clients[1].line() == "PONG")
        #expect(gate.waitForVisitor())
        let hasStopped = Observed<Bool?>(nil)
        let stopping = OwnedThread {
            let isDone = local.stop()
            hasStopped.update { $0 = isDone }
        }
        // All connections of the loop are told before anything else is done on it.
        #expect(try idle.isClosed())
        disk.follow(nil)
        gate.open()
        for (client, answer) in zip(clients, ["OK 0", "OK 0"]) {
            #expect(try client.line() == answer)
            while let line = try? client.line() { #expect(line.hasPrefix("MSG ") || line == "x") }
        }
        stopping.join()
        #expect(hasStopped.value == true)
    }

    /// Waits until a connection that has half a command in it, made now, has been closed for that.
    private func passFrameTimeout(_ local: LocalServer) throws {
        let late = try local.client()
        try late.send("PUB t - 10\nab")
        #expect(try late.isClosed())
    }

    @Test("a client that has sent everything is not late because it has not read")
    func notLate() throws {
        let local = try LocalServer(disk()) { $0.frameTimeout = 100_000_000 }
        let publisher = try local.client()
        let large = String(repeating: "x", count: 100_000)
        for id in 0..<20 { #expect(try publisher.publish("t", large) == "OK \(id)") }
        let consumer = try RawClient(port: local.server.port, receiveBytes: 4096)
        #expect(try consumer.command("SUB t c") == "OK 0")
        // More than is read at once: what the broker has of it is half a command.
        let sender = OwnedThread {
            let rest = String(repeating: "y", count: 900_000)
            try? consumer.send("PUB other - \(rest.utf8.count)\n\(rest)\nPING\n")
        }
        for _ in 0..<3 { try passFrameTimeout(local) }
        // Its commands are taken as soon as it reads, and answered between the messages.
        var (ids, answers): ([UInt64], [String]) = ([], [])
        while ids.count + answers.count < 22 {
            do { ids.append(try consumer.message().id) } catch RawClient.Failure.notAMessage(
                let line)
            { answers.append(line) }
        }
        #expect(ids == Array(0..<20))
        #expect(answers == ["OK 0", "PONG"])
        sender.join()
        #expect(local.stop())
    }

    @Test(
        "an error arrives however late the client begins to read, and whatever it sends meanwhile")
    func lateReader() throws {
        let local = try LocalServer(disk()) { $0.drainTimeout = 100_000_000 }
        let client = try RawClient(port: local.server.port, receiveBytes: 4096)
        let pings = 20_000
        try client.send(String(repeating: "PING\n", count: pings) + "PUB t - x\n")
        // Another one with an error, that does not close its side, is closed after that time.
        for _ in 0..<3 {
            let other = try local.client()
            #expect(try other.command("PUB t - x").hasPrefix("ERR INVALID "))
            try client.send("still here\n")
            #expect(try other.isClosed())
        }
        for _ in 0..<pings { #expect(try client.line() == "PONG") }
        #expect(try client.line().hasPrefix("ERR INVALID "))
        #expect(try client.isClosed())
        #expect(local.stop())
    }
}
