import Broker
import DataDirectory
import Foundation
import SystemPackage
import WAL
import WALTestSupport

/// A broker on a disk in memory.
struct Bench {
    let disk: MemoryDisk
    let broker: Broker
    let receiver = Receiver()

    init(
        on disk: MemoryDisk = MemoryDisk(), _ change: (inout BrokerOptions) -> Void = { _ in },
        events: @escaping @Sendable (BrokerEvent) -> Void = { _ in }
    ) throws {
        self.disk = disk
        var options = BrokerOptions()
        options.offsetsDelay = 1_000_000
        options.reopenDelay = 1_000_000
        change(&options)
        var host = LogHost.Options()
        host.idleNanoseconds = .max
        broker = try Broker(
            FilePath("/data"), storage: Storage(disk), options: options, hostOptions: host,
            events: events)
    }

    /// The topic of that name, made if it has to be.
    func topic(_ name: String = "t") throws -> Topic {
        let made = Observed<Result<Topic, BrokerError>?>(nil)
        broker.makeTopic(try TopicName(name)) { result in made.update { $0 = result } }
        guard made.wait(until: { $0 != nil }), let result = made.value else { throw Stuck() }
        return try result.get()
    }

    /// Publishes and waits for what comes of it.
    func publish(_ text: String, key: String? = nil, to topic: Topic) throws -> Receiver.Told {
        try publish([(text, key)], to: topic)[0]
    }

    func publish(_ messages: [(String, String?)], to topic: Topic) throws -> [Receiver.Told] {
        let tag = receiver.begin(messages.count)
        for (text, key) in messages { stage(text, key: key, tag: tag, to: topic) }
        topic.commit()
        return try receiver.end(tag)
    }

    /// Publishes and does not commit.
    func stage(_ text: String, key: String? = nil, tag: UInt64, to topic: Topic) {
        let payload = Array(text.utf8)
        let port = topic.port(for: receiver)
        let outcome =
            if let key {
                topic.publish(
                    payload.span.bytes, key: Array(key.utf8), headers: [], port: port, tag: tag)
            } else {
                topic.publish(payload.span.bytes, headers: [], port: port, tag: tag)
            }
        switch outcome {
        case .staged: break
        case .waits(let ticket): receiver.awaits(ticket, tag)
        case .duplicate(let id): receiver.tell(tag, .duplicate(id.rawValue))
        case .refused(let error): receiver.tell(tag, .failed(error))
        case .needsReopen: receiver.tell(tag, .needsReopen)
        case .full: receiver.tell(tag, .full)
        }
    }

    func reopen(_ topic: Topic) -> Bool {
        let done = Event()
        broker.reopen(topic) { done.fire() }
        return done.wait()
    }

    var offsets: Offsets? {
        try? OffsetsFile("/data/topics/t/offsets.json", storage: Storage(disk)).load()
    }
}

struct Stuck: Error {}

/// Hears what came of publishes.
final class Receiver: PublishReceiver {
    enum Told: Equatable {
        case durable(UInt64)
        case duplicate(UInt64)
        case failed(BrokerError)
        case needsReopen
        case full
    }
    private struct State {
        var next: UInt64 = 0
        var expected: [UInt64: Int] = [:]
        var told: [UInt64: [Told]] = [:]
    }
    private let state = Observed(State())

    func begin(_ count: Int) -> UInt64 {
        var tag: UInt64 = 0
        state.update {
            $0.next += 1
            tag = $0.next
            $0.expected[tag] = count
        }
        return tag
    }

    func end(_ tag: UInt64) throws -> [Told] {
        guard state.wait(until: { $0.told[tag, default: []].count >= $0.expected[tag] ?? 0 })
        else { throw Stuck() }
        return state.value.told[tag] ?? []
    }

    func told(_ tag: UInt64) -> [Told] { state.value.told[tag] ?? [] }

    func tell(_ tag: UInt64, _ told: Told) {
        state.update { $0.told[tag, default: []].append(told) }
    }

    func awaits(_ ticket: UInt64, _ tag: UInt64) {}

    func settled(topic: Topic, runs: [PublishRun]) {
        for run in runs {
            for number in 0..<UInt64(run.count) {
                switch run.result {
                case .success(let first): tell(run.tag, .durable(first.rawValue + number))
                case .failure(let error): tell(run.tag, .failed(error))
                }
            }
        }
    }

    func duplicateSettled(tag: UInt64, ticket: UInt64, result: Result<MessageID, BrokerError>) {
        switch result {
        case .success(let id): tell(tag, .duplicate(id.rawValue))
        case .failure(let error): tell(tag, .failed(error))
        }
    }
}

/// A consumer that takes what it can get.
struct Reader {
    let subscription: Subscription
    let woken = Observed(0)
    let replaced = Event()

    init(_ topic: Topic, _ consumer: String = "c") throws {
        let (woken, replaced) = (woken, replaced)
        subscription = try topic.subscribe(
            try ConsumerID(consumer), wake: { woken.update { $0 += 1 } },
            replaced: { replaced.fire() })
    }

    struct Got: Equatable {
        let id: UInt64
        let text: String
        var attempt: UInt64 = 1
    }

    /// All that may be delivered just now; it is in flight then.
    func take(_ limit: Int = 1000) throws -> [Got] {
        var got = try takeDue()
        var fresh: [Got] = []
        _ = try subscription.read(upTo: min(limit, subscription.demand?.room ?? 0)) { message in
            fresh.append(Reader.got(message, 1))
            return .next
        }
        while !fresh.isEmpty {
            let count = subscription.claim(fresh.map { MessageID($0.id) }[...])
            got += fresh.prefix(count)
            fresh.removeFirst(count)
            // What has become due meanwhile goes first.
            let due = try takeDue()
            if count == 0, due.isEmpty { break }
            got += due
        }
        return got
    }

    private func takeDue() throws -> [Got] {
        var due: [Got] = []
        let ids = try subscription.readDue { message, attempts in
            due.append(Reader.got(message, attempts + 1))
            return .next
        }
        return Array(due.prefix(subscription.claimDue(ids)))
    }

    private static func got(_ message: borrowing StoredMessage, _ attempt: UInt64) -> Got {
        let text = message.payload.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        return Got(id: message.id.rawValue, text: text, attempt: attempt)
    }

    func acknowledge(_ id: UInt64) throws { try subscription.acknowledge(MessageID(id)) }
    func reject(_ id: UInt64) throws { try subscription.reject(MessageID(id)) }
}
