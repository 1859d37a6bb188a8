import Inspection
import Testing
import WALTestSupport

@testable import Repair
@testable import WAL

/// Gaps that no frame fits, and that no broker can leave: whole frames give way. The check says so
/// in words; a message that is there is not lost before a repair gives it up.
@Suite struct OddGapTests {
    /// Two messages, so many bytes that are nothing for so many ids, and two messages.
    private func bench(gap: Int, ids: UInt64 = 0, markBefore: Bool = false) -> RepairBench {
        var segment = SegmentBuilder()
        segment.add(TestMessage("zero"))
        segment.add(TestMessage("one"))
        if markBefore { segment.addMark() }
        segment.add(raw: [UInt8](repeating: 0x99, count: gap), ids: ids)
        segment.add(TestMessage("behind"))
        segment.add(TestMessage("behind that"))
        segment.addMark()
        return RepairBench(LogImage(segment))
    }

    /// Checks, repairs, and gives what the repair says is lost and the ids that are left.
    private func play(
        _ bench: RepairBench, losesMessages: Bool, at location: SourceLocation = #_sourceLocation
    ) throws -> (lost: [ClosedRange<UInt64>], left: [UInt64]) {
        let before = bench.files
        let check = Repair(
            try bench.target(), mode: .all, on: bench.storage, now: RepairBench.now
        ).check()
        #expect(bench.files == before, sourceLocation: location)
        let found = check.report.topics[0].findings
        let isLost = found.contains { $0.severity == .damage && $0.lost != nil }
        #expect(
            check.bits == (isLost ? [.messagesLost, .uncorrected] : .uncorrected),
            sourceLocation: location)
        // Nothing is changed by a run that finds worse than it mends, and it tells the same.
        let preen = try bench.repair(.preen)
        #expect(preen.bits == check.bits, sourceLocation: location)
        #expect(preen.report.topics[0].findings == found)
        let repair = try bench.repair()
        let lossBits: ExitBits = losesMessages ? .messagesLost : []
        #expect(repair.bits == lossBits.union(.corrected), sourceLocation: location)
        let told = repair.report.topics[0].findings
        #expect(
            told.map(\.detail).starts(with: found.map(\.detail)), sourceLocation: location)
        #expect(try bench.check().exitBits == [], sourceLocation: location)
        return (
            told.compactMap(\.lost),
            try bench.messagesThenAppend().keys.sorted()
        )
    }

    @Test(arguments: [1, 10, 37, 39, 60, 75, 77, 100])
    func whereNoIDIsGoneOnlyMarksFit(bytes: Int) throws {
        let (lost, left) = try play(bench(gap: bytes), losesMessages: true)
        #expect(lost == [2...2])
        #expect(left == [0, 1, 3])
    }

    @Test(arguments: [38, 76, 380])
    func marksFillWhatTheyFit(bytes: Int) throws {
        let (lost, left) = try play(bench(gap: bytes), losesMessages: false)
        #expect(lost.isEmpty)
        #expect(left == [0, 1, 2, 3])
    }

    @Test(arguments: [(2, 3), (20, 3), (45, 3), (45, 2), (37, 1)] as [(Int, UInt64)])
    func aLostFrameNeedsRoom(bytes: Int, ids: UInt64) throws {
        let (lost, left) = try play(bench(gap: bytes, ids: ids), losesMessages: true)
        #expect(lost == [2...ids + 2])
        #expect(left == [0, 1, ids + 3])
    }

    @Test func oneMessageMayNotBeEnough() throws {
        // A frame of 44 bytes and one more are too few for four ids.
        let (lost, left) = try play(bench(gap: 1, ids: 3), losesMessages: true)
        #expect(lost == [2...6])
        #expect(left == [0, 1])
    }

    @Test(arguments: [(46, 3), (38, 1), (39, 1), (77, 1)] as [(Int, UInt64)])
    func whereAnIDIsGoneAnyLengthFromThatOnFits(bytes: Int, ids: UInt64) throws {
        let (lost, left) = try play(bench(gap: bytes, ids: ids), losesMessages: true)
        #expect(lost == [2...ids + 1])
        #expect(left == [0, 1, ids + 2, ids + 3])
    }

    @Test func aMarkBeforeTheGapGivesWayBeforeAMessage() throws {
        let (lost, left) = try play(
            bench(gap: 20, ids: 3, markBefore: true), losesMessages: true)
        #expect(lost == [2...4])
        #expect(left == [0, 1, 5, 6])
    }
}
