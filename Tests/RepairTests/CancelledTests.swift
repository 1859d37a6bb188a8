import Inspection
import Repair
import SystemPackage
import Testing
import WALTestSupport

@testable import WAL

/// What was not looked at has no verdict: nobody may take it for a good one.
@Suite struct CancelledTests {
    /// Three topics, of which each has a torn tail.
    private func bench() -> RepairBench {
        let bench = RepairBench([])
        for name in ["a", "b", "orders"] {
            var segment = SegmentBuilder()
            segment.add(TestMessage("one"))
            segment.add(TestMessage("torn"))
            segment.bytes.removeLast(3)
            let directory = RepairBench.data.appending("topics").appending(name)
            bench.disk.putDirectory(directory)
            bench.disk.put(segment.bytes, at: directory.appending(SegmentName.activeName))
        }
        return bench
    }

    /// Says yes from the given question on.
    private final class After {
        private var left: Int
        init(_ questions: Int) { left = questions }
        func callAsFunction() -> Bool {
            left -= 1
            return left < 0
        }
    }

    private func expectOnlyTheFirstWasExamined(_ report: InspectionReport) {
        #expect(report.topics.map(\.topic) == ["a", "b", "orders"])
        #expect(report.topics.map(\.isCancelled) == [false, true, true])
        #expect(report.topics.map(\.verdict) == [.torn, .error, .error])
        #expect(report.verdict == .error)
        for topic in report.topics.dropFirst() {
            #expect(topic.errorText?.contains("cancelled") == true)
            #expect(topic.exitBits == .cancelled)
        }
    }

    @Test func aCheckSaysWhichTopicsItDidNotComeTo() throws {
        let bench = bench()
        let cancelled = After(1)
        let outcome = Repair(
            try bench.target(), mode: .all, on: bench.storage, now: RepairBench.now
        ).check(isCancelled: { cancelled() })
        expectOnlyTheFirstWasExamined(outcome.report)
        #expect(outcome.bits == [.uncorrected, .cancelled])
    }

    @Test func aRepairDoesWhatItCameToAndSaysSo() throws {
        let bench = bench()
        let before = bench.files
        let cancelled = After(1)
        let outcome = Repair(
            try bench.target(), mode: .all, on: bench.storage, now: RepairBench.now
        ).run(isCancelled: { cancelled() })
        expectOnlyTheFirstWasExamined(outcome.report)
        #expect(outcome.bits == [.corrected, .cancelled])
        let changed = bench.files.filter { before[$0.key] != $0.value }.keys
        #expect(!changed.isEmpty && changed.allSatisfy { $0.hasPrefix("/data/topics/a/") })
    }

    @Test func aCancelledPreenChangesNothing() throws {
        let bench = bench()
        let before = bench.files
        let cancelled = After(1)
        let outcome = Repair(
            try bench.target(), mode: .preen, on: bench.storage, now: RepairBench.now
        ).run(isCancelled: { cancelled() })
        expectOnlyTheFirstWasExamined(outcome.report)
        #expect(outcome.bits == [.uncorrected, .cancelled])
        #expect(bench.files == before)
    }

    @Test func theTextSaysOfHowManyNothingWasDecided() throws {
        let bench = bench()
        let cancelled = After(1)
        let outcome = Repair(
            try bench.target(), mode: .all, on: bench.storage, now: RepairBench.now
        ).check(isCancelled: { cancelled() })
        var text = ""
        ReportText.render(outcome.report, quiet: false) {
            text += String(decoding: $0, as: UTF8.self)
        }
        #expect(text.contains("b: error: not examined"))
        #expect(
            text.hasSuffix(
                "/data: 3 topics, 1 with findings worse than a remark, 2 of which nothing was "
                    + "decided; worst verdict error\n"))
    }
}
