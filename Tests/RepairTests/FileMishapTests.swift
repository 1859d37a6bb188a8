import Foundation
import Inspection
import SystemPackage
import Testing
import TestSupport
import WALTestSupport

@testable import Repair
@testable import WAL

/// Whole files renamed, copied, swapped, deleted and cut, and bits and bytes changed beside: what a
/// check shows before a repair is there after it, or the repair says that it gives it up.
@Suite struct FileMishapTests {
    #if DEBUG
        private static let images = isLongRun ? 5000 : 300
    #else
        private static let images = isLongRun ? 100_000 : 3000
    #endif

    private struct Mishap {
        var files: [String: [UInt8]] = [:]
        var story: [String] = []
        private var end: UInt64 = 0

        init(seed: UInt64) {
            var random = Seeded(seed)
            build(&random)
            let isWhole = Bool.random(using: &random)
            for _ in 0..<Int.random(in: 1...(isWhole ? 2 : 4), using: &random) {
                isWhole ? happen(&random) : spoil(&random)
            }
        }

        private mutating func build(_ random: inout Seeded) {
            let first: UInt64 = Int.random(in: 0..<4, using: &random) == 0 ? 100 : 0
            var segment = SegmentBuilder(firstID: first, base: 1000)
            let count = Int.random(in: 2...5, using: &random)
            for number in 1...count {
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    let times = Int.random(in: 0...20, using: &random)
                    let text = String(repeating: "m\(segment.nextID) ", count: times)
                    segment.add(TestMessage(text))
                }
                if number < count {
                    files[segment.name] = segment.bytes
                    segment = segment.next()
                }
            }
            if Bool.random(using: &random) { segment.addMark() }
            files[SegmentName.activeName] = segment.bytes
            end = segment.nextID
        }

        private func anyFile(_ random: inout Seeded) -> String {
            files.keys.sorted().randomElement(using: &random) ?? SegmentName.activeName
        }

        private mutating func happen(_ random: inout Seeded) {
            let file = anyFile(&random)
            let id = UInt64.random(in: 0...end + 5, using: &random)
            let isActive = Int.random(in: 0..<7, using: &random) == 0
            let name = isActive ? SegmentName.active : SegmentName.sealed(first: id)
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                story.append("rename \(file) to \(name.fileName)")
                files[name.fileName] = files.removeValue(forKey: file)
            case 1:
                story.append("copy \(file) to \(name.fileName)")
                files[name.fileName] = files[file]
            case 2:
                let other = anyFile(&random)
                story.append("swap \(file) and \(other)")
                (files[file], files[other]) = (files[other], files[file])
            case 3 where files.count > 1:
                story.append("delete \(file)")
                files[file] = nil
            default: cut(file, &random)
            }
        }

        private mutating func spoil(_ random: inout Seeded) {
            let file = anyFile(&random)
            let size = files[file]?.count ?? 0
            let kind = Int.random(in: 0..<8, using: &random)
            guard size > 0, kind > 2 else { return cut(file, &random) }
            let at = Int.random(in: 0..<size, using: &random)
            switch kind {
            case 3 where files.count > 1:
                story.append("delete \(file)")
                files[file] = nil
            case 4:
                let last = min(size, at + Int.random(in: 1...200, using: &random))
                story.append("zeros in \(file), \(at)..<\(last)")
                for index in at..<last { files[file]?[index] = 0 }
            default:
                story.append("flip in \(file) at \(at)")
                files[file]?[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
        }

        private mutating func cut(_ file: String, _ random: inout Seeded) {
            let size = Int.random(in: 0...(files[file]?.count ?? 0), using: &random)
            story.append("cut \(file) to \(size)")
            files[file] = files[file].map { Array($0[..<size]) }
        }
    }

    private final class Witness: SurveyVisitor {
        var frames: [UInt64: [UInt8]] = [:]
        func frame(_ frame: DecodedFrame, bytes: RawSpan, file: String, at offset: UInt64) {
            if frame.isMessage { frames[frame.fields.id] = bytes.copied() }
        }
        func frame(go message: borrowing GoMessage) {}
        func finding(_ finding: Finding) {}
    }

    /// The frames of all messages by id, as toymq-dump would print them.
    private func shown(_ bench: RepairBench) throws -> [UInt64: [UInt8]] {
        let witness = Witness()
        for topic in try bench.target().topics {
            _ = TopicSurvey(topic, on: bench.storage).run(visitor: witness)
        }
        return witness.frames
    }

    /// What is wrong with the repair of one image; nil if nothing is.
    private func wrong(_ mishap: Mishap) throws -> String? {
        let bench = RepairBench(mishap.files.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        let before = bench.files
        let shown = try shown(bench)
        let outcome = try bench.repair()
        if !outcome.problems.isEmpty { return "\(outcome.problems)" }
        let repaired = bench.files
        let left = try self.shown(bench)
        for (id, frame) in left where shown[id] != frame { return "message \(id) appears" }
        let named = outcome.report.topics[0].findings.compactMap(\.lost)
        let gone = shown.keys.filter { left[$0] == nil }.sorted()
        let silent = gone.filter { id in !named.contains { $0.contains(id) } }
        if !silent.isEmpty { return "\(silent) are gone, named are \(named)" }
        if !gone.isEmpty, !outcome.bits.contains(.messagesLost) { return "\(outcome.bits)" }
        let again = try bench.check()
        if !again.exitBits.isEmpty { return "after: \(again.topics[0].findings)" }
        if try !bench.repair().bits.isEmpty || bench.files != repaired {
            return "a second repair acts"
        }
        if let kept = outcome.keptIn {
            _ = try Undo(kept, on: bench.storage).run()
            if bench.files != before { return "not undone" }
        }
        return nil
    }

    @Test func whatACheckShowsIsKeptOrNamed() throws {
        var failures = 0
        // The same each time, so that a change shows; new ones in a long run.
        let first = isLongRun ? UInt64.random(in: 0...1 << 40) : 1
        for seed in first..<first + UInt64(FileMishapTests.images) {
            let mishap = Mishap(seed: seed)
            guard let wrong = try wrong(mishap) else { continue }
            Issue.record("seed \(seed): \(wrong); \(mishap.story)")
            failures += 1
            if failures == 10 { return }
        }
    }
}
