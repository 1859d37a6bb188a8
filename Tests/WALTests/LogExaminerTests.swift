import Testing
import TestSupport
import WALTestSupport

@testable import WAL

/// Where a walk stops and what that means: evidence, commits that were torn, islands, lost frames,
/// zeros and newer frames.
@Suite struct LogExaminerTests {
    private final class Collector: ExaminationVisitor {
        var ids: [UInt64] = []
        var offsets: [UInt64] = []
        func frame(
            _ frame: DecodedFrame, bytes: RawSpan, segment: SegmentName, at offset: UInt64
        ) {
            if frame.isMessage { ids.append(frame.fields.id) }
            offsets.append(offset)
        }
    }

    private func messages(_ numbers: Range<Int>) -> [TestMessage] {
        numbers.map { TestMessage("message \($0)") }
    }

    private func kinds(_ found: Examination) -> [LogFinding.Kind] { found.findings.map(\.kind) }

    private final class Told: ExaminationVisitor {
        var kinds: [LogFinding.Kind] = []
        func finding(_ finding: LogFinding) { kinds.append(finding.kind) }
    }

    @Test func whatIsNotKeptIsToldAllTheSameAndChangesNoVerdict() throws {
        var segment = SegmentBuilder()
        segment.add(messages(0..<3))
        segment.addLost(2)
        segment.add(messages(5..<6))
        segment.addMark()
        segment.bytes[segment.frames[2].range.lowerBound + 36] ^= 1
        let image = LogImage(segment)
        let whole = try image.examine()
        #expect(kinds(whole) == [.badCRC, .lost])
        let cases: [(FindingsKept, [LogFinding.Kind])] = [
            (.all, [.badCRC, .lost]), (.allButRemarks, [.badCRC]), (.none, []),
        ]
        for (keeping, expected) in cases {
            let disk = image.disk()
            let told = Told()
            var examiner = LogExaminer(
                disk: disk, directory: LogImage.directory, knownDurable: nil, visitor: told,
                keeping: keeping)
            let found = try examiner.examine(SegmentListing(disk.list(LogImage.directory)))
            #expect(kinds(found) == expected)
            #expect(told.kinds == [.badCRC, .lost])
            #expect(found.verdict == whole.verdict && found.segments == whole.segments)
        }
    }

    @Test func anEmptyDirectoryIsACleanLogWithoutAnything() throws {
        let found = try LogImage(files: []).examine()
        #expect(found == Examination())
        #expect(found.activeSegment == nil)
    }

    @Test func aSoundLogIsWalkedWholeAndSummedUp() throws {
        var first = SegmentBuilder(firstID: 5)
        first.add(messages(0..<3))
        first.addMark()
        var second = first.next()
        second.add(messages(3..<4))
        second.add(messages(4..<6))
        let collector = Collector()
        let found = try LogImage(first, second).examine(visitor: collector)
        #expect(found.verdict == .clean)
        #expect(found.findings.isEmpty)
        #expect(collector.ids == [5, 6, 7, 8, 9, 10])
        #expect(found.nextID == 11)
        // The last commit has no witness.
        #expect(found.durableBelow == 9)
        #expect(found.unprovenFrom == UInt64(second.frames[2].range.lowerBound))
        #expect(found.endPosition == second.position)
        #expect(found.lastTimestamp == second.timestamp)
        #expect(found.segments.map(\.firstID) == [5, 8])
        #expect(found.segments.map(\.nextID) == [8, 11])
        #expect(found.segments.map(\.messages) == [3, 3])
        #expect(found.segments.map(\.base) == [first.base, second.base])
        #expect(found.segments.map(\.end) == [first, second].map { UInt64($0.bytes.count) })
        #expect(found.segments.map(\.endsInMark) == [true, false])
    }

    @Test func aMarkProvesEverythingBeforeItButNotItself() throws {
        var segment = SegmentBuilder()
        segment.add(messages(0..<3))
        segment.addMark()
        let found = try LogImage(segment).examine()
        #expect(found.durableBelow == 3)
        #expect(found.unprovenFrom == UInt64(segment.frames[4].range.lowerBound))
    }

    // MARK: Torn commits

    @Test func framesOfATornCommitBehindTheTearProveNothingAndGoWithIt() throws {
        // Whichever frames of the commit are gone: the log ends at the first of them.
        for gone in 1..<32 {
            var segment = SegmentBuilder()
            segment.add(messages(0..<2))
            segment.add(messages(2..<7))
            let commit = segment.frames.suffix(5)
            for (bit, frame) in commit.enumerated() where gone >> bit & 1 == 1 {
                segment.bytes.replaceSubrange(
                    frame.range, with: repeatElement(0, count: frame.range.count))
            }
            let torn = try #require(commit.first { segment.bytes[$0.range.lowerBound] == 0 })
            let found = try LogImage(segment).examine()
            let isAllZeros = segment.bytes[torn.range.lowerBound...].allSatisfy { $0 == 0 }
            #expect(found.verdict == (isAllZeros ? .zeroTail : .torn))
            #expect(found.nextID == torn.id)
            #expect(found.segments[0].end == UInt64(torn.range.lowerBound))
            #expect(kinds(found) == [isAllZeros ? .zeroTail : .tornTail])
        }
    }

    @Test func aFrameOfTheNextCommitMakesTheSameDamage() throws {
        for witness in [true, false] {
            for gone in 0..<5 {
                var segment = SegmentBuilder()
                segment.add(messages(0..<2))
                segment.add(messages(2..<7))
                if witness { segment.addMark() } else { segment.add(messages(7..<8)) }
                let frame = segment.frames[3 + gone]
                segment.bytes[frame.range.upperBound - 1] ^= 1
                let found = try LogImage(segment).examine()
                #expect(found.verdict == .damaged)
                #expect(kinds(found) == [.badCRC])
                #expect(found.findings[0].lost == frame.id...frame.id)
                #expect(found.nextID == (witness ? 7 : 8))
            }
        }
    }

    @Test func theWitnessAloneIsEnoughWhenTheWholeCommitIsGone() throws {
        var segment = SegmentBuilder()
        segment.add(messages(0..<2))
        segment.add(messages(2..<7))
        let start = segment.frames[3].range.lowerBound
        let end = segment.bytes.count
        segment.addMark()
        for zeros in [true, false] {
            var damaged = segment
            damaged.bytes.replaceSubrange(
                start..<end, with: repeatElement(zeros ? 0 : 0xEE, count: end - start))
            let found = try LogImage(damaged).examine()
            #expect(found.verdict == .damaged)
            #expect(kinds(found) == [zeros ? .zeroHole : .badLength])
            #expect(found.findings[0].lost == 2...6)
            #expect(found.findings[0].length == UInt64(end - start))
            #expect(found.nextID == 7)
        }
    }

    @Test func anAcknowledgedIDMakesATearDamageAndTheOneBeforeItDoesNot() throws {
        var segment = SegmentBuilder()
        segment.add(messages(0..<5))
        segment.bytes.removeLast(2)
        #expect(try LogImage(segment).examine(knownDurable: 3).verdict == .torn)
        let found = try LogImage(segment).examine(knownDurable: 4)
        #expect(found.verdict == .damaged)
        #expect(found.nextID == 5)
        #expect(found.findings.first?.lost == 4...4)
    }

    @Test func whatIsBehindAClosedGapIsJudgedAnew() throws {
        // Id 1 is damaged though durable; then 2 and 3 are sound; the commit of 4 to 6 is torn.
        var segment = SegmentBuilder()
        for number in 0..<4 { segment.add(messages(number..<number + 1)) }
        segment.add(messages(4..<7))
        segment.bytes[segment.frames[2].range.upperBound - 1] ^= 1
        let torn = segment.frames[6].range
        segment.bytes[torn.upperBound - 1] ^= 1
        let collector = Collector()
        let found = try LogImage(segment).examine(visitor: collector)
        #expect(found.verdict == .damaged)
        #expect(kinds(found) == [.badCRC, .tornTail])
        #expect(found.findings[1].offset == UInt64(torn.lowerBound))
        #expect(collector.ids == [0, 2, 3, 4])
        #expect(found.nextID == 5)
    }

    // MARK: Islands

    @Test func everySoundFrameBetweenDamagedOnesIsFound() throws {
        var random = Seeded(11)
        for round in 0..<200 {
            var segment = SegmentBuilder()
            for number in 0..<20 { segment.add(messages(number..<number + 1)) }
            segment.addMark()
            let damaged = (1...20).filter { _ in Int.random(in: 0..<3, using: &random) == 0 }
            for index in damaged {
                let range = segment.frames[index].range
                switch Int.random(in: 0..<3, using: &random) {
                case 0: segment.bytes[range.upperBound - 1] ^= 0x40
                case 1: segment.bytes[range.lowerBound + 1] ^= 0x80
                default:
                    segment.bytes.replaceSubrange(
                        range, with: repeatElement(0, count: range.count))
                }
            }
            let collector = Collector()
            let found = try LogImage(segment).examine(visitor: collector)
            let lost = damaged.map { UInt64($0 - 1) }
            #expect(found.verdict == (damaged.isEmpty ? .clean : .damaged), "round \(round)")
            #expect(collector.ids == (0..<20).filter { !lost.contains($0) }, "round \(round)")
            #expect(found.findings.flatMap { $0.lost.map(Array.init) ?? [] } == lost)
            #expect(found.nextID == 20)
            // Neighbours that are both damaged are one place.
            let places = damaged.filter { !damaged.contains($0 - 1) }.count
            #expect(found.findings.count == places)
        }
    }

    @Test func bytesThatWereInsertedOrRemovedLoseWhatTheyShiftAndNoMore() throws {
        for shift in [-3, -1, 1, 5, 38] {
            var segment = SegmentBuilder()
            for number in 0..<6 { segment.add(messages(number..<number + 1)) }
            segment.addMark()
            let at = segment.frames[3].range.lowerBound
            if shift > 0 {
                segment.bytes.insert(contentsOf: [UInt8](repeating: 9, count: shift), at: at)
            } else {
                segment.bytes.removeSubrange(at..<at - shift)
            }
            // Nothing behind stands where it says: no proof, so the contract calls it torn.
            let active = try LogImage(segment).examine()
            #expect(active.verdict == .torn, "\(shift)")
            #expect(active.nextID == 2)
            // In a sealed segment the same is damage.
            var next = SegmentBuilder(firstID: 6, base: segment.base + 10_000)
            next.add(messages(6..<7))
            let sealed = try LogImage(segment, next).examine()
            #expect(sealed.verdict == .damaged, "\(shift)")
            #expect(sealed.findings.first?.offset == UInt64(at))
            #expect(sealed.findings.first?.lost == 2...5)
            #expect(sealed.nextID == 7)
        }
    }

    // MARK: Lost frames

    @Test func lostFramesTakeTheirIDsAndTheirPlace() throws {
        for size in [38, 39, 45, 46, 47, 100, 5000] {
            let count: UInt64 = size < 46 ? 1 : 70
            var segment = SegmentBuilder()
            segment.add(messages(0..<2))
            segment.addLost(count, frameBytes: size)
            segment.add(messages(0..<1))
            let collector = Collector()
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
        segment.add(messages(0..<1))
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
                first.add(messages(0..<2))
                if isLost { first.addLost(3) }
                let base = first.position &+ UInt64(bitPattern: Int64(gap))
                var second = SegmentBuilder(
                    firstID: first.nextID, base: base, timestamp: first.timestamp)
                second.add(messages(0..<1))
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
            segment.add(messages(0..<2))
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
        first.add(messages(0..<2))
        var second = first.next()
        second.add(messages(2..<3))
        let end = UInt64(first.bytes.count)
        first.bytes += [0]
        let found = try LogImage(first, second).examine()
        #expect(found.verdict == .damaged)
        #expect(kinds(found) == [.zeroHole])
        #expect(found.findings[0].offset == end)
        #expect(found.findings[0].lost == nil)
        #expect(found.nextID == 3)
    }

    // MARK: Newer frames

    @Test func aNewerFrameAtTheStopOrBehindItRefusesTheLogWhateverElseIsWrong() throws {
        for index in 1...4 {
            for alsoTorn in [true, false] {
                var segment = SegmentBuilder()
                for number in 0..<4 { segment.add(messages(number..<number + 1)) }
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
                    #expect(kinds(found) == [.unknownField])
                    #expect(found.findings[0].offset == UInt64(newer.lowerBound))
                }
            }
        }
    }

    @Test func aNewerFrameThatDoesNotStandWhereItSaysIsNoneAtAll() throws {
        var segment = SegmentBuilder()
        segment.add(messages(0..<2))
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
            segment.add(messages(0..<others))
            let found = try LogImage(segment).examine()
            #expect(found.verdict == .newer)
            #expect(found.findings.map(\.offset) == [0])
        }
    }

    @Test func aNewerFrameCountsAsEvidenceByItsFixedFields() throws {
        var segment = SegmentBuilder()
        segment.add(messages(0..<3))
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
            segment.add(messages(0..<2))
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
