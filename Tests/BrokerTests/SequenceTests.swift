import Broker
import DataDirectory
import Foundation
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

@Suite("Every short history")
struct SequenceTests {
    /// Lengths up to 3 in the normal run, 4 in the long one.
    private static let length =
        ProcessInfo.processInfo.environment["TOYMQ_TEST_LONG"] == "1" ? 4 : 3

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
        let history = steps.map(\.rawValue).joined(separator: " ")
        var model = Model()
        let timeout: UInt64 = steps.contains(.timeout) ? 1_000_000 : 30_000_000_000
        func start(_ disk: MemoryDisk) throws -> (Bench, Topic, Reader) {
            let bench = try Bench(on: disk) {
                $0.visibilityTimeout = timeout
                // Nothing but an orderly stop writes positions, so that the model knows.
                $0.offsetsDelay = 3_600_000_000_000
            }
            let topic = try bench.topic()
            return (bench, topic, try Reader(topic))
        }
        var (bench, topic, reader) = try start(MemoryDisk())
        /// Delivers what there is; what is delivered has to be just what is pending.
        func deliver() throws {
            let got = try reader.take().map(\.id)
            if timeout < 1_000_000_000 {
                // Anything in flight may have come back by now.
                #expect(Set(got).isDisjoint(with: model.acknowledged), "\(history)")
                #expect(Set(model.pending).isSubset(of: got), "\(history)")
            } else {
                #expect(got == model.pending, "\(history)")
            }
            model.inFlight.formUnion(got)
        }
        for step in steps + [.disconnect] {
            switch step {
            case .publish:
                guard case .durable(let id) = try bench.publish("x", to: topic) else {
                    Issue.record("not published: \(history)")
                    return
                }
                #expect(id == UInt64(model.published.count), "\(history)")
                model.published.append(id)
            case .deliver: try deliver()
            case .acknowledgeLast:
                guard let id = model.inFlight.max(), (try? reader.acknowledge(id)) != nil else {
                    continue
                }
                model.inFlight.remove(id)
                model.acknowledged.insert(id)
            case .reject:
                guard let id = model.inFlight.min(), (try? reader.reject(id)) != nil else {
                    continue
                }
                model.inFlight.remove(id)
            case .timeout:
                guard !model.inFlight.isEmpty else { continue }
                // Each time something has expired the reader is woken, the last time too.
                let facts = topic
                #expect(
                    reader.woken.wait { _ in facts.facts.consumers.allSatisfy { $0.inFlight == 0 }
                    },
                    "\(history)")
                model.inFlight = []
            case .disconnect:
                reader.subscription.end()
                model.inFlight = []
                reader = try Reader(topic)
            case .restart:
                reader.subscription.end()
                bench.broker.close()
                model.settled = model.acknowledged
                model.inFlight = []
                (bench, topic, reader) = try start(bench.disk)
            case .crash:
                let disk = bench.disk.afterPowerLoss()
                // For the memory only: the disk is what it was.
                reader.subscription.end()
                bench.broker.close()
                model.acknowledged = model.settled
                model.inFlight = []
                (bench, topic, reader) = try start(disk)
            }
        }
        try deliver()
        reader.subscription.end()
        bench.broker.close()
    }
}
