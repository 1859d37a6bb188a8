import Broker
import DataDirectory
import JSONText
import Threads
import ToolSupport
import Wire

extension Service {
    /// The version that INFO, metrics and `--version` tell.
    static let version = ToolVersion.current
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
        let totals = counters.totals.map { ($0.name, JSON.integer($0.value)) }
        return JSON.object(
            [
                ("version", .string(Service.version)),
                ("protocol", .integer(UInt64(WireVersion.current))),
                ("uptime_ms", .integer((MonotonicClock.now() - started) / 1_000_000)),
                ("topics", .integer(UInt64(broker.topicCount))),
                ("connections", .integer(UInt64(counters.openConnections.now))),
            ] + totals
        ).text
    }

    /// The topics behind `name`, as many as fit a line; `more` tells whether there are others.
    private func topics(after name: String) -> String {
        let page = broker.topics(after: name, limit: Service.topicsOfLine)
        let topics = Service.prefix(
            of: page.lazy.map { Service.entry($0.facts(consumers: Service.consumersOfTopic)) },
            bytes: Service.bytes)
        let isMore = topics.count < page.count || page.count == Service.topicsOfLine
        return JSON.object([("topics", .array(topics)), ("more", .bool(isMore))]).text
    }

    /// The first entries, as many as have room in so many bytes.
    private static func prefix(of entries: some Sequence<JSON>, bytes: Int) -> [JSON] {
        var result: [JSON] = []
        var left = bytes
        for entry in entries {
            left -= entry.text.utf8.count + ", ".utf8.count
            guard left >= 0 else { break }
            result.append(entry)
        }
        return result
    }

    private static func entry(_ facts: TopicFacts) -> JSON {
        var members: [(String, JSON)] = [
            ("topic", .string(facts.name)), ("condition", .string(facts.condition.rawValue)),
        ]
        if let reason = facts.reason {
            members.append(("reason", .string(String(reason.prefix(300)))))
        }
        // Left out where no log is open: 0 would be an id like any other.
        if let first = facts.firstID { members.append(("first_id", .integer(first))) }
        if let next = facts.nextID { members.append(("next_id", .integer(next))) }
        members.append(("keys", .integer(UInt64(facts.keys))))
        members.append(("consumers_total", .integer(UInt64(facts.consumersTotal))))
        // A topic with very many consumers shows the first ones.
        let consumers = prefix(of: facts.consumers.lazy.map(entry), bytes: consumerBytes)
        members.append(("consumers", .array(consumers)))
        return .object(members)
    }

    private static func entry(_ consumer: TopicFacts.ConsumerFacts) -> JSON {
        var members: [(String, JSON)] = [
            ("consumer", .string(consumer.name)),
            ("first_unacknowledged", .integer(consumer.firstUnacknowledged)),
        ]
        if let count = consumer.unacknowledged {
            members.append(("unacknowledged", .integer(count)))
        }
        return .object(
            members + [
                ("in_flight", .integer(UInt64(consumer.inFlight))),
                ("due", .integer(UInt64(consumer.due))),
                ("connected", .bool(consumer.isConnected)),
            ])
    }
}
