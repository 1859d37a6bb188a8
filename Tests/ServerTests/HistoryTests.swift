import Foundation
import Glibc
import Testing

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
}

/// A broker that several histories share, each with a topic of its own.
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
            try stage.restart(SIGTERM)
            unsettled = []
            try connect()
        case .kill:
            try stage.restart(SIGKILL)
            try reconnectAfterKill()
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

    /// Acknowledgements of the last moment may be lost, and nothing else.
    private func reconnectAfterKill() throws {
        try connect()
        let certain = Set(unread)
        var seen: [UInt64] = []
        try consumer.send("PING\n")
        var line = try consumer.line()
        while line != "PONG" || !certain.isSubset(of: seen) {
            if line.hasPrefix("MSG ") {
                seen.append(UInt64(line.split(separator: " ")[2]) ?? .max)
                _ = try consumer.line()
            }
            if line == "PONG" { try consumer.send("PING\n") }
            line = try consumer.line()
        }
        #expect(Set(seen).isSubset(of: certain.union(unsettled)), "\(seen) in \(name)")
        acknowledged.subtract(seen)
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

private let isLong = ProcessInfo.processInfo.environment["TOYMQ_TEST_LONG"] == "1"

@Suite(
    "Every short history of a process", .serialized, .timeLimit(.minutes(isLong ? 120 : 10)))
struct HistoryTests {
    @Test("each sequence of events agrees with the model", arguments: [false, true])
    func histories(isTimed: Bool) throws {
        let timeout = isTimed ? "100ms" : "30s"
        let stage = try Stage(["--visibility-timeout", timeout, "--log-level", "error"])
        var number = 0
        func explore(_ steps: [Step]) throws {
            if steps.contains(.timeout) == isTimed, let last = steps.last, last != .disconnect {
                number += 1
                let history = try History(steps, stage, isTimed: isTimed, number: number)
                // What is checked in the end needs something to have happened.
                try history.play(.publish)
                try history.play(.publish)
                try history.play(.deliver)
                for step in steps { try history.play(step) }
                try history.end()
            }
            guard steps.count < (isLong ? 4 : 2) else { return }
            for step in Step.allCases { try explore(steps + [step]) }
        }
        try explore([])
        #expect(number > 10)
        #expect(stage.broker.stop() == 0)
    }
}
