import Foundation
import Testing
import WALTestSupport

@Suite("Turns")
struct TurnTests {
    @Test("a client that asks for ten thousand INFO at once does not keep the others waiting")
    func othersGoFirst() throws {
        let broker = try BrokerProcess(try DataFolder())
        let greedy = try broker.client()
        // So that as much as can be is read at once from now on.
        try greedy.send(String(repeating: "PING\n", count: 40_000))
        for _ in 0..<40_000 { try #require(try greedy.line() == "PONG") }
        let other = try broker.client()
        let before = try other.count("commands_total")
        try broker.paused {
            try greedy.send(String(repeating: "INFO\n", count: 10_000))
            try other.send("INFO\n")
        }
        let line = try other.line()
        let info = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        let after = try #require(info?["commands_total"] as? Int)
        #expect(after - before < 1_000)
        for _ in 0..<10_000 { try #require(try greedy.line().hasPrefix("{")) }
        #expect(try greedy.isQuiet())
    }

    @Test(
        "commands that wait for their turn are answered in order, also behind the end of the stream"
    )
    func order() throws {
        let broker = try BrokerProcess(try DataFolder())
        let clients = try (0..<3).map { _ in try broker.client() }
        let rounds = 600
        for (index, client) in clients.enumerated() {
            var text = ""
            for number in 0..<rounds {
                text += "PUB t\(index) - 1\nx\nINFO\nPUB t\(index) k\(number) 0\n\n"
            }
            try client.send(text)
            client.endInput()
        }
        for client in clients {
            for number in 0..<rounds {
                try #require(try client.line() == "OK \(2 * number)")
                try #require(try client.line().hasPrefix("{"))
                try #require(try client.line() == "OK \(2 * number + 1)")
            }
            #expect(try client.isClosed())
        }
    }
}
