import DataDirectory
import Inspection
import Repair
import SystemPackage
import Testing
import WALTestSupport

@testable import WAL

/// One segment file of a topic as PATH: what is said of it and done to it, with the others as
/// evidence.
@Suite struct OneSegmentTests {
    /// Three segments of three messages each, the last with its closing mark.
    private struct Three {
        var segments: [SegmentBuilder]

        init() {
            var first = SegmentBuilder()
            first.add([TestMessage("0"), TestMessage("1"), TestMessage("2")])
            var second = first.next()
            second.add([TestMessage("3"), TestMessage("4"), TestMessage("5")])
            var third = second.next()
            for number in 6..<9 { third.add(TestMessage("\(number)")) }
            third.addMark()
            segments = [first, second, third]
        }

        /// The message that the segment begins with rots.
        mutating func damage(_ number: Int) {
            segments[number].bytes[segments[number].frames[1].range.upperBound - 1] ^= 1
        }

        /// The message that the segment begins with is one of a later version.
        mutating func renew(_ number: Int) {
            let range = segments[number].frames[1].range
            segments[number].bytes[range.lowerBound + FrameLayout.presence] |= 0x10
            segments[number].bytes.mendCRC(range)
        }

        mutating func tear() { segments[2].bytes.removeLast(5) }

        func bench(_ more: [(name: String, bytes: [UInt8])] = []) -> RepairBench {
            RepairBench(LogImage(segments[0], segments[1], segments[2]), more)
        }

        static func path(_ number: Int) -> FilePath {
            let names = [SegmentName.sealed(first: 0), .sealed(first: 3), .active]
            return names[number].path(in: RepairBench.directory)
        }
    }

    private static let badOffsets: (name: String, bytes: [UInt8]) =
        (DataLayout.offsetsName, [1, 2, 3])

    private final class Ids: SurveyVisitor {
        var messages: [UInt64] = []
        var findings: [FindingKind] = []
        func frame(_ frame: DecodedFrame, bytes: RawSpan, file: String, at offset: UInt64) {
            if frame.isMessage { messages.append(frame.fields.id) }
        }
        func frame(go message: borrowing GoMessage) {}
        func finding(_ finding: Finding) { findings.append(finding.kind) }
    }

    /// What a visitor sees, as toymq-dump does.
    private func seen(_ bench: RepairBench, _ path: FilePath) throws -> Ids {
        let ids = Ids()
        let topic = try #require(try bench.target(path).topics.first)
        _ = TopicSurvey(topic, on: bench.storage, keeping: .none).run(visitor: ids)
        return ids
    }

    private func only(_ report: InspectionReport) throws -> TopicReport {
        try #require(report.topics.first)
    }

    // MARK: A newer frame in another file

    @Test(arguments: [(1, 2), (0, 1), (1, 0), (0, 2)])
    func damageIsToldAlsoWhereAnotherFileHoldsANewerFrame(damaged: Int, newer: Int) throws {
        var three = Three()
        three.damage(damaged)
        three.renew(newer)
        let bench = three.bench()
        let path = Three.path(damaged)
        let gone = UInt64(damaged * 3)
        let before = bench.disk.allFiles
        let check = try bench.check(path)
        let found = try only(check)
        #expect(found.verdict == .damaged)
        #expect(found.findings.map(\.kind) == [.badCRC])
        #expect(found.findings.first?.lost == gone...gone)
        #expect(check.exitBits == [.uncorrected, .messagesLost])
        // A repair would refuse: it is not the thing to do.
        let advice = try #require(found.findings.first?.advice(in: found))
        #expect(advice.contains("later version") && !advice.contains("--repair"))
        let dump = try seen(bench, path)
        #expect(dump.messages == [gone + 1, gone + 2])
        #expect(dump.findings == [.badCRC])
        for mode in [Repair.Mode.preen, .all] {
            let outcome = try bench.repair(mode, path)
            #expect(outcome.bits == [.uncorrected, .messagesLost])
            #expect(outcome.report.actions.isEmpty)
            #expect(bench.disk.allFiles == before)
        }
        #expect(
            try bench.repair(.all, path).problems.map(\.error) == [.newer(RepairBench.directory)])
        // Of the topic nothing is told behind the first place without a valid frame.
        let whole = try only(try bench.check())
        #expect(whole.verdict == .newer)
        #expect(whole.findings.map(\.kind) == [.unknownField])
        let other = try only(try bench.check(Three.path(newer)))
        #expect(other.verdict == .newer)
        #expect(other.findings.map(\.kind) == [.unknownField])
    }

    @Test(arguments: [0, 1])
    func aTornEndIsToldAlsoWhereAnotherFileHoldsANewerFrame(newer: Int) throws {
        var three = Three()
        three.renew(newer)
        three.tear()
        let bench = three.bench()
        let before = bench.disk.allFiles
        let path = Three.path(2)
        let check = try bench.check(path)
        let found = try only(check)
        #expect(found.verdict == .torn)
        #expect(found.findings.map(\.kind) == [.tornTail])
        #expect(check.exitBits == .uncorrected)
        let advice = try #require(found.findings.first?.advice(in: found))
        #expect(!advice.contains("deals with it"), "\(advice)")
        #expect(try seen(bench, path).messages == [6, 7, 8])
        for mode in [Repair.Mode.preen, .all] {
            let outcome = try bench.repair(mode, path)
            #expect(outcome.bits == .uncorrected)
            #expect(outcome.problems.map(\.error) == [.newer(RepairBench.directory)])
            #expect(bench.disk.allFiles == before)
        }
    }

    @Test func aVerdictThatIsNotGoodIsNeverExit0() {
        for verdict in [Verdict.torn, .damaged, .newer] {
            var report = TopicReport(topic: "t")
            report.verdict = verdict
            #expect(report.exitBits == .uncorrected)
        }
    }

    // MARK: offsets.json

    @Test(arguments: [0, 1, 2])
    func damageOfOffsetsIsToldWithEachSegment(number: Int) throws {
        let bench = Three().bench([OneSegmentTests.badOffsets])
        let path = Three.path(number)
        let check = try bench.check(path)
        #expect(try only(check).verdict == .damaged)
        #expect(try only(check).findings.map(\.kind) == [.offsetsDamaged])
        #expect(check.exitBits == .uncorrected)
        #expect(try seen(bench, path).findings == [.offsetsDamaged])
        #expect(try bench.repair(.all, path).bits == .corrected)
        #expect(bench.files["/data/topics/orders/offsets.json"] == nil)
        #expect(try bench.check().exitBits == [])
    }

    @Test func aTornEndIsNotCutWhileOffsetsAreDamaged() throws {
        var three = Three()
        three.tear()
        let bench = three.bench([OneSegmentTests.badOffsets])
        let before = bench.disk.allFiles
        let path = Three.path(2)
        let check = try bench.check(path)
        let found = try only(check)
        #expect(found.verdict == .damaged)
        #expect(found.findings.map(\.kind) == [.tornTail, .offsetsDamaged])
        #expect(check.exitBits == .uncorrected)
        let advice = try #require(found.findings.first?.advice(in: found))
        #expect(advice.contains("--repair") && advice.contains("refuses"))
        #expect(try bench.repair(.preen, path).bits == .uncorrected)
        #expect(bench.disk.allFiles == before)
        // A repair sets them aside, and then cuts.
        let outcome = try bench.repair(.all, path)
        #expect(outcome.bits == .corrected)
        #expect(outcome.report.actions.first?.file == DataLayout.offsetsName)
        #expect(bench.files["/data/topics/orders/offsets.json"] == nil)
        #expect(try bench.check().exitBits == [])
        _ = try Undo(try #require(outcome.keptIn), on: bench.storage).run()
        for (name, bytes) in before { #expect(bench.disk.allFiles[name] == bytes, "\(name)") }
    }

    // MARK: Preening

    @Test func preeningOneSegmentDoesOnlyWhatOpeningWouldDo() throws {
        var three = Three()
        three.tear()
        let path = Three.path(2)
        let sound = three.bench()
        let tail = try only(try sound.check(path))
        let advice = try #require(tail.findings.first?.advice(in: tail))
        #expect(advice.contains("opening the log deals with it"))
        #expect(try sound.repair(.preen, path).bits == .corrected)
        #expect(try sound.check().exitBits == [])

        three.damage(1)
        let bench = three.bench()
        let before = bench.disk.allFiles
        #expect(throws: OpenError.self) {
            try Log.open(RepairBench.directory, host: .on(bench.disk))
        }
        let refused = try only(try bench.check(path))
        let other = try #require(refused.findings.first?.advice(in: refused))
        #expect(!other.contains("opening the log deals with it"))
        let outcome = try bench.repair(.preen, path)
        #expect(outcome.bits == .uncorrected)
        #expect(outcome.problems.map(\.error) == [.refused(RepairBench.directory)])
        #expect(bench.disk.allFiles == before)
    }

    @Test func ofAFileThatNoLogHasOpeningIsNotSpokenOf() throws {
        var three = Three()
        three.tear()
        let bench = RepairBench([])
        bench.disk.put(three.segments[2].bytes, at: "/data/copy.log")
        let found = try only(try bench.check("/data/copy.log"))
        #expect(found.findings.map(\.kind) == [.tornTail])
        #expect(found.findings.first?.advice(in: found) == "toymq-fsck --preen deals with it")
    }
}
