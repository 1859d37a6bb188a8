import ArgumentParser
import Foundation
import ToyMQClient

struct TopicsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "topics",
        abstract: "Lists the topics of a broker with their consumers.",
        discussion: """
            --json prints one object a topic, as the broker says it.

            Exit codes: 0 done; 1 a topic is not open; 2 no answer; 64 usage.
            """)

    @OptionGroup var remote: RemoteOptions

    @Flag(help: "Print a JSON object for each topic.")
    var json = false

    func run() throws {
        try remote.withClient { client in
            let topics = try TopicFacts.all(client)
            for topic in topics {
                guard StandardOutput.line(json ? topic.json : topic.text) else {
                    return .incomplete
                }
                guard !topic.isOpen else { continue }
                StandardError.say(
                    "topic \(topic.name) is \(topic.condition): \(topic.reason ?? "no reason given")"
                )
            }
            return topics.allSatisfy(\.isOpen) ? .done : .incomplete
        }
    }
}

struct InfoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Prints what a broker says of itself.",
        discussion: "Exit codes: 0 done; 2 no answer; 64 usage.")

    @OptionGroup var remote: RemoteOptions

    @Flag(help: "Print the broker's JSON object as it is.")
    var json = false

    func run() throws {
        try remote.withClient { client in
            let text = try waitFor { () async throws(ClientError) in try await client.info() }
            if json { return StandardOutput.line(text) ? .done : .incomplete }
            guard let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)),
                let members = object as? [String: Any]
            else { throw InputError("the broker's answer is no JSON object: \(text)") }
            let width = members.keys.map(\.count).max() ?? 0
            for (name, value) in members.sorted(by: { $0.key < $1.key }) {
                let space = String(repeating: " ", count: width - name.count)
                guard StandardOutput.line("\(name)\(space)  \(value)") else { return .incomplete }
            }
            return .done
        }
    }
}

/// What the broker says of a topic.
struct TopicFacts {
    struct Consumer {
        let name: String
        let firstUnacknowledged: UInt64
        let isConnected: Bool
    }

    let name: String
    let condition: String
    let reason: String?
    let nextID: UInt64?
    let firstID: UInt64?
    let consumers: [Consumer]
    /// As the broker says it, with its members in the order of their names.
    let json: String

    var isOpen: Bool { condition == "open" }

    /// All topics; asks as often as it takes.
    static func all(_ client: ToyMQClient) throws -> [TopicFacts] {
        var all: [TopicFacts] = []
        while true {
            let after = all.last?.name ?? ""
            let text = try waitFor { () async throws(ClientError) in
                try await client.info(topicsAfter: after)
            }
            guard let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)),
                let members = object as? [String: Any],
                let topics = members["topics"] as? [[String: Any]]
            else { throw InputError("the broker's answer is not a list of topics: \(text)") }
            all += topics.compactMap(TopicFacts.init)
            guard members["more"] as? Bool == true, !topics.isEmpty else { return all }
        }
    }

    private init?(_ members: [String: Any]) {
        guard let name = members["topic"] as? String,
            let condition = members["condition"] as? String,
            let bytes = try? JSONSerialization.data(
                withJSONObject: members, options: [.sortedKeys, .withoutEscapingSlashes])
        else { return nil }
        self.name = name
        self.condition = condition
        reason = members["reason"] as? String
        nextID = (members["next_id"] as? NSNumber)?.uint64Value
        firstID = (members["first_id"] as? NSNumber)?.uint64Value
        json = String(decoding: bytes, as: UTF8.self)
        consumers = ((members["consumers"] as? [[String: Any]]) ?? []).compactMap { consumer in
            guard let name = consumer["consumer"] as? String,
                let first = consumer["first_unacknowledged"] as? NSNumber
            else { return nil }
            return Consumer(
                name: name, firstUnacknowledged: first.uint64Value,
                isConnected: consumer["connected"] as? Bool ?? false)
        }
    }

    var text: String {
        guard let firstID, let nextID else { return "\(name): \(condition)" }
        var parts = ["\(name): ids \(firstID) to below \(nextID)"]
        if firstID == nextID { parts = ["\(name): no messages, next id \(nextID)"] }
        for consumer in consumers {
            let state = consumer.isConnected ? ", connected" : ""
            parts.append(
                "\(consumer.name) has acknowledged all below "
                    + "\(consumer.firstUnacknowledged)\(state)")
        }
        return parts.joined(separator: "\n  ")
    }
}
