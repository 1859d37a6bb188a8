import Broker
import DataDirectory
import Foundation
import SystemPackage
import TestSupport
import Testing
import WALTestSupport
import Wire

@testable import Broker
@testable import Server

/// Limits and metrics are in the documents as they are in the code.
@Suite("The pages of the broker", .timeLimit(.minutes(10)))
struct BrokerPagesTests {
    private static func size(_ bytes: Int) -> String {
        if bytes % (1 << 20) == 0 { return "\(bytes >> 20) MiB" }
        // What is as small as a line is counted in bytes.
        return bytes % (16 << 10) == 0 ? "\(bytes >> 10) KiB" : "\(bytes) bytes"
    }

    private static func time(_ nanoseconds: UInt64) -> String {
        let milliseconds = nanoseconds / 1_000_000
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
    }

    private static func longest(_ isName: (String) -> Bool) -> Int? {
        (1...10_000).last { isName(String(repeating: "a", count: $0)) }
    }

    /// In the order of the page: what is limited, its name in the code, and the limit.
    private static var limits: [(what: String, name: String, limit: String)] {
        let (broker, server) = (BrokerOptions(), ServerOptions())
        let name = longest { (try? TopicName($0)) != nil } ?? 0
        return [
            ("a line, its end apart", "lineBytes", size(WireLimits.lineBytes)),
            ("a topic's name, a consumer's name", "", size(name)),
            ("a dedupe key", "keyBytes", size(WireLimits.keyBytes)),
            ("the name of a header", "headerNameBytes", size(WireLimits.headerNameBytes)),
            (
                "a payload that is published: `--max-payload`, at most", "largestPayloadBytes",
                size(WireLimits.largestPayloadBytes)
            ),
            (
                "a payload that is delivered", "largestDeliveryBytes",
                size(WireLimits.largestDeliveryBytes)
            ),
            ("messages in flight to a consumer", "receiveWindow", "\(broker.receiveWindow)"),
            (
                "answers that wait, behind which no more commands are read", "",
                "\(AnswerQueue.mostAnswers)"
            ),
            (
                "bytes that wait to be sent, behind which no more commands are read", "",
                size(ConnectionHandler.mostOutputBytes)
            ),
            (
                "unfinished commands of all connections together; more is `BUSY`",
                "unfinishedBytes", size(server.unfinishedBytes)
            ),
            (
                "what each connection may have of them in any case", "smallUnfinishedBytes",
                size(ServerOptions.smallUnfinishedBytes)
            ),
            (
                "from an acknowledgement until it is written", "offsetsDelay",
                time(broker.offsetsDelay)
            ),
            (
                "until a topic that could not be opened or read is tried again, at first",
                "reopenDelay", time(broker.reopenDelay)
            ),
            ("and later", "", time(Topic.longestDelay)),
            (
                "how long a connection that is being closed may go on sending", "drainTimeout",
                time(server.drainTimeout)
            ),
        ]
    }

    @Test("every limit is in the table, as it is, and nothing else")
    func limits() throws {
        let rows = try Document.table("limits", of: "docs/PROTOCOL.md")
        let limits = BrokerPagesTests.limits
        #expect(rows.map { $0[0] } == limits.map(\.what))
        #expect(rows.map { $0[1] } == limits.map(\.limit))
        let consumer = BrokerPagesTests.longest { (try? ConsumerID($0)) != nil }
        #expect(consumer == BrokerPagesTests.longest { (try? TopicName($0)) != nil })
    }

    @Test("what can be set or is a limit of the protocol is a setting or in the table of limits")
    func nothingIsLeftOut() throws {
        // SettingsPageTests has the settings. The rest follows from the machine.
        let settings: Set = [
            "host", "port", "loops", "payloadBytes", "connectionLimit", "token", "handshakeTimeout",
            "frameTimeout", "idleTimeout", "visibilityTimeout", "dedupeWindow", "topicLimit",
            "consumerLimit", "segmentBytes",
        ]
        let others: Set = ["acceptLimit", "readers"]
        let options = [Mirror(reflecting: BrokerOptions()), Mirror(reflecting: ServerOptions())]
            .flatMap { $0.children.compactMap(\.label) }
        // Static ones cannot be listed by a program.
        let wire = try Document.text("Sources/Wire/Limits.swift")
            .components(separatedBy: "enum WireVersion")[0]
            .matches(of: /static let (\w+)/).map { String($0.1) }
        let server = try Document.text("Sources/Server/ServerOptions.swift")
            .matches(of: /static let (\w+)/).map { String($0.1) }
        #expect(wire.count > 4 && server.count > 1 && options.count > 15, "they are found")
        let limits = Set(BrokerPagesTests.limits.map(\.name)).subtracting([""])
        #expect(Set(options + wire + server) == limits.union(settings).union(others))
    }

    @Test("every metric is in the table with its type and meaning, in its order; INFO has the same")
    func metrics() throws {
        let disk = MemoryDisk()
        disk.putDirectory("/data")
        let local = try LocalServer(disk, metrics: MetricsAddress(host: "127.0.0.1", port: 0))
        let port = try #require(
            local.server.metricsAddress?.split(separator: ":").last.flatMap { Int($0) })
        let scraper = try RawClient(port: port)
        try scraper.send("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        var (types, texts, names): ([String], [String], [String]) = ([], [], [])
        while let line = try? scraper.line() {
            let words = line.split(separator: " ").map(String.init)
            if line.hasPrefix("# TYPE toymq_") {
                types.append(words[2] + " " + words[3])
            } else if line.hasPrefix("# HELP toymq_") {
                texts.append(words.dropFirst(3).joined(separator: " "))
            } else if line.hasPrefix("toymq_") {
                names.append(words[0])
            }
        }
        let rows = try Document.table("metrics", of: "docs/OPERATIONS.md")
        #expect(names == rows.map { "toymq_\($0[0].unquoted)" })
        #expect(types == rows.map { "toymq_\($0[0].unquoted) \($0[1])" })
        #expect(texts == rows.map { $0[2].prefix(1).uppercased() + $0[2].dropFirst() + "." })

        let line = try local.client().command("INFO")
        let info = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        let counters = rows.filter { $0[1] == "counter" }.map { $0[0].unquoted }
        let told = Set(counters).subtracting(["commits_total"])
            .union(["version", "protocol", "uptime_ms", "topics", "connections"])
        #expect(Set((info ?? [:]).keys) == told)
        #expect(local.stop())
    }
}
