import Foundation
import Server
import SystemPackage
import Testing
import WALTestSupport

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
}
