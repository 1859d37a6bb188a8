import Foundation
import ToolSupport
import ToyMQClient

/// What the broker says of a topic.
struct TopicFacts {
    struct Consumer {
        let name: String
        let firstUnacknowledged: UInt64
        /// How many messages it has not acknowledged; nil if the broker does not say it.
        let unacknowledged: UInt64?
        let isConnected: Bool
    }

    let name: String
    let condition: String
    let reason: String?
    /// The ids that are there; nil where no log is open, and nobody knows.
    let ids: Range<UInt64>?
    /// Those that are listed.
    let consumers: [Consumer]
    let consumersTotal: Int
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

    /// The topic of this name; nil if there is none.
    static func of(_ name: String, _ client: ToyMQClient) throws -> TopicFacts? {
        try all(client).first { $0.name == name }
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
        let first = (members["first_id"] as? NSNumber)?.uint64Value
        let next = (members["next_id"] as? NSNumber)?.uint64Value
        if let first, let next, first <= next { ids = first..<next } else { ids = nil }
        json = String(decoding: bytes, as: UTF8.self)
        let consumers = ((members["consumers"] as? [[String: Any]]) ?? []).compactMap { consumer in
            guard let name = consumer["consumer"] as? String,
                let first = consumer["first_unacknowledged"] as? NSNumber
            else { return nil as Consumer? }
            return Consumer(
                name: name, firstUnacknowledged: first.uint64Value,
                unacknowledged: (consumer["unacknowledged"] as? NSNumber)?.uint64Value,
                isConnected: consumer["connected"] as? Bool ?? false)
        }
        self.consumers = consumers
        consumersTotal = members["consumers_total"] as? Int ?? consumers.count
    }

    /// The consumer of this name; nil if the broker does not list it.
    func consumer(_ name: String) -> Consumer? { consumers.first { $0.name == name } }

    /// `damaged: why`; for a topic that is not open.
    var trouble: String { "\(condition): \(reason ?? "no reason given")" }

    var text: String {
        // First how it stands: a broker of an earlier version says ids of a damaged topic, too.
        var heads: [String] = isOpen ? [] : [trouble]
        if let ids, isOpen || condition == "failed" {
            heads.append(
                ids.isEmpty
                    ? "no messages, next id \(ids.upperBound)"
                    : "ids \(ids.lowerBound) to below \(ids.upperBound)")
        }
        var parts = ["\(name): \(heads.joined(separator: "\n  "))"]
        for consumer in consumers {
            let state = consumer.isConnected ? ", connected" : ""
            parts.append(
                "\(consumer.name) has acknowledged all below "
                    + "\(consumer.firstUnacknowledged)\(state)")
        }
        let more = consumersTotal - consumers.count
        if more > 0 { parts.append("and \(more) more consumer\(more == 1 ? "" : "s")") }
        return parts.joined(separator: "\n  ")
    }
}
