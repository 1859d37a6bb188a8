import Testing
import TestSupport

@testable import WAL

/// Where readers begin, and what knowing that costs.
@Suite struct SparseIndexTests {
    @Test func theSparseIndexPointsAtOrBeforeEveryIDAndNotFarBefore() {
        var index = SparseIndex()
        var offset: UInt64 = 38
        var places: [(id: UInt64, offset: UInt64)] = []
        var random = Seeded(31)
        for id: UInt64 in 100..<3000 {
            index.note(id: id, offset: offset)
            places.append((id, offset))
            offset += UInt64.random(in: 38...5000, using: &random)
        }
        for place in places {
            let found = index.offset(of: place.id)
            #expect(found <= place.offset)
            #expect(place.offset - found < SparseIndex.intervalBytes + 5000)
            #expect(places.contains { $0.offset == found })
        }
        #expect(index.offset(of: 0) == 0)
        #expect(SparseIndex().offset(of: 7) == 0)
    }

    @Test func theIndexOfALogAbove16MiBIsAtMostAThousandthOfIt() {
        // Of the smallest frames the most entries fit a log: of those within an interval all but
        // the first are passed over.
        let frame = FrameLayout.smallestFrame
        let step = (Int(SparseIndex.intervalBytes) + frame - 1) / frame * frame
        var index = SparseIndex()
        var (entries, worst) = (0, 0.0)
        for offset in stride(from: frame, to: 64 << 20, by: step) {
            for at in [offset, offset + frame, offset + step - frame] {
                index.note(id: UInt64(at / frame), offset: UInt64(at))
            }
            entries += 1
            // What the arrays have taken counts, and that is the most when they have just grown.
            if offset + step > 16 << 20 {
                worst = max(worst, Double(index.bytes) / Double(max(offset, 16 << 20)))
            }
        }
        #expect(worst <= 0.001, "\(worst)")
        #expect(worst > 0.0005, "half of them were empty at times")
        #expect(index.bytes >= 16 * entries && index.bytes < 2 * 16 * entries + 64)
        #expect(index.offset(of: .max) == UInt64(frame + (entries - 1) * step))
    }
}
