import SystemPackage
import Testing
import WALTestSupport

@testable import WAL

/// Each kind of finding from the smallest image that has it: verdict, place and lost ids.
@Suite struct LogFindingTests {
    struct Case {
        var name: LogFinding.Kind
        var image: LogImage
        var knownDurable: UInt64?
        var verdict: Verdict
        var offset: UInt64
        var length: UInt64
        var lost: ClosedRange<UInt64>?
        var segment = SegmentName.activeName
        var nextID: UInt64
    }

    /// Four messages, each in a commit of its own: all but the last are known durable.
    private static func four(after timestamp: UInt64 = 1) -> SegmentBuilder {
        var segment = SegmentBuilder(timestamp: timestamp)
        for number in 0..<4 { segment.add(TestMessage("message \(number)")) }
        return segment
    }

    /// `four` with its second message, frame 2, changed.
    private static func second(_ change: (inout [UInt8], Range<Int>) -> Void) -> LogImage {
        var segment = four()
        change(&segment.bytes, segment.frames[2].range)
        return LogImage(segment)
    }

    private static var place: (offset: UInt64, length: UInt64) {
        let range = four().frames[2].range
        return (UInt64(range.lowerBound), UInt64(range.count))
    }

    private static func damaged(_ kind: LogFinding.Kind, _ image: LogImage) -> Case {
        Case(
            name: kind, image: image, verdict: .damaged, offset: place.offset,
            length: place.length, lost: 1...1, nextID: 4)
    }

    private static func frameCases() -> [Case] {
        [
            damaged(
                .badLength,
                second { bytes, range in
                    bytes.replaceSubrange(range.prefix(4), with: [255, 255, 255, 255])
                }),
            damaged(.badCRC, second { bytes, range in bytes[range.upperBound - 5] ^= 1 }),
            damaged(
                .badInner,
                second { bytes, range in
                    bytes[range.lowerBound + FrameLayout.presence] = 1
                    bytes[range.lowerBound + FrameLayout.fixedBytes] = 0
                    bytes[range.lowerBound + FrameLayout.fixedBytes + 1] = 0
                    bytes.mendCRC(range)
                }),
            damaged(
                .zeroHole,
                second { bytes, range in
                    bytes.replaceSubrange(range, with: repeatElement(0, count: range.count))
                }),
            damaged(
                .badID,
                second { bytes, range in
                    bytes[range.lowerBound + FrameLayout.id] = 9
                    bytes.mendCRC(range)
                }),
            damaged(
                .badPosition,
                second { bytes, range in
                    bytes[range.lowerBound + FrameLayout.position] ^= 1
                    bytes.mendCRC(range)
                }),
            Case(
                name: .unknownField,
                image: second { bytes, range in
                    bytes[range.lowerBound + FrameLayout.presence] = 16
                    bytes.mendCRC(range)
                }, verdict: .newer, offset: place.offset, length: place.length, nextID: 1),
        ]
    }

    private static func tailCases() -> [Case] {
        let segment = four()
        let end = UInt64(segment.bytes.count)
        var zeros = segment
        zeros.bytes += [UInt8](repeating: 0, count: 100)
        var torn = segment
        let last = UInt64(torn.frames[4].range.lowerBound)
        torn.bytes.removeLast()
        var back = segment
        back.timestamp -= 3
        back.add(TestMessage("earlier"))
        let early = back.frames[5].range
        var lost = segment
        lost.addLost(3)
        return [
            Case(
                name: .zeroTail, image: LogImage(zeros), verdict: .zeroTail, offset: end,
                length: 100, nextID: 4),
            Case(
                name: .tornTail, image: LogImage(torn), verdict: .torn, offset: last,
                length: end - last - 1, nextID: 3),
            Case(
                name: .clockBack, image: LogImage(back), verdict: .clean,
                offset: UInt64(early.lowerBound), length: UInt64(early.count), nextID: 5),
            Case(
                name: .lost, image: LogImage(lost), verdict: .clean, offset: end, length: 46,
                lost: 4...6, nextID: 7),
            Case(
                name: .emptySegment, image: LogImage(SegmentBuilder(firstID: 7)), verdict: .clean,
                offset: 0, length: 38, nextID: 7),
            Case(
                name: .ackedBeyondEnd, image: LogImage(segment), knownDurable: 9,
                verdict: .damaged, offset: end, length: 0, lost: 4...9, nextID: 10),
        ]
    }

    private static func joinCases() -> [Case] {
        let first = four()
        var middle = first.next()
        middle.add(TestMessage("middle"))
        var last = middle.next()
        last.add(TestMessage("last"))
        // The sealed segment stands a second time under the name of the active one.
        var again = four(after: first.timestamp)
        again.add(TestMessage("new"))
        return [
            Case(
                name: .segmentMissing, image: LogImage(first, last), verdict: .damaged,
                offset: UInt64(first.bytes.count), length: 0, lost: 4...4, segment: first.name,
                nextID: 6),
            Case(
                name: .segmentOverlap, image: LogImage(first, again), verdict: .damaged,
                offset: 0, length: UInt64(again.bytes.count), nextID: 5),
        ]
    }

    @Test func everyKindIsFoundInItsPlaceWithItsLossAndNothingElseIs() throws {
        let cases =
            LogFindingTests.frameCases() + LogFindingTests.tailCases()
            + LogFindingTests.joinCases()
        for one in cases {
            let found = try one.image.examine(knownDurable: one.knownDurable)
            #expect(found.verdict == one.verdict, "\(one.name)")
            #expect(found.findings.map(\.kind) == [one.name], "\(one.name)")
            let finding = try #require(found.findings.first)
            #expect(finding.offset == one.offset, "\(one.name)")
            #expect(finding.length == one.length, "\(one.name)")
            #expect(finding.lost == one.lost, "\(one.name)")
            #expect(finding.segment == one.segment, "\(one.name)")
            #expect(found.nextID == one.nextID, "\(one.name)")
            #expect(!finding.detail.isEmpty)
        }
        #expect(Set(cases.map(\.name)) == Set(LogFinding.Kind.allCases))
    }

    @Test func aLiveLogIsToldOfDamageButNotOfItsEnd() throws {
        for one in LogFindingTests.tailCases()
        where one.verdict < .damaged && one.name != .lost && one.name != .clockBack {
            let found = try one.image.examine(isLive: true)
            #expect(found.verdict == .clean, "\(one.name)")
            #expect(found.findings.isEmpty, "\(one.name)")
        }
        for one in LogFindingTests.frameCases() + LogFindingTests.joinCases() {
            let found = try one.image.examine(knownDurable: one.knownDurable, isLive: true)
            #expect(found.verdict == one.verdict, "\(one.name)")
            #expect(found.findings.map(\.kind) == [one.name], "\(one.name)")
        }
    }

    @Test func whatIsDamagedIsSaidToBeDamageByItsKind() {
        let harmless: Set<LogFinding.Kind> = [
            .zeroTail, .tornTail, .emptySegment, .clockBack, .unknownField, .lost,
        ]
        for kind in LogFinding.Kind.allCases {
            #expect(kind.isDamage == !harmless.contains(kind))
        }
    }

    @Test func theReasonOfATornTailBeginsWithTheWordOfTheContract() throws {
        func reason(_ change: (inout [UInt8], Range<Int>) -> Void) throws -> String {
            var segment = LogFindingTests.four()
            change(&segment.bytes, segment.frames[4].range)
            let found = try LogImage(segment).examine()
            #expect(found.verdict == .torn)
            #expect(found.findings.map(\.kind) == [.tornTail])
            return String(found.findings[0].detail.prefix { $0 != ":" })
        }
        #expect(try reason { bytes, _ in bytes.removeLast(3) } == "short")
        #expect(
            try reason { bytes, range in bytes.removeLast(range.count - 2) } == "short")
        #expect(try reason { bytes, range in bytes[range.lowerBound] = 1 } == "length")
        #expect(try reason { bytes, range in bytes[range.lowerBound + 3] = 1 } == "length")
        #expect(try reason { bytes, range in bytes[range.upperBound - 1] ^= 1 } == "crc")
        #expect(
            try reason { bytes, range in
                bytes[range.lowerBound + FrameLayout.position + 3] ^= 1
                bytes.mendCRC(range)
            } == "position")
        #expect(
            try reason { bytes, range in
                bytes[range.lowerBound + FrameLayout.position + 3] ^= 1
                bytes[range.lowerBound + FrameLayout.id] ^= 1
                bytes.mendCRC(range)
            } == "id")
    }

    @Test(arguments: [(1, "for more"), (2, "for all 2 findings")])
    func theTextSaysWhatElseThereIs(places: Int, end: String) {
        let damage = Damage(
            segment: "/data/topics/t/segment.log", offset: 38, reason: "bad", lost: nil,
            places: places)
        #expect(damage.description.hasSuffix("run `toymq-fsck /data/topics/t` \(end)"))
    }
}
