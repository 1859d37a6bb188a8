import DataDirectory
import Foundation
import Glibc
import SystemPackage
import TestSupport
import Testing
import WAL
import WALTestSupport

/// What may happen to a broker with one topic and one consumer.
private enum Step: String, CaseIterable {
    case publish
    /// The consumer reads what has been sent to it.
    case deliver
    /// The highest id that was read: out of order as soon as there are two.
    case acknowledge
    /// The lowest id that was read.
    case reject
    case timeout
    case disconnect
    case terminate
    case kill

    /// The signal that ends the broker, before it is started again.
    var signal: Int32? {
        switch self {
        case .terminate: SIGTERM
        case .kill: SIGKILL
        default: nil
        }
    }
}

/// A broker that several histories share, each with a topic of its own: they take their steps
/// together, since each is to see the broker end at the moments that are its own.
private final class Stage {
    let data: DataFolder
    let arguments: [String]
    var broker: BrokerProcess

    init(_ arguments: [String]) throws {
        data = try DataFolder()
        self.arguments = arguments
        broker = try BrokerProcess(data, arguments)
    }

    func restart(_ signal: Int32) throws {
        if signal == SIGTERM {
            #expect(broker.stop() == 0)
        } else {
            broker.kill()
        }
        broker = try BrokerProcess(data, arguments)
    }
}

/// One history, played against the broker and against the simplest model of what has to hold.
private final class History {
    private let stage: Stage
    private let topic: String
    private let name: String
    /// Whether anything in flight may come back by itself.
    private let isTimed: Bool
    private var publisher: RawClient
    private var consumer: RawClient

    private var published: UInt64 = 0
    private var acknowledged: Set<UInt64> = []
    /// Acknowledged, and it may not be on the disk yet when the process is killed.
    private var unsettled: Set<UInt64> = []
    /// Sent and not read yet, in the order in which they come.
    private var unread: [UInt64] = []
    /// Read, and neither acknowledged nor rejected since.
    private var read: Set<UInt64> = []
    /// Nothing was rejected since the consumer has connected.
    private var isInOrder = true

    init(_ steps: [Step], _ stage: Stage, isTimed: Bool, number: Int) throws {
        self.stage = stage
        self.isTimed = isTimed
        topic = "h\(number)"
        name = steps.map(\.rawValue).joined(separator: " ")
        publisher = try stage.broker.client()
        consumer = try stage.broker.client()
        try subscribe()
    }

    private func subscribe() throws {
        #expect(try consumer.command("SUB \(topic) c") == "OK 0", "\(name)")
    }

    /// A new connection gets everything that is not acknowledged, lowest first.
    private func connect() throws {
        consumer.close()
        publisher = try stage.broker.client()
        consumer = try stage.broker.client()
        try subscribe()
        unread = (0..<published).filter { !acknowledged.contains($0) }
        read = []
        isInOrder = true
    }

    /// Takes a step; if the broker has ended in it, that was started again before.
    func play(_ step: Step) throws {
        switch step {
        case .publish:
            #expect(try publisher.publish(topic, "m\(published)") == "OK \(published)", "\(name)")
            unread.append(published)
            published += 1
        case .deliver: try deliver()
        case .acknowledge:
            guard let id = read.max() else { return }
            try settle("ACK", id) {
                acknowledged.insert(id)
                unsettled.insert(id)
            }
        case .reject:
            guard let id = read.min() else { return }
            try settle("NACK", id) {
                unread.append(id)
                isInOrder = false
            }
        case .timeout:
            guard isTimed else { return }
            // All that was read comes again.
            unread += read
            read = []
            try deliver()
        case .disconnect: try connect()
        case .terminate:
            unsettled = []
            try connect()
        case .kill: try reconnectAfterKill()
        }
    }

    private func settle(_ verb: String, _ id: UInt64, _ done: () -> Void) throws {
        try consumer.send("\(verb) c \(id)\n")
        var answer = try consumer.line()
        while answer.hasPrefix("MSG ") {
            // A delivery that stands before the answer.
            let again = UInt64(answer.split(separator: " ")[2]) ?? .max
            _ = try consumer.line()
            if let index = unread.firstIndex(of: again) { unread.remove(at: index) }
            if again != id { read.insert(again) }
            answer = try consumer.line()
        }
        read.remove(id)
        if answer == "OK \(id)" {
            done()
        } else {
            // It has timed out in between.
            #expect(isTimed && answer.contains("_FAILED "), "\(answer) in \(name)")
            unread.append(id)
        }
    }

    /// Reads all that has to come; without timeouts, in just that order and nothing more.
    private func deliver() throws {
        if isTimed {
            var missing = Set(unread)
            while !missing.isEmpty {
                let message = try consumer.message()
                #expect(message.payload == "m\(message.id)", "\(name)")
                missing.remove(message.id)
                if !acknowledged.contains(message.id) { read.insert(message.id) }
            }
        } else {
            var seen: [UInt64] = []
            for _ in unread {
                let message = try consumer.message()
                #expect(message.payload == "m\(message.id)", "\(name)")
                seen.append(message.id)
            }
            // What was rejected and what is new overtake each other.
            let isSame = isInOrder ? seen == unread : seen.sorted() == unread.sorted()
            #expect(isSame, "\(seen), not \(unread) in \(name)")
            read.formUnion(seen)
            #expect(try consumer.isQuiet(), "\(name)")
        }
        unread = []
    }

    /// Acknowledgements of the last moment may be lost, and nothing else: offsets.json says which.
    private func reconnectAfterKill() throws {
        let file = OffsetsFile(
            FilePath(stage.data.path).appending("topics/\(topic)/offsets.json"))
        let offsets = try file.load()?[ConsumerID("c")]
        let settled = Set(
            (0..<published).filter { offsets?.isAcknowledged(MessageID($0)) ?? false })
        #expect(settled.isSubset(of: acknowledged), "\(settled) in \(name)")
        #expect(acknowledged.subtracting(unsettled).isSubset(of: settled), "\(settled) in \(name)")
        acknowledged = settled
        unsettled = []
        try connect()
    }

    /// What is left is what a new connection gets.
    func end() throws {
        try connect()
        try deliver()
        consumer.close()
        publisher.close()
    }
}

@Suite("Every short history of a process", .serialized, .timeLimit(.minutes(60)))
struct HistoryTests {
    /// A process with a sanitizer takes ten times as long to start.
    private static let longest = isSanitized ? 2 : 4
    /// So many are played together, with two connections each.
    private static let together = 100

    @Test("each sequence of events agrees with the model", arguments: [false, true])
    func histories(isTimed: Bool) async throws {
        // It waits for the broker all the time, and is not to keep a thread of the pool from others.
        let played = try await onThread { Result { try HistoryTests.playAll(isTimed: isTimed) } }
            .get()
        // Seven steps may be the last; without a timeout, six.
        let without = (0..<HistoryTests.longest).reduce(0) { sum, _ in sum * 7 + 6 }
        let all = (0..<HistoryTests.longest).reduce(0) { sum, _ in sum * 8 + 7 }
        #expect(played == (isTimed ? all - without : without))
    }

    /// How many they were.
    private static func playAll(isTimed: Bool) throws -> Int {
        var played = 0
        for length in 1...HistoryTests.longest {
            for group in HistoryTests.groups(length, isTimed: isTimed) {
                for start in stride(from: 0, to: group.count, by: HistoryTests.together) {
                    let part = group[start..<min(start + HistoryTests.together, group.count)]
                    try play(Array(part), length, isTimed: isTimed)
                    played += part.count
                }
            }
        }
        return played
    }

    /// The sequences of that length, those together in which the broker ends at the same moments.
    /// What follows the last step is a new connection, so that the last is no disconnection.
    private static func groups(_ length: Int, isTimed: Bool) -> [[[Step]]] {
        var places: [[Int32?]: Int] = [:]
        var groups: [[[Step]]] = []
        func extend(_ steps: [Step]) {
            guard steps.count == length else {
                for step in Step.allCases { extend(steps + [step]) }
                return
            }
            guard steps.contains(.timeout) == isTimed, steps.last != .disconnect else { return }
            let signals = steps.map(\.signal)
            if let place = places[signals] {
                groups[place].append(steps)
            } else {
                places[signals] = groups.count
                groups.append([steps])
            }
        }
        extend([])
        return groups
    }

    private static func play(_ sequences: [[Step]], _ length: Int, isTimed: Bool) throws {
        let timeout = isTimed ? "500ms" : "10m"
        let stage = try Stage(["--visibility-timeout", timeout, "--log-level", "error"])
        let histories = try sequences.enumerated().map { number, steps in
            try History(steps, stage, isTimed: isTimed, number: number)
        }
        // What is checked in the end needs something to have happened.
        for step in [Step.publish, .publish, .deliver] {
            for history in histories { try history.play(step) }
        }
        for index in 0..<length {
            if let signal = sequences[0][index].signal { try stage.restart(signal) }
            for (history, steps) in zip(histories, sequences) { try history.play(steps[index]) }
        }
        for history in histories { try history.end() }
        #expect(stage.broker.stop() == 0)
    }
}
