import Foundation
import Inspection
import SystemPackage
import Testing
import WALTestSupport

@testable import Repair
@testable import WAL

/// Logs damaged at random, against a model that knows what was written.
@Suite struct DamagedLogTests {
    // 1,000 are asked for, of a debug build too: a minute of one core there.
    #if DEBUG
        private static let images = isLongRun ? 3000 : isSanitized ? 100 : 1000
    #else
        private static let images = isLongRun ? 100_000 : 1000
    #endif
    /// Played side by side.
    private static let lots: UInt64 = 8

    /// What is wrong with one image; nil if nothing is.
    private func judge(_ log: DamagedLog) -> String? {
        do { return try DamageJudge(log: log).wrong() } catch { return "\(error)" }
    }

    /// Plays one seed again, with all that is known of it: TOYMQ_SEED.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["TOYMQ_SEED"] != nil))
    func oneSeed() throws {
        let text = ProcessInfo.processInfo.environment["TOYMQ_SEED"] ?? ""
        let log = DamagedLog(seed: try #require(UInt64(text)))
        print(log.story, log.acked as Any, "durable below", log.durableBelow, log.verdict)
        for file in log.files { print(file.name, file.bytes.count) }
        let whole = Set(log.whole.map { "\($0.file) \($0.range)" })
        for frame in log.written {
            print(
                frame.file, frame.range, "id", frame.id, frame.ids == 0 ? "mark" : "",
                "commit", frame.commit,
                whole.contains("\(frame.file) \(frame.range)") ? "" : "DAMAGED")
        }
        let bench = RepairBench(LogImage(files: log.files), acked: log.acked)
        for topic in try bench.check().topics { for finding in topic.findings { print(finding) } }
        let outcome = try bench.repair()
        print(outcome.problems, outcome.report.actions)
        for topic in try bench.check().topics { for finding in topic.findings { print(finding) } }
        #expect(judge(log) == nil)
    }

    @Test(arguments: 0..<lots)
    func everyWholeFrameIsSavedAndNothingElse(lot: UInt64) {
        var failures = 0
        var judged = 0
        // The same each time, so that a change shows; new ones in a long run. A failure prints it.
        var seed = isLongRun ? UInt64.random(in: 0...1 << 40) : 1 + lot
        while judged < DamagedLogTests.images / Int(DamagedLogTests.lots) {
            let log = DamagedLog(seed: seed)
            defer { seed += DamagedLogTests.lots }
            if log.isUndecidable { continue }
            judged += 1
            if let wrong = judge(log) {
                Issue.record("seed \(seed): \(wrong); \(log.story)")
                failures += 1
                if failures == 10 { return }
            }
        }
    }
}
