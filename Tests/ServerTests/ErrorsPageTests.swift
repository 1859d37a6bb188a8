import Foundation
import TestSupport
import Testing
import Wire

/// What becomes of a connection behind each error is what docs/PROTOCOL.md says.
@Suite("The page of the errors", .timeLimit(.minutes(10)))
struct ErrorsPageTests {
    /// A broker with a damaged topic, and one whose name a file has.
    private func broker() throws -> BrokerProcess {
        let data = try DataFolder()
        let topics = data.url.appendingPathComponent("topics")
        let files = FileManager.default
        try files.createDirectory(at: topics, withIntermediateDirectories: true)
        let golden = Document.root.appendingPathComponent(
            "Fixtures/golden/durable-lost/image/topics/t")
        try files.copyItem(at: golden, to: topics.appendingPathComponent("bad"))
        try Data().write(to: topics.appendingPathComponent("file"))
        return try BrokerProcess(data, ["--max-topics", "2", "--max-payload", "10"])
    }

    /// How a connection comes to each error, and whether it goes on behind it.
    private static let ways: [(code: ErrorCode, said: [String], goesOn: Bool)] = [
        (.invalid, ["NOISE"], true),
        (.invalid, ["PUB t - many"], false),
        (.tooLarge, ["PUB t - 11"], false),
        (.publishFailed, ["PUB file - 0\n"], true),
        (.subscribeFailed, ["SUB file c"], true),
        (.noSubscription, ["ACK c 0"], true),
        (.noSubscription, ["NACK c 0"], true),
        (.acknowledgeFailed, ["SUB t c", "ACK c 9"], true),
        (.acknowledgeFailed, ["SUB t c", "ACK d 0"], true),
        (.rejectFailed, ["SUB t c", "NACK c 9"], true),
        (.hello, ["HELLO 3"], false),
        (.hello, ["PING", "HELLO 2"], true),
        (.damaged, ["SUB bad c"], true),
        (.damaged, ["PUB bad - 0\n"], true),
        (.busy, ["SUB t c", "SUB u c"], true),
    ]

    private func error(_ client: RawClient, _ said: [String]) throws -> String {
        var answer = ""
        for line in said { answer = try client.command(line) }
        return answer
    }

    @Test("an error is followed by what the table says, and each of it happens")
    func connections() throws {
        let broker = try broker()
        var ends: [String: Set<Bool>] = [:]
        for (code, said, goesOn) in ErrorsPageTests.ways {
            let client = try broker.client()
            let answer = try error(client, said)
            #expect(answer.hasPrefix("ERR \(code.rawValue) "), "\(said): \(answer)")
            let doesGoOn = try goesOn ? client.command("PING") == "PONG" : !client.isClosed()
            #expect(doesGoOn == goesOn, "\(said)")
            ends[code.rawValue, default: []].insert(doesGoOn)
        }
        // Those that take another broker.
        let single = try BrokerProcess(try DataFolder(), ["--max-connections", "1"])
        let first = try single.client()
        #expect(try first.command("PING") == "PONG")
        let second = try single.client()
        #expect(try second.line().hasPrefix("ERR BUSY ") && second.isClosed())
        ends["BUSY", default: []].insert(false)
        let folder = try TemporaryDirectory()
        try folder.write("secret\n".utf8, to: "token")
        let token = folder.url.appendingPathComponent("token").path
        let closed = try BrokerProcess(try DataFolder(), ["--auth-token-file", token])
        for line in ["PING", "HELLO 2", "HELLO 2 AUTH wrong"] {
            let client = try closed.client()
            #expect(try client.command(line).hasPrefix("ERR AUTH ") && client.isClosed(), "\(line)")
        }
        ends["AUTH"] = [false]

        for row in try Document.table("errors", of: "docs/PROTOCOL.md") {
            let code = row[0].unquoted
            // Never given out so far.
            if code == ErrorCode.denied.rawValue { continue }
            let said = Set([row[2].contains("goes on"), !row[2].contains("is closed")])
            #expect(ends[code] == said, "\(code): \(row[2])")
        }
    }
}
