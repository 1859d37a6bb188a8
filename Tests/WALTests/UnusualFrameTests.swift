import Testing
import WALTestSupport

@testable import WAL

/// What a walk makes of what is no message: lost frames, zeros, newer frames, and frames that are
/// whole and break a rule.
@Suite struct UnusualFrameTests {
    // MARK: Lost frames

    @Test func lostFramesTakeTheirIDsAndTheirPlace() throws {
        for size in [38, 39, 45, 46, 47, 100, 5000] {
            let count: UInt64 = size < 46 ? 1 : 70
            var segment = SegmentBuilder()
            segment.add(numbered(0..<2))
            segment.addLost(count, frameBytes: size)
            segment.add(numbered(0..<1))
            let collector = SeenFrames()
            let found = try LogImage(segment).examine(visitor: collector)
            #expect(found.verdict == .clean)
            #expect(collector.ids == [0, 1, 2 + count])
            #expect(found.findings.map(\.lost) == [2...1 + count])
            #expect(found.nextID == 3 + count)
            #expect(found.segments[0].lostFrames == 1)
        }
    }

    @Test func aLogMayBeginWithALostFrame() throws {
        var segment = SegmentBuilder()
        segment.addLost(1 << 40)
        segment.add(numbered(0..<1))
        segment.addMark()
        let found = try LogImage(segment).examine()
        #expect(found.verdict == .clean)
        #expect(found.nextID == 1 << 40 + 1)
        #expect(found.durableBelow == 1 << 40 + 1)
    }

    @Test func behindALostFrameTheNextSegmentMayBeginFurtherOnAndNotBefore() throws {
        for gap in [-1, 0, 1, 1000] {
            for isLost in [true, false] {
                var first = SegmentBuilder()
                first.add(numbered(0..<2))
                if isLost { first.addLost(3) }
                let base = first.position &+ UInt64(bitPattern: Int64(gap))
                var second = SegmentBuilder(
                    firstID: first.nextID, base: base, timestamp: first.timestamp)
                second.add(numbered(0..<1))
                let found = try LogImage(first, second).examine()
                let fits = gap == 0 || isLost && gap > 0
                #expect(found.verdict == (fits ? .clean : .damaged), "gap \(gap), \(isLost)")
            }
        }
    }

    // MARK: Zeros

    @Test func zerosAtTheEndArePreallocatedSpaceHoweverMany() throws {
        for count in [1, 3, 4, 37, 38, 39, 4096, 300_000] {
            var segment = SegmentBuilder()
            segment.add(numbered(0..<2))
            let end = UInt64(segment.bytes.count)
            segment.bytes += [UInt8](repeating: 0, count: count)
            let found = try LogImage(segment).examine(knownDurable: 1)
            #expect(found.verdict == .zeroTail)
            #expect(found.nextID == 2)
            #expect(found.findings.map(\.offset) == [end])
            #expect(found.findings.map(\.length) == [UInt64(count)])
            // Not if something durable should be there.
            let beyond = try LogImage(segment).examine(knownDurable: 2)
            #expect(beyond.verdict == .damaged)
            #expect(beyond.findings.map(\.lost) == [2...2])
            // And one byte that is not zero makes it a tear.
            segment.bytes[segment.bytes.count - 1] = 1
            #expect(try LogImage(segment).examine().verdict == .torn)
        }
    }

    @Test func aSealedSegmentHasNoZerosBehindIt() throws {
        var first = SegmentBuilder()
        first.add(numbered(0..<2))
        var second = first.next()
        second.add(numbered(2..<3))
        let end = UInt64(first.bytes.count)
        first.bytes += [0]
        let found = try LogImage(first, second).examine()
        #expect(found.verdict == .damaged)
        #expect(found.kinds == [.zeroHole])
        #expect(found.findings[0].offset == end)
        #expect(found.findings[0].lost == nil)
        #expect(found.nextID == 3)
    }

    // MARK: Newer frames

    @Test func aNewerFrameAtTheStopOrBehindItRefusesTheLogWhateverElseIsWrong() throws {
        for index in 1...4 {
            for alsoTorn in [true, false] {
                var segment = SegmentBuilder()
                for number in 0..<4 { segment.add(numbered(number..<number + 1)) }
                let newer = segment.frames[index].range
                segment.bytes[newer.lowerBound + FrameLayout.presence] |= 0x20
                segment.bytes.mendCRC(newer)
                if alsoTorn { segment.bytes[segment.frames[1].range.upperBound - 1] ^= 1 }
                let isHit = alsoTorn && index == 1
                let found = try LogImage(segment).examine()
                if isHit {
                    #expect(found.verdict != .newer, "its crc does not hold")
                } else {
                    #expect(found.verdict == .newer)
                    #expect(found.kinds == [.unknownField])
                    #expect(found.findings[0].offset == UInt64(newer.lowerBound))
                }
            }
        }
    }

    @Test func aNewerFrameThatDoesNotStandWhereItSaysIsNoneAtAll() throws {
        var segment = SegmentBuilder()
        segment.add(numbered(0..<2))
        var newer = RawFrame(id: 2, position: segment.position + 1)
        newer.presence = 0x100
        segment.add(raw: newer.bytes, ids: 0)
        let found = try LogImage(segment).examine()
        #expect(found.verdict == .torn)
        #expect(found.nextID == 2)
    }

    @Test func aNewerMarkAtTheBeginningOfASegmentIsNewer() throws {
        for others in [0, 2] {
            var segment = SegmentBuilder(mark: false)
            var mark = RawFrame(id: 0, position: segment.position, presence: .mark)
            mark.presence |= 0x8000
            segment.add(raw: mark.bytes, ids: 0)
            segment.add(numbered(0..<others))
            let found = try LogImage(segment).examine()
            #expect(found.verdict == .newer)
            #expect(found.findings.map(\.offset) == [0])
        }
    }

    @Test func aNewerFrameCountsAsEvidenceByItsFixedFields() throws {
        var segment = SegmentBuilder()
        segment.add(numbered(0..<3))
        var newer = RawFrame(id: 3, position: segment.position)
        newer.presence = 0x10
        segment.add(raw: newer.bytes, ids: 0)
        #expect(try LogImage(segment).examine().durableBelow == 3)
    }

    // MARK: Whole but invalid

    @Test func aWholeFrameInItsPlaceThatBreaksARuleIsDamageEvenAtTheVeryEnd() throws {
        let key = Presence.key.rawValue
        let broken: [(UInt16, UInt32, UInt64, [UInt8])] = [
            (key, 0, 2, [0, 0]), (0, 3, 2, []), (8, 0, 2, [1]), (4, 1, 2, []), (12, 0, 2, []),
            (0, 0, 3, [7]), (0, 0, 1, [7]),
        ]
        for (presence, index, id, body) in broken {
            var segment = SegmentBuilder()
            segment.add(numbered(0..<2))
            var frame = RawFrame(id: id, position: segment.position, commitIndex: index)
            frame.presence = presence
            frame.body = body
            segment.add(raw: frame.bytes, ids: 0)
            let found = try LogImage(segment).examine()
            #expect(found.verdict == .damaged, "\(presence) \(index) \(id)")
            // The same bytes where they do not belong are a tear.
            frame.position += 4
            segment.bytes.replaceSubrange(segment.frames[3].range, with: frame.bytes)
            #expect(try LogImage(segment).examine().verdict == .torn)
        }
    }
}
