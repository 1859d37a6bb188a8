import Broker
import DataDirectory
import Foundation
import NIOPosix
import Server
import SystemPackage
import Testing
import Threads
import WAL
import WALTestSupport

/// What clients have seen.
private final class Witness: Sendable {
    struct Seen {
        var acknowledged: [UInt64: String] = [:]
        var consumed: [UInt64: String] = [:]
        var failures = 0
        var wrongs: [String] = []
    }
    let seen = Observed(Seen())
    let isOver = Event()

    /// Publishes one after the other and asks again for what was refused.
    func publish(as name: String, _ client: RawClient) {
        var number = 0
        while !isOver.hasFired {
            let text = "\(name)-\(number)-" + String(repeating: "x", count: 300)
            guard let answer = try? client.publish("t", text, key: "\(name):\(number)") else {
                return seen.update { $0.wrongs.append("\(name) was cut off") }
            }
            if answer.hasPrefix("OK "), let id = UInt64(answer.dropFirst(3)) {
                seen.update {
                    if $0.acknowledged[id] != nil { $0.wrongs.append("id \(id) twice") }
                    $0.acknowledged[id] = text
                }
                number += 1
            } else if answer.hasPrefix("ERR PUB_FAILED ") {
                seen.update { $0.failures += 1 }
            } else {
                seen.update { $0.wrongs.append(answer) }
                number += 1
            }
        }
    }

    /// Takes and acknowledges until the message that says so.
    func consume(_ client: RawClient) {
        do {
            try client.consume(as: "c") { id, payload in
                seen.update { $0.consumed[id] = payload }
            }
        } catch {
            seen.update { $0.wrongs.append("the consumer was cut off: \(error)") }
        }
    }
}

extension RawClient {
    /// Takes and acknowledges all up to the message `last`.
    fileprivate func consume(
        as consumer: String, _ body: (_ id: UInt64, _ payload: String) -> Void
    ) throws {
        while true {
            let line = try line()
            if line.hasPrefix("OK ") { continue }
            let fields = line.split(separator: " ")
            guard fields.count == 4, fields[0] == "MSG", let id = UInt64(fields[2]) else {
                throw Failure.notAMessage(line)
            }
            let payload = try self.line()
            body(id, payload)
            try send("ACK \(consumer) \(id)\n")
            if payload == "last" { return }
        }
    }
}

/// Runs `body` on a thread of its own; the group tells when it is done.
private func started(
    in group: DispatchGroup, _ body: @escaping @Sendable () -> Void
) -> OwnedThread {
    group.enter()
    return OwnedThread {
        body()
        group.leave()
    }
}

@Suite("A disk in trouble, seen through sockets", .serialized, .timeLimit(.minutes(10)))
struct DiskTroubleTests {
    enum Trouble: CaseIterable { case full, failedSync }

    @Test(
        "publishers get ERR, consumers go on, nothing acknowledged is lost, and it works again",
        arguments: Trouble.allCases)
    func trouble(_ trouble: Trouble) throws {
        let disk = MemoryDisk()
        disk.putDirectory("/data")
        let local = try LocalServer(disk)
        let witness = Witness()
        let clients = try (0..<5).map { _ in try local.client() }
        #expect(try clients[4].command("SUB t c") == "OK 0")
        // Threads of their own: publishers that are always at work leave none of a shared pool to
        // the consumer.
        let threads = DispatchGroup()
        let publishers = (0..<4).map { number in
            started(in: threads) { witness.publish(as: "p\(number)", clients[number]) }
        }
        let consumer = DispatchGroup()
        let consuming = started(in: consumer) { witness.consume(clients[4]) }
        let seen = witness.seen
        #expect(seen.wait { $0.acknowledged.count > 100 })
        switch trouble {
        case .full: disk.capacity = disk.used + 2_000
        case .failedSync:
            disk.follow { call in
                call.operation == .sync && call.path.string.hasSuffix("/t/segment.log")
                    ? .fail(.ioError) : nil
            }
        }
        #expect(seen.wait { $0.failures > 100 })
        // All that was acknowledged is delivered all the same, also to somebody new.
        let certain = seen.value.acknowledged
        #expect(seen.wait { seen in certain.keys.allSatisfy { seen.consumed[$0] != nil } })
        let other = try local.client()
        #expect(try other.command("SUB t other") == "OK 0")
        #expect(try other.message().payload == certain[0])
        disk.capacity = .max
        disk.follow(nil)
        let before = seen.value.acknowledged.count
        #expect(seen.wait { $0.acknowledged.count > before + 100 })
        witness.isOver.fire()
        #expect(threads.wait(timeout: .now() + 30) == .success)
        #expect(try local.client().publish("t", "last").hasPrefix("OK "))
        #expect(consumer.wait(timeout: .now() + 30) == .success)
        for thread in publishers + [consuming] { thread.join() }
        #expect(seen.value.wrongs == [])
        #expect(local.stop())

        // A restart agrees, and so does one behind a power cut.
        for survivor in [disk.afterPowerLoss(), disk] {
            let again = try LocalServer(survivor)
            let reader = try again.client()
            #expect(try reader.command("SUB t fresh") == "OK 0")
            var messages: [UInt64: String] = [:]
            try reader.consume(as: "fresh") { messages[$0] = $1 }
            #expect(seen.value.acknowledged.allSatisfy { messages[$0] == $1 })
            #expect(seen.value.consumed.allSatisfy { messages[$0] == $1 })
            #expect(again.stop())
        }
    }

    @Test("a disk that is full where a segment begins keeps no consumer from its messages")
    func fullAtRoll() throws {
        let disk = MemoryDisk()
        disk.putDirectory("/data")
        var local = try LocalServer(disk)
        var client = try local.client()
        #expect(try client.publish("t", "x") == "OK 0")
        // There is no room for the next segment.
        disk.follow { call in
            guard call.operation == .open, call.name == "segment.log" else { return nil }
            return disk.bytes(call.path) == nil ? .fail(.noSpace) : nil
        }
        var count: UInt64 = 1
        var answer = ""
        while true {
            answer = try client.publish("t", String(repeating: "x", count: 8000))
            guard answer == "OK \(count)" else { break }
            count += 1
        }
        #expect(answer.hasPrefix("ERR PUB_FAILED ") && answer.contains("No space left"))
        #expect(count >= 8)
        for _ in 0..<2 {
            #expect(try client.command("SUB t c") == "OK 0")
            for id in 0..<count { #expect(try client.message().id == id) }
            #expect(local.stop())
            local = try LocalServer(disk)
            client = try local.client()
            let refusal = try client.publish("t", "y")
            #expect(refusal.hasPrefix("ERR PUB_FAILED ") && refusal.contains("No space left"))
        }
        disk.follow(nil)
        #expect(try client.publish("t", "y") == "OK \(count)")
        #expect(local.stop())
    }

    @Test("a topic that could not be opened is opened again when somebody subscribes")
    func reopenedBySubscribing() throws {
        let disk = MemoryDisk()
        disk.putDirectory("/data")
        let before = try LocalServer(disk)
        #expect(try before.client().publish("t", "first") == "OK 0")
        #expect(before.stop())
        disk.follow { $0.operation == .read && $0.name == "segment.log" ? .fail(.ioError) : nil }
        let local = try LocalServer(disk)
        let client = try local.client()
        let refusal = try client.command("SUB t c")
        #expect(refusal.hasPrefix("ERR SUB_FAILED ") && refusal.contains("Input/output error"))
        // What it says is what was in the way the last time.
        disk.follow {
            $0.operation == .read && $0.name == "segment.log" ? .fail(.resourceBusy) : nil
        }
        let isOver = ContinuousClock.now + .seconds(20)
        func subscribed(until isDone: (String) -> Bool) throws -> String {
            while true {
                let answer = try client.command("SUB t c")
                if isDone(answer) || ContinuousClock.now > isOver { return answer }
            }
        }
        let second = try subscribed { $0.contains("busy") }
        #expect(second.hasPrefix("ERR SUB_FAILED ") && second.contains("busy"))
        disk.follow(nil)
        #expect(try subscribed { $0 == "OK 0" } == "OK 0")
        #expect(try client.message().payload == "first")
        #expect(local.stop())
    }

    /// Commits of `t`, and how many of the last ones in a row an event loop has made.
    private func followCommits(of disk: MemoryDisk) -> Observed<(all: Int, onLoop: Int)> {
        let commits = Observed((all: 0, onLoop: 0))
        disk.follow { call in
            guard call.operation == .sync, call.path.string.hasSuffix("/t/segment.log") else {
                return nil
            }
            let isOnLoop = MultiThreadedEventLoopGroup.currentEventLoop != nil
            commits.update { $0 = ($0.all + 1, isOnLoop ? $0.onLoop + 1 : 0) }
            return nil
        }
        return commits
    }

    @Test("commits are made on the event loop while one connection alone publishes")
    func solePublisher() throws {
        let disk = MemoryDisk()
        disk.putDirectory("/data")
        let local = try LocalServer(disk)
        let publisher = try local.client()
        let other = try local.client()
        #expect(try other.isQuiet())
        let commits = followCommits(of: disk)
        func publish() throws {
            for _ in 0..<20 { #expect(try publisher.publish("t", "x").hasPrefix("OK ")) }
        }
        // A slow machine is taken for a slow disk, for a second.
        #expect(
            try comesTrue { () throws in
                try publish()
                return commits.value.onLoop > 0
            })
        // Two that take turns are committed for elsewhere.
        for _ in 0..<20 {
            #expect(try publisher.publish("t", "x").hasPrefix("OK "))
            #expect(try other.publish("t", "x").hasPrefix("OK "))
        }
        #expect(commits.value.onLoop == 0)
        #expect(local.stop())
    }

    @Test("while the only client's disk hangs, and its event loop with it, metrics are served")
    func metricsAreServed() throws {
        let disk = MemoryDisk()
        disk.putDirectory("/data")
        let local = try LocalServer(disk, metrics: MetricsAddress(host: "127.0.0.1", port: 0))
        let port = try #require(
            local.server.metricsAddress?.split(separator: ":").last.flatMap { Int($0) })
        let publisher = try local.client()
        let commits = followCommits(of: disk)
        #expect(
            try comesTrue { () throws in
                try publisher.publish("t", "x").hasPrefix("OK ") && commits.value.onLoop > 0
            })
        let gate = Gate()
        disk.follow { call in
            if call.operation == .sync { gate.pass() }
            return nil
        }
        try publisher.send("PUB t - 1\nx\n")
        #expect(gate.waitForVisitor())
        for path in ["healthz", "readyz", "metrics"] {
            let client = try RawClient(port: port)
            try client.send("GET /\(path) HTTP/1.1\r\n\r\n")
            #expect(try client.line().hasPrefix("HTTP/1.1 200"))
        }
        disk.follow(nil)
        gate.open()
        #expect(try publisher.line().hasPrefix("OK "))
        #expect(local.stop())
    }
}
