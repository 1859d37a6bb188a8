import Broker
import DataDirectory
import SystemPackage
import Testing
import WAL
import WALTestSupport

/// What may happen to a broker with one topic and one consumer.
private enum Step: String, CaseIterable {
    case publish
    case deliver
    /// The highest id in flight.
    case acknowledgeLast
    /// The lowest id in flight.
    case reject
    case timeout
    case disconnect
    /// Stopped in an orderly way, and started again.
    case restart
    /// The power goes, and it is started again.
    case crash
}

/// What has to hold, in its simplest form.
private struct Model {
    var published: [UInt64] = []
    var acknowledged: Set<UInt64> = []
    /// Acknowledged, and on the disk for sure.
    var settled: Set<UInt64> = []
    var inFlight: Set<UInt64> = []

    var pending: [UInt64] {
        published.filter { !acknowledged.contains($0) && !inFlight.contains($0) }
    }
}

/// One history, played against a broker and against the model.
private final class History {
    private let name: String
    /// Whether anything in flight may come back by itself.
    private let isTimed: Bool
    private var bench: Bench
    private var topic: Topic
    private var reader: Reader
    private var model = Model()

    init(_ steps: [Step]) throws {
        name = steps.map(\.rawValue).joined(separator: " ")
        isTimed = steps.contains(.timeout)
        (bench, topic, reader) = try History.start(MemoryDisk(), isTimed)
    }

    private static func start(
        _ disk: MemoryDisk, _ isTimed: Bool
    ) throws -> (Bench, Topic, Reader) {
        let bench = try Bench(on: disk) {
            $0.visibilityTimeout = isTimed ? 1_000_000 : 30_000_000_000
            // Nothing but an orderly stop writes positions, so that the model knows.
            $0.offsetsDelay = 3_600_000_000_000
        }
        let topic = try bench.topic()
        return (bench, topic, try Reader(topic))
    }

    func play(_ step: Step) throws {
        switch step {
        case .publish: try publish()
        case .deliver: try deliver()
        case .acknowledgeLast:
            guard let id = model.inFlight.max() else { return }
            if settle(id, reader.acknowledge) { model.acknowledged.insert(id) }
        case .reject:
            guard let id = model.inFlight.min() else { return }
            _ = settle(id, reader.reject)
        case .timeout: timeOut()
        case .disconnect:
            reader.subscription.end()
            model.inFlight = []
            reader = try Reader(topic)
        case .restart:
            stop()
            model.settled = model.acknowledged
            try restart(on: bench.disk)
        case .crash:
            let disk = bench.disk.afterPowerLoss()
            // For the memory only: the disk is what it was.
            stop()
            model.acknowledged = model.settled
            try restart(on: disk)
        }
    }

    private func publish() throws {
        guard case .durable(let id) = try bench.publish("x", to: topic) else {
            Issue.record("not published: \(name)")
            return
        }
        #expect(id == UInt64(model.published.count), "\(name)")
        model.published.append(id)
    }

    /// Delivers what there is; what is delivered has to be just what is pending.
    private func deliver() throws {
        let got = try reader.take().map(\.id)
        if isTimed {
            // Anything in flight may have come back by now.
            #expect(Set(got).isDisjoint(with: model.acknowledged), "\(name)")
            #expect(Set(model.pending).isSubset(of: got), "\(name)")
        } else {
            #expect(got == model.pending, "\(name)")
        }
        model.inFlight.formUnion(got)
    }

    /// Whether `verb` was taken. It has to be, unless the message has timed out in between.
    private func settle(_ id: UInt64, _ verb: (UInt64) throws -> Void) -> Bool {
        model.inFlight.remove(id)
        do {
            try verb(id)
            return true
        } catch {
            #expect(isTimed, "\(error) in \(name)")
            return false
        }
    }

    private func timeOut() {
        guard !model.inFlight.isEmpty else { return }
        let topic = topic
        // Each time something has expired the reader is woken, the last time too.
        let isOver = reader.woken.wait { _ in topic.facts.consumers.allSatisfy { $0.inFlight == 0 }
        }
        #expect(isOver, "\(name)")
        model.inFlight = []
    }

    private func stop() {
        reader.subscription.end()
        bench.broker.close()
    }

    private func restart(on disk: MemoryDisk) throws {
        model.inFlight = []
        (bench, topic, reader) = try History.start(disk, isTimed)
    }

    func end() throws {
        try deliver()
        stop()
    }
}

@Suite("Every short history")
struct SequenceTests {
    /// A sanitizer takes ten times as long.
    private static let length = isSanitized ? 3 : 4

    @Test("each sequence of events agrees with the model", arguments: Step.allCases.map(\.rawValue))
    func sequences(first: String) throws {
        guard let first = Step(rawValue: first) else { return }
        try explore([first])
    }

    private func explore(_ steps: [Step]) throws {
        try run(steps)
        guard steps.count < SequenceTests.length else { return }
        for step in Step.allCases { try explore(steps + [step]) }
    }

    private func run(_ steps: [Step]) throws {
        let history = try History(steps)
        for step in steps + [.disconnect] { try history.play(step) }
        try history.end()
    }
}
