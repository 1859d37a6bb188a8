import Foundation
import Server
import SystemPackage
import Testing
import WAL
import WALTestSupport

@Suite("Timeouts")
struct TimeoutTests {
    private static let timeout: UInt64 = 400_000_000

    private func server(_ change: @escaping (inout ServerOptions) -> Void) throws -> (
        MemoryDisk, LocalServer
    ) {
        let disk = MemoryDisk()
        disk.putDirectory("/data")
        return (disk, try LocalServer(disk, change))
    }

    private func nanoseconds(_ body: () throws -> Void) throws -> UInt64 {
        let begin = DispatchTime.now().uptimeNanoseconds
        try body()
        return DispatchTime.now().uptimeNanoseconds - begin
    }

    @Test("nobody is closed as idle before the time is over, whenever the last command came")
    func idleIsNotEarly() throws {
        let (_, local) = try server { $0.idleTimeout = TimeoutTests.timeout }
        let client = try local.client()
        // Some of the server's looks for timeouts have passed since it came.
        let other = try local.client()
        while (try? other.isClosed(0)) != true { #expect(try client.isQuiet()) }
        for _ in 0..<100 { #expect(try client.isQuiet()) }
        let silence = try nanoseconds { () throws in
            #expect(try client.isQuiet())
            #expect(try client.isClosed())
        }
        #expect(silence >= TimeoutTests.timeout)
        #expect(local.stop())
    }

    @Test("whose subscription another connection has taken over is idle")
    func detachedIsIdle() throws {
        let (_, local) = try server { $0.idleTimeout = TimeoutTests.timeout }
        let first = try local.client()
        #expect(try first.command("SUB t c") == "OK 0")
        let second = try local.client()
        #expect(try second.command("SUB t c") == "OK 0")
        #expect(try first.isClosed())
        #expect(try local.client().publish("t", "x") == "OK 0")
        #expect(try second.message().payload == "x")
        #expect(local.stop())
    }

    @Test("a half-sent command is not closed before the time is over since its last byte")
    func halfACommandIsNotEarly() throws {
        let (_, local) = try server { $0.frameTimeout = TimeoutTests.timeout }
        let client = try local.client()
        let other = try local.client()
        try other.send("PUB t - 10\nab")
        while (try? other.isClosed(0)) != true { #expect(try client.isQuiet()) }
        let silence = try nanoseconds { () throws in
            try client.send("PUB t - 10\nab")
            #expect(try client.isClosed())
        }
        #expect(silence >= TimeoutTests.timeout)
        #expect(local.stop())
    }

    @Test("who waits for an answer is not idle, and has the whole time from then on")
    func idleBeginsBehindTheAnswer() throws {
        let (disk, local) = try server { $0.idleTimeout = TimeoutTests.timeout }
        let client = try local.client()
        #expect(try client.publish("t", "x") == "OK 0")
        let gate = Gate()
        disk.follow { call in
            if call.operation == .write, call.path.string.contains("/t/") { gate.pass() }
            return nil
        }
        try client.send("PUB t - 1\nx\n")
        #expect(gate.waitForVisitor())
        // For longer than the time.
        let idle = try local.client()
        #expect(try idle.isQuiet())
        #expect(try idle.isClosed())
        disk.follow(nil)
        let silence = try nanoseconds { () throws in
            gate.open()
            #expect(try client.line() == "OK 1")
            #expect(try client.isClosed())
        }
        #expect(silence >= TimeoutTests.timeout)
        #expect(local.stop())
    }

    @Test("what came while the loop stood still is not late")
    func loopStoodStill() throws {
        // Another server tells how long it has stood still.
        let (_, clock) = try server { $0.handshakeTimeout = 3_000_000_000 }
        let broker = try BrokerProcess(
            try DataFolder(), ["--frame-timeout", "2s", "--handshake-timeout", "2s"])
        let other = try broker.client()
        #expect(try other.isQuiet())
        let client = try broker.client()
        try client.send("PUB u - 10\nab")
        let silent = try broker.client()
        // The loop has them by then.
        #expect(try comesTrue { try other.count("connections") == 3 })
        try broker.paused {
            try client.send("cdefghij\n")
            try silent.send("PING\n")
            let late = try clock.client()
            #expect(try late.isClosed())
        }
        #expect(try client.line() == "OK 0")
        #expect(try silent.line() == "PONG")
        #expect(clock.stop())
    }
}
