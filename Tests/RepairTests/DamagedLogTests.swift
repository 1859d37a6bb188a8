import DataDirectory
import Foundation
import Inspection
import SystemPackage
import Testing
import WALTestSupport

@testable import Repair
@testable import WAL

/// Logs damaged at random, against a model that knows what was written.
@Suite struct DamagedLogTests {
    #if DEBUG
        private static let images: UInt64 = isLongRun ? 3000 : 100
    #else
        private static let images: UInt64 = isLongRun ? 100_000 : 1000
    #endif

    /// What is wrong with one image; nil if nothing is.
    private func judge(_ seed: UInt64) throws -> String? {
        let log = DamagedLog(seed: seed)
        if log.isUndecidable { return nil }
        let bench = RepairBench(LogImage(files: log.files), acked: log.acked)
        let before = bench.files
        let check = try bench.check()
        if bench.files != before { return "checking wrote" }
        let isDamaged = check.verdict == .damaged
        if log.losesDurable, !isDamaged { return "durable messages are gone: \(check.verdict)" }
        let outcome = try bench.repair()
        if !outcome.problems.isEmpty { return "\(outcome.problems)" }
        let isBad = check.exitBits.contains(.uncorrected)
        if outcome.bits.contains(.corrected) != isBad { return "bits \(outcome.bits)" }
        if outcome.bits.contains(.messagesLost) != check.exitBits.contains(.messagesLost) {
            return "\(outcome.bits) after \(check.exitBits)"
        }
        let repaired = bench.files
        let again = try bench.check()
        if !again.exitBits.isEmpty { return "after: \(again.topics[0].findings)" }
        let second = try bench.repair()
        if !second.bits.isEmpty || bench.files != repaired { return "a second repair acts" }
        if let kept = outcome.keptIn {
            _ = try Undo(kept, on: bench.storage).run()
            if bench.files != before { return "not undone" }
            _ = try bench.repair()
            if bench.files != repaired { return "another repair gives another log" }
        }
        return compare(try bench.messagesThenAppend(), log)
    }

    private func compare(_ seen: [UInt64: [UInt8]], _ log: DamagedLog) -> String? {
        let payloads = log.payloads
        for (id, payload) in seen where payloads[id] != payload {
            return "message \(id) was never written there"
        }
        for (id, payload) in log.mustKeep where seen[id] != payload {
            return "message \(id) was whole and is gone"
        }
        return nil
    }

    /// Plays one seed again, with all that is known of it: TOYMQ_SEED.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["TOYMQ_SEED"] != nil))
    func oneSeed() throws {
        let text = ProcessInfo.processInfo.environment["TOYMQ_SEED"] ?? ""
        let seed = try #require(UInt64(text))
        let log = DamagedLog(seed: seed)
        print(log.story, log.acked as Any, "durable below", log.durableBelow)
        for file in log.files { print(file.name, file.bytes.count) }
        let whole = Set(log.whole.map(\.range))
        for frame in log.written {
            print(
                frame.file, frame.range, "id", frame.id, frame.ids == 0 ? "mark" : "",
                "commit", frame.commit, whole.contains(frame.range) ? "" : "DAMAGED")
        }
        let bench = RepairBench(LogImage(files: log.files), acked: log.acked)
        for topic in try bench.check().topics { for finding in topic.findings { print(finding) } }
        let outcome = try bench.repair()
        print(outcome.problems, outcome.report.actions)
        for topic in try bench.check().topics { for finding in topic.findings { print(finding) } }
        #expect(try judge(seed) == nil)
    }

    @Test func everyWholeFrameIsSavedAndNothingElse() throws {
        var failures = 0
        // The same each time, so that a change shows; new ones in a long run. A failure prints it.
        let first = isLongRun ? UInt64.random(in: 0...1 << 40) : 1
        for number in 0..<DamagedLogTests.images {
            let seed = first + number
            var wrong: String?
            do { wrong = try judge(seed) } catch { wrong = "\(error)" }
            if let wrong {
                Issue.record("seed \(seed): \(wrong); \(DamagedLog(seed: seed).story)")
                failures += 1
                if failures == 10 { return }
            }
        }
    }
}
