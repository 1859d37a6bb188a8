import Foundation
import NIOCore
import SystemPackage
import Testing
import WALTestSupport

@testable import Server

@Suite("Commands that have not come whole", .timeLimit(.minutes(10)))
struct UnfinishedTests {
    @Test("all connections together hold a bounded amount of them, and the others are served")
    func bounded() throws {
        let disk = MemoryDisk()
        disk.putDirectory("/data")
        let local = try LocalServer(disk) { $0.unfinishedBytes = 2 << 20 }
        let served = try local.client()
        let half = String(repeating: "x", count: 300_000)
        let clients = try (0..<12).map { _ in try local.client() }
        for client in clients { try client.send("PUB t - 600000\n" + half) }
        // Not all of the halves fit. INFO is read again until one was refused or all have come.
        try #require(
            comesTrue(60) {
                try served.count("publish_errors_total") > 0
                    || served.count("received_bytes_total") >= 12 * half.utf8.count
            })
        #expect(try served.count("publish_errors_total") >= 1)
        #expect(try served.publish("t", "small") == "OK 0")
        var answers: [String] = []
        for client in clients {
            try? client.send(half + "\n")
            answers.append(try client.line())
        }
        let refused = answers.filter { $0.hasPrefix("ERR BUSY ") }.count
        #expect(refused >= 1)
        #expect(answers.filter { $0.hasPrefix("OK ") }.count == clients.count - refused)
        #expect(refused < clients.count)
        for client in clients { client.close() }
        #expect(try served.publish("t", half + half).hasPrefix("OK "))
        #expect(local.stop())
    }

    @Test("a connection is told off only if it has much itself while all together have too much")
    func rule() {
        let total = Unfinished.Total()
        let limit = 100_000
        var small = Unfinished(total)
        var large = Unfinished(total)
        var few = ByteBuffer(repeating: 0, count: 1_000)
        small.keepCopy(&few)
        for _ in 0..<5 {
            var many = ByteBuffer(repeating: 0, count: 20_000)
            large.add(&many)
            #expect(large.isTooMuch(limit) == (total.bytes > limit))
        }
        #expect(total.bytes > limit)
        #expect(large.isTooMuch(limit) && !small.isTooMuch(limit))
        #expect(!large.isTooMuch(total.bytes))
        #expect(large.take().readableBytes == 100_000)
        #expect(large.isEmpty && total.bytes < limit)
        small.clear()
        #expect(total.bytes == 0)
    }

    @Test("what is kept as a copy does not hold what it is a slice of")
    func copied() throws {
        let total = Unfinished.Total()
        var unfinished = Unfinished(total)
        let whole = ByteBuffer(repeating: 7, count: 1 << 20)
        var slice = try #require(whole.getSlice(at: 5, length: 100))
        unfinished.neededBytes = 101
        unfinished.keepCopy(&slice)
        #expect(total.bytes < 1_000)
        #expect(!unfinished.mayBeWhole)
        var more = ByteBuffer(repeating: 8, count: 1)
        unfinished.add(&more)
        #expect(unfinished.mayBeWhole)
        #expect(unfinished.buffer == ByteBuffer(bytes: [UInt8](repeating: 7, count: 100) + [8]))
    }
}
