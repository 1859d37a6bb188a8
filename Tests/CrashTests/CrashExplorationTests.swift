import Foundation
import Simulation
import SystemPackage
import Testing

@testable import WAL

/// Every crash state of small workloads opens, with everything that was acknowledged: none is lost
/// and none is refused.
///
/// A debug build explores little, since it is some twenty times slower; a release build (`tools/test
/// --release`) explores about 80,000 states, with TOYMQ_TEST_LONG=1 many more.
@Suite struct CrashExplorationTests {
    private static let isLong = ProcessInfo.processInfo.environment["TOYMQ_TEST_LONG"] == "1"
    #if DEBUG
        private static let outcomes = isLong ? 64 : 4
        private static let nestedStride = isLong ? 211 : 1511
    #else
        private static let outcomes = isLong ? 1024 : 96
        private static let nestedStride = isLong ? 37 : 149
    #endif

    /// Explores with sectors and with units so small that a frame has several.
    private func explore(
        _ name: String, segmentBytes: Int = 64 << 20, _ body: (Exploration.Run) throws -> Void
    ) {
        var options = LogOptions()
        options.segmentBytes = segmentBytes
        var states = 0
        for (seed, unit) in [(1, 512), (2, 64), (3, 16)] as [(UInt64, Int)] {
            let exploration = Exploration(
                seed: seed, limit: CrashExplorationTests.outcomes, unitBytes: unit,
                nestedStride: CrashExplorationTests.nestedStride)
            exploration.explore("\(name), units of \(unit)", options: options, body)
            states += exploration.states
            for failure in exploration.failures { Issue.record(failure) }
        }
        print("crash exploration: \(name): \(states) states")
        #expect(states > 50)
    }

    @Test func aNewLogAndSingleAppends() {
        explore("single appends") { run in
            try run.open()
            try run.append(run.payloads(1, bytes: 10))
            try run.append(run.payloads(1, bytes: 600))
            try run.append([[]])
        }
    }

    @Test func groupCommitsOfTwoToEight() {
        explore("group commits") { run in
            try run.open()
            for number in [2, 5, 8] { try run.append(run.payloads(number, bytes: 40 * number)) }
        }
    }

    @Test func keysAndHeaders() {
        explore("keys and headers") { run in
            try run.open()
            try run.append(run.payloads(3, bytes: 100), keyed: true)
            try run.append(run.payloads(1, bytes: 0), keyed: true)
        }
    }

    @Test func idleMarksBetweenCommits() {
        explore("idle marks") { run in
            try run.open()
            try run.append(run.payloads(2, bytes: 100))
            run.idle()
            try run.append(run.payloads(2, bytes: 100))
            run.idle()
            try run.append(run.payloads(1, bytes: 700))
        }
    }

    @Test func closingAndOpeningAgain() {
        explore("close and open") { run in
            try run.open()
            try run.append(run.payloads(2, bytes: 100))
            try run.close()
            try run.open()
            try run.append(run.payloads(3, bytes: 200))
            try run.close()
            try run.open()
        }
    }

    @Test func sealingRollingAndDropping() {
        explore("seal, roll and drop", segmentBytes: 4096) { run in
            try run.open()
            for _ in 0..<5 { try run.append(run.payloads(2, bytes: 900)) }
            run.idle()
            try run.append(run.payloads(1, bytes: 900))
            try run.drop(below: 5)
            try run.append(run.payloads(1, bytes: 900))
            try run.drop(below: 9)
            try run.close()
        }
    }

    @Test func spaceThatIsZeroFilledAhead() {
        explore("zero-filled space", segmentBytes: 256 << 10) { run in
            try run.open()
            try run.append(run.payloads(1, bytes: 40_000))
            try run.append(run.payloads(2, bytes: 500))
            try run.append(run.payloads(2, bytes: 500))
        }
    }

    @Test func payloadsThatHoldTheLogItself() {
        explore("copies of frames") { run in
            try run.open()
            try run.append(run.payloads(2, bytes: 50))
            for _ in 0..<2 {
                let path = Exploration.directory.appending(SegmentName.activeName)
                try run.append([run.disk.state.bytes(path) ?? []])
            }
            try run.append(run.payloads(2, bytes: 50))
        }
    }
}
