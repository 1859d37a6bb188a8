import Broker
import DataDirectory
import Wire

extension Service {
    /// The version that INFO, metrics and `--version` tell.
    static let version = "0.1.0"
    /// The answer to INFO stays within the limit of a line.
    private static let bytes = WireLimits.lineBytes - 512
    /// No line has room for more: the shortest entry has over 100 bytes.
    private static let topicsOfLine = bytes / 100
    /// What the consumers of one topic may take: half a line, the rest is for the topic.
    private static let consumerBytes = bytes / 2
    /// No topic shows more: the shortest entry has over 80 bytes.
    private static let consumersOfTopic = consumerBytes / 80

    /// The answer to `INFO`, or to `INFO after=<topic>`.
    func info(after: [UInt8]?) -> String {
        guard let after else { return totals() }
        return topics(after: String(decoding: after, as: UTF8.self))
    }

    private func totals() -> String {
        var json = JSONText()
        json.member("version", Service.version)
        json.member("protocol", WireVersion.current)
        json.member("uptime_ms", (MonotonicClock.now() - started) / 1_000_000)
        json.member("topics", broker.topicCount)
        json.member("connections", counters.openConnections)
        for total in counters.totals { json.member(total.name, total.value) }
        return json.end()
    }

    /// The topics behind `name`, as many as fit a line; `more` tells whether there are others.
    private func topics(after name: String) -> String {
        var list = ""
        let page = broker.topics(after: name, limit: Service.topicsOfLine)
        var isMore = page.count == Service.topicsOfLine
        for topic in page {
            let next = Service.text(topic.facts(consumers: Service.consumersOfTopic))
            guard list.utf8.count + next.utf8.count <= Service.bytes else {
                isMore = true
                break
            }
            list += (list.isEmpty ? "" : ", ") + next
        }
        var json = JSONText()
        json.member("topics", raw: "[\(list)]")
        json.member("more", isMore)
        return json.end()
    }

    private static func text(_ facts: TopicFacts) -> String {
        var json = JSONText()
        json.member("topic", facts.name)
        json.member("condition", facts.condition.rawValue)
        if let reason = facts.reason { json.member("reason", String(reason.prefix(300))) }
        // Left out where no log is open: 0 would be an id like any other.
        if let first = facts.firstID { json.member("first_id", first) }
        if let next = facts.nextID { json.member("next_id", next) }
        json.member("keys", facts.keys)
        json.member("consumers_total", facts.consumersTotal)
        var list = ""
        for consumer in facts.consumers {
            var entry = JSONText()
            entry.member("consumer", consumer.name)
            entry.member("first_unacknowledged", consumer.firstUnacknowledged)
            if let count = consumer.unacknowledged { entry.member("unacknowledged", count) }
            entry.member("in_flight", consumer.inFlight)
            entry.member("due", consumer.due)
            entry.member("connected", consumer.isConnected)
            let text = entry.end()
            // A topic with very many consumers shows the first ones.
            guard list.utf8.count + text.utf8.count <= consumerBytes else { break }
            list += (list.isEmpty ? "" : ", ") + text
        }
        json.member("consumers", raw: "[\(list)]")
        return json.end()
    }
}
