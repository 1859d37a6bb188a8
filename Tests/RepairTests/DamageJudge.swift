import DataDirectory
import Inspection
import SystemPackage
import WALTestSupport

@testable import Repair
@testable import WAL

/// Holds the check, the repair and the undoing of a damaged log against what the model knows.
struct DamageJudge {
    let log: DamagedLog

    /// What is wrong; nil if nothing is.
    func wrong() throws -> String? {
        let bench = RepairBench(LogImage(files: log.files), acked: log.acked)
        let before = bench.files
        let check = try bench.check()
        if bench.files != before { return "checking wrote" }
        if let wrong = try judge(check) ?? judgePreen(check) { return wrong }
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
        if let wrong = judge(try frames(bench)) { return wrong }
        if let kept = outcome.keptIn {
            _ = try Undo(kept, on: bench.storage).run()
            if bench.files != before { return "not undone" }
            _ = try bench.repair()
            if bench.files != repaired { return "another repair gives another log" }
        }
        return judge(try bench.messagesThenAppend())
    }

    /// The verdict and the exit code of the check.
    private func judge(_ check: InspectionReport) -> String? {
        let expected = log.mayBeTorn && check.verdict == .torn ? .torn : log.verdict
        if check.verdict != expected { return "\(check.verdict) instead of \(expected)" }
        let bits = check.exitBits
        if bits.contains(.uncorrected) != (expected > .zeroTail) { return "bits \(bits)" }
        if bits.contains(.messagesLost) == log.losesDurable || log.mayBeSaved { return nil }
        if bits.contains(.messagesLost), log.losesEndOfSealed || log.endIsUntold { return nil }
        // As many as there was room for are called lost, rather too many than too few; and of
        // bytes that were taken away nothing is left to tell.
        if log.isWithoutBeginning, !log.losesDurable || !log.moved.isEmpty { return nil }
        return "durable messages lost: \(log.losesDurable), bits \(bits)"
    }

    /// Preening does what opening would do, and nothing where there is anything worse.
    private func judgePreen(_ check: InspectionReport) throws -> String? {
        let bench = RepairBench(LogImage(files: log.files), acked: log.acked)
        let before = bench.files
        let outcome = try bench.repair(.preen)
        if check.verdict == .damaged {
            let isUntouched = bench.files == before && outcome.bits == check.exitBits
            return isUntouched ? nil : "preened what is damaged: \(outcome.bits)"
        }
        return try bench.check().exitBits.isEmpty
            ? nil : "preened, and \(try bench.check().verdict)"
    }

    /// The frames of all messages, with the segment that each is in.
    private func frames(_ bench: RepairBench) throws -> [(file: String, bytes: [UInt8])] {
        let witness = Witness()
        for topic in try bench.target().topics {
            _ = TopicSurvey(topic, on: bench.storage).run(visitor: witness)
        }
        return witness.frames
    }

    private func judge(_ seen: [(file: String, bytes: [UInt8])]) -> String? {
        let written = Set(log.written.map(\.frame))
        for (file, bytes) in seen where !written.contains(bytes) {
            return "a frame of \(bytes.count) bytes in \(file) was never written there"
        }
        let there = Set(seen.map(\.bytes))
        for frame in log.mustKeep where !there.contains(frame.frame) {
            return "message \(frame.id) was whole and is gone"
        }
        return nil
    }

    /// What the log itself gives when it is opened.
    private func judge(_ seen: [UInt64: [UInt8]]) -> String? {
        let messages = log.written.compactMap { frame in frame.payload.map { (frame.id, $0) } }
        let payloads = Dictionary(messages, uniquingKeysWith: { first, _ in first })
        for (id, payload) in seen where payloads[id] != payload {
            return "message \(id) is read and was never written"
        }
        for frame in log.mustKeep where seen[frame.id] != frame.payload {
            return "message \(frame.id) is not read"
        }
        return nil
    }

    private final class Witness: SurveyVisitor {
        var frames: [(file: String, bytes: [UInt8])] = []
        func frame(_ frame: DecodedFrame, bytes: RawSpan, file: String, at offset: UInt64) {
            if frame.isMessage { frames.append((file, bytes.copied())) }
        }
        func frame(go message: borrowing GoMessage) {}
        func finding(_ finding: Finding) {}
    }
}
