import Inspection
import Testing
import TestSupport
import WALTestSupport

@testable import Repair
@testable import WAL

/// Frames of exactly a given length for given ids.
@Suite struct GapFillTests {
    private func check(bytes: UInt64, ids: UInt64) {
        let place = FrameEncoder.Place(id: 7, position: 1000, timestamp: 5)
        guard let pieces = GapFill.pieces(bytes: bytes, ids: ids, at: place) else {
            let smallest = ids == 0 ? nil : ids == 1 ? UInt64(38) : 46
            #expect(smallest.map { bytes < $0 } ?? (bytes % 38 != 0), "\(bytes), \(ids)")
            return
        }
        var at = place
        for piece in pieces {
            switch piece {
            case .lost(let count, let size, let here):
                #expect(here == at)
                #expect((38...FrameLayout.largestFrame).contains(size), "\(bytes), \(ids)")
                #expect(count == 1 || size >= 46, "\(bytes), \(ids)")
                at.id += count
            case .marks(let count, let here):
                #expect(here == at)
                #expect(count > 0)
            case .kept: Issue.record("nothing is kept in a gap")
            }
            at.position += piece.bytes
        }
        #expect(at.position == 1000 + bytes, "\(bytes), \(ids)")
        #expect(at.id == 7 + ids, "\(bytes), \(ids)")
    }

    @Test func everyLengthThatIsPossibleIsFilledExactly() {
        for bytes: UInt64 in 0...200 { for ids: UInt64 in 0...4 { check(bytes: bytes, ids: ids) } }
        let largest = UInt64(FrameLayout.largestFrame)
        for frames: UInt64 in 1...3 {
            for more in [-50, -46, -39, -38, -1, 0, 1, 37, 38, 39, 45, 46, 47, 76, 1000] {
                let bytes = UInt64(Int64(frames * largest) + Int64(more))
                for ids: UInt64 in [1, 2, 3, 4, 5, 1000, 1 << 60] { check(bytes: bytes, ids: ids) }
            }
        }
    }

    @Test func aGapLargerThanAFrameMayBeIsReadAsValidFrames() throws {
        // A hole of more than 4 MiB in a segment, seen through the plan only.
        var random = Seeded(3)
        var segment = SegmentBuilder()
        segment.add(TestMessage("before"))
        for _ in 0..<2 { segment.add(TestMessage(random.bytes(2_100_000))) }
        segment.add(TestMessage("behind"))
        segment.addMark()
        let hole = segment.frames[2].range.lowerBound..<segment.frames[3].range.upperBound
        segment.bytes.replaceSubrange(hole, with: [UInt8](repeating: 0, count: hole.count))
        let bench = RepairBench(LogImage(segment))
        #expect(try bench.repair().bits == [.corrected, .messagesLost])
        let report = try bench.check()
        #expect(report.exitBits == [])
        #expect(report.topics[0].findings.filter { $0.kind == .lost }.count == 2)
        #expect(try bench.messagesThenAppend().keys.sorted() == [0, 3])
    }
}
