import Testing
import TestSupport
import WALTestSupport

@testable import WAL

/// Where a walk stops and what that means: evidence, commits that were torn, islands.
@Suite struct LogExaminerTests {
    private final class Told: ExaminationVisitor {
        var kinds: [LogFinding.Kind] = []
        func finding(_ finding: LogFinding) { kinds.append(finding.kind) }
    }

    @Test func whatIsNotKeptIsToldAllTheSameAndChangesNoVerdict() throws {
        var segment = SegmentBuilder()
        segment.add(numbered(0..<3))
        segment.addLost(2)
        segment.add(numbered(5..<6))
        segment.addMark()
        segment.bytes[segment.frames[2].range.lowerBound + 36] ^= 1
        let image = LogImage(segment)
        let whole = try image.examine()
        #expect(whole.kinds == [.badCRC, .lost])
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
            #expect(found.kinds == expected)
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
        first.add(numbered(0..<3))
        first.addMark()
        var second = first.next()
        second.add(numbered(3..<4))
        second.add(numbered(4..<6))
        let collector = SeenFrames()
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
        segment.add(numbered(0..<3))
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
            segment.add(numbered(0..<2))
            segment.add(numbered(2..<7))
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
            #expect(found.kinds == [isAllZeros ? .zeroTail : .tornTail])
        }
    }

    @Test func aFrameOfTheNextCommitMakesTheSameDamage() throws {
        for witness in [true, false] {
            for gone in 0..<5 {
                var segment = SegmentBuilder()
                segment.add(numbered(0..<2))
                segment.add(numbered(2..<7))
                if witness { segment.addMark() } else { segment.add(numbered(7..<8)) }
                let frame = segment.frames[3 + gone]
                segment.bytes[frame.range.upperBound - 1] ^= 1
                let found = try LogImage(segment).examine()
                #expect(found.verdict == .damaged)
                #expect(found.kinds == [.badCRC])
                #expect(found.findings[0].lost == frame.id...frame.id)
                #expect(found.nextID == (witness ? 7 : 8))
            }
        }
    }

    @Test func theWitnessAloneIsEnoughWhenTheWholeCommitIsGone() throws {
        var segment = SegmentBuilder()
        segment.add(numbered(0..<2))
        segment.add(numbered(2..<7))
        let start = segment.frames[3].range.lowerBound
        let end = segment.bytes.count
        segment.addMark()
        for zeros in [true, false] {
            var damaged = segment
            damaged.bytes.replaceSubrange(
                start..<end, with: repeatElement(zeros ? 0 : 0xEE, count: end - start))
            let found = try LogImage(damaged).examine()
            #expect(found.verdict == .damaged)
            #expect(found.kinds == [zeros ? .zeroHole : .badLength])
            #expect(found.findings[0].lost == 2...6)
            #expect(found.findings[0].length == UInt64(end - start))
            #expect(found.nextID == 7)
        }
    }

    @Test func anAcknowledgedIDMakesATearDamageAndTheOneBeforeItDoesNot() throws {
        var segment = SegmentBuilder()
        segment.add(numbered(0..<5))
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
        for number in 0..<4 { segment.add(numbered(number..<number + 1)) }
        segment.add(numbered(4..<7))
        segment.bytes[segment.frames[2].range.upperBound - 1] ^= 1
        let torn = segment.frames[6].range
        segment.bytes[torn.upperBound - 1] ^= 1
        let collector = SeenFrames()
        let found = try LogImage(segment).examine(visitor: collector)
        #expect(found.verdict == .damaged)
        #expect(found.kinds == [.badCRC, .tornTail])
        #expect(found.findings[1].offset == UInt64(torn.lowerBound))
        #expect(collector.ids == [0, 2, 3, 4])
        #expect(found.nextID == 5)
    }

    // MARK: Islands

    @Test func everySoundFrameBetweenDamagedOnesIsFound() throws {
        var random = Seeded(11)
        for round in 0..<200 {
            var segment = SegmentBuilder()
            for number in 0..<20 { segment.add(numbered(number..<number + 1)) }
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
            let collector = SeenFrames()
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
            for number in 0..<6 { segment.add(numbered(number..<number + 1)) }
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
            next.add(numbered(6..<7))
            let sealed = try LogImage(segment, next).examine()
            #expect(sealed.verdict == .damaged, "\(shift)")
            #expect(sealed.findings.first?.offset == UInt64(at))
            #expect(sealed.findings.first?.lost == 2...5)
            #expect(sealed.nextID == 7)
        }
    }
}
