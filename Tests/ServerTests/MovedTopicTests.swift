import Foundation
import Testing
import WALTestSupport

/// A topic's directory that somebody moves or removes while the broker serves it.
@Suite("A topic that is not in its place", .timeLimit(.minutes(10))) struct MovedTopicTests {
    private func directory(_ data: DataFolder) -> URL {
        data.url.appendingPathComponent("topics/t")
    }

    /// The answer to the first of many publishes that satisfies `isWanted`.
    private func answer(_ client: RawClient, where isWanted: (String) -> Bool) throws -> String {
        var answer = ""
        _ = try comesTrue {
            answer = try client.publish("t", "x")
            return isWanted(answer)
        }
        return answer
    }

    @Test("publishers are refused within a moment, however busy they are")
    func removed() throws {
        let data = try DataFolder()
        let broker = try BrokerProcess(data)
        let client = try broker.client()
        #expect(try client.publish("t", "x") == "OK 0")
        try FileManager.default.removeItem(at: directory(data))
        let refusal = try answer(client) { !$0.hasPrefix("OK ") }
        #expect(
            refusal.hasPrefix("ERR PUB_FAILED ") && refusal.contains("is not there any more"),
            "\(refusal)")
        #expect(try client.publish("u", "x") == "OK 0", "other topics serve")
        #expect(comesTrue { broker.log.contains("is not there any more") })
    }

    @Test("an empty directory in its place is not taken for the topic")
    func emptied() throws {
        let data = try DataFolder()
        let broker = try BrokerProcess(data)
        let client = try broker.client()
        #expect(try client.publish("t", "x") == "OK 0")
        try FileManager.default.removeItem(at: directory(data))
        _ = try answer(client) { !$0.hasPrefix("OK ") }
        try FileManager.default.createDirectory(
            at: directory(data), withIntermediateDirectories: false)
        let isOver = { (answer: String) in
            answer.hasPrefix("OK ") || answer.hasPrefix("ERR DAMAGED ")
        }
        #expect(try answer(client, where: isOver).hasPrefix("ERR DAMAGED "))
    }

    @Test("moved back it serves again, with all that was acknowledged")
    func movedBack() throws {
        let data = try DataFolder()
        let broker = try BrokerProcess(data)
        let client = try broker.client()
        #expect(try client.publish("t", "x") == "OK 0")
        let away = data.url.appendingPathComponent("away")
        try FileManager.default.moveItem(at: directory(data), to: away)
        var acknowledged = 1
        let refusal = try answer(client) { answer in
            guard answer == "OK \(acknowledged)" else { return true }
            acknowledged += 1
            return false
        }
        #expect(refusal.hasPrefix("ERR PUB_FAILED "), "\(refusal)")
        try FileManager.default.moveItem(at: away, to: directory(data))
        #expect(try answer(client) { $0.hasPrefix("OK ") } == "OK \(acknowledged)")
    }
}
