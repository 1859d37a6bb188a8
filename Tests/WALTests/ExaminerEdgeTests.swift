import SystemPackage
import Testing
import TestSupport
import Threads
import WALTestSupport

@testable import WAL

/// Places that few images come to: what is told where two rules meet.
@Suite struct ExaminerEdgeTests {
    /// Breaks the frames with these ids.
    private func spoiled(_ segment: SegmentBuilder, _ ids: [UInt64]) -> SegmentBuilder {
        var segment = segment
        for frame in segment.frames where ids.contains(frame.id) && !frame.isMark {
            segment.bytes[frame.range.upperBound - 1] ^= 1
        }
        return segment
    }

    @Test func whatFollowsAnAcknowledgedGapOfItsOwnCommitIsTorn() throws {
        var segment = SegmentBuilder()
        segment.add(numbered(0..<2))
        segment.add(numbered(0..<4))
        let image = LogImage(spoiled(segment, [2, 3]))
        let found = try image.examine(knownDurable: 2)
        #expect(found.verdict == .damaged)
        #expect(found.findings.map(\.kind) == [.badCRC, .ackedBeyondEnd, .tornTail])
        #expect(found.findings[0].lost == 2...2)
        #expect(found.findings[2].offset == UInt64(segment.frames[5].range.lowerBound))
        #expect(found.nextID == 3)
    }

    @Test func aLogOfWhichNoFrameIsWholeHasLostWhatWasAcknowledged() throws {
        let image = LogImage(files: [
            (SegmentName.activeName, [UInt8](repeating: 0xA5, count: 100))
        ])
        let found = try image.examine(knownDurable: 5)
        #expect(found.verdict == .damaged)
        #expect(found.findings.map(\.kind) == [.badLength, .ackedBeyondEnd])
        #expect(found.findings.allSatisfy { $0.lost == 0...5 })
        #expect(found.nextID == 6)
    }

    /// A crash has left the last segment sealed and the next one not made, and then it rots:
    /// nothing tells where its ids end, and none of them may be given out again.
    @Test(arguments: [0, 1, 3])
    func theRottenEndOfTheLastSealedSegmentHasLostItsIDsThoughNoSegmentFollows(gone: Int) throws {
        var first = SegmentBuilder()
        for message in numbered(0..<5) { first.add([message]) }
        var spoiled = spoiled(first, (0..<gone).map { UInt64(4 - $0) })
        let name = SegmentName.sealed(first: 0).fileName
        for active in [nil, [], [UInt8](repeating: 0, count: 20)] as [[UInt8]?] {
            let files =
                [(name, spoiled.bytes)] + (active.map { [(SegmentName.activeName, $0)] } ?? [])
            let found = try LogImage(files: files).examine()
            #expect(found.verdict == (gone == 0 ? .clean : .damaged))
            #expect(found.findings.compactMap(\.lost) == (gone == 0 ? [] : [UInt64(5 - gone)...4]))
            #expect(found.nextID == 5)
        }
        // Where the lengths lead nowhere, as many are lost as there is room for.
        guard gone == 1 else { return }
        let last = try #require(first.frames.last).range
        spoiled.bytes.replaceSubrange(last.lowerBound..<last.lowerBound + 4, with: [0, 0, 0, 0])
        let found = try LogImage(files: [(name, spoiled.bytes)]).examine()
        #expect(found.findings.compactMap(\.lost) == [4...3 + UInt64(last.count / 38)])
    }

    @Test func aLargeMessageInThePlaceOfTheMarkIsNotBelievedAgainstTheFramesBehindIt() throws {
        var segment = SegmentBuilder()
        segment.add([
            TestMessage("0"), TestMessage([UInt8](repeating: 7, count: 300)), TestMessage("2"),
        ])
        segment.addMark()
        let parts = segment.frames.map { Array(segment.bytes[$0.range]) }
        let swapped = parts[2] + parts[1] + parts[0] + parts[3] + parts[4]
        let found = try LogImage(files: [(SegmentName.activeName, swapped)]).examine()
        #expect(found.verdict == .damaged)
        #expect(found.findings.compactMap(\.lost) == [0...1])
        #expect(found.segments.map(\.messages) == [1])
        #expect(found.nextID == 3)
    }

    @Test func aMarkOfAnotherPlaceThatNoFrameAgreesWithIsDamage() throws {
        var first = SegmentBuilder()
        first.add(numbered(0..<3))
        var second = first.next()
        second.add(numbered(0..<2))
        let stray = RawFrame(
            id: second.firstID, position: second.base + 5000, presence: .mark)
        second.bytes.replaceSubrange(0..<38, with: stray.bytes)
        let found = try LogImage(first, second).examine()
        #expect(found.verdict == .damaged)
        #expect(found.findings.map(\.kind) == [.badPosition])
        #expect(found.findings[0].offset == 0 && found.findings[0].length == 38)
        #expect(found.nextID == 5)
    }

    @Test func aLaterVersionCountsBehindASegmentWhoseEndIsDamaged() throws {
        var first = SegmentBuilder()
        first.add(numbered(0..<3))
        var second = first.next(mark: false)
        second.add(
            raw: RawFrame(
                id: second.firstID, position: second.position, presence: Presence(rawValue: 64),
                body: [1, 2, 3]
            ).bytes, ids: 1)
        second.add(numbered(0..<1))
        let found = try LogImage(spoiled(first, [2]), second).examine()
        #expect(found.verdict == .newer)
        #expect(found.findings.map(\.kind) == [.unknownField])
    }

    @Test func whatEndsBeforeTheFrameOfALaterVersionIsTold() throws {
        var first = SegmentBuilder()
        first.add(numbered(0..<3))
        let empty = first.next()
        var last = empty.next(mark: false)
        last.add(
            raw: RawFrame(
                id: last.firstID, position: last.position, presence: Presence(rawValue: 64)
            ).bytes, ids: 0)
        let files = [first, empty].map { ($0.name, $0.bytes) }
        let log = LogImage(files: files + [(SegmentName.activeName, last.bytes + last.bytes)])
        #expect(try log.examine().findings.map(\.kind) == [.emptySegment, .unknownField])
    }

    @Test func aLaterVersionsFrameOfAnotherPlaceIsOutOfPlaceAndNoMore() throws {
        var first = SegmentBuilder()
        first.add(numbered(0..<3))
        var second = first.next()
        second.add(numbered(0..<2))
        let stray = RawFrame(
            id: second.firstID, position: second.base + 77, presence: Presence(rawValue: 64))
        second.bytes.replaceSubrange(0..<38, with: stray.bytes)
        let found = try LogImage(first, second).examine()
        #expect(found.verdict == .damaged)
        #expect(found.findings.map(\.kind) == [.badPosition])
    }

    @Test func aLiveTailThatIsFinishedWhileItIsLookedAtIsRead() throws {
        var segment = SegmentBuilder()
        segment.add(numbered(0..<2))
        segment.add(numbered(0..<1))
        let whole = segment.bytes
        let image = LogImage(spoiled(segment, [2]))
        let disk = image.disk()
        let path = SegmentName.active.path(in: LogImage.directory)
        // The size is asked for first, and again when a frame is not whole: by then the writer has
        // come to its end.
        let reads = Monitor(0)
        disk.follow { [unowned disk] call in
            guard call.operation == .status, call.handle != 0 else { return nil }
            let count = reads.withLock { count in
                count += 1
                return count
            }
            if count == 2 { disk.change(path) { $0 = whole } }
            return nil
        }
        let found = try disk.examine(isLive: true)
        #expect(found.verdict == .clean)
        #expect(found.segments[0].messages == 3)
    }

    @Test func namesThatOnlyLookLikeKeptTailsAreNone() {
        #expect(SegmentName.companion("segment.log.torn-12") == .keptTail)
        #expect(SegmentName.companion("segment.log.torn-12.2") == .keptTail)
        for name in [
            "", "x", "1.1.1", "+5", "-0", "007", "5.+2", "5.02", "5.1", "18446744073709551616",
        ] {
            #expect(SegmentName.companion("segment.log.torn-\(name)") == nil, "\(name)")
            #expect(SegmentName.companion("segment.log.torn-\(name).tmp") == nil, "\(name)")
        }
    }
}

/// What the log offers besides appending and reading.
@Suite struct LogConvenienceTests {
    private func open(
        _ disk: MemoryDisk, _ options: LogOptions = LogOptions()
    ) throws -> Log {
        disk.putDirectory(LogImage.directory)
        return try Log.open(LogImage.directory, host: .on(disk), options: options)
    }

    @Test func aLogKnowsItsDirectory() throws {
        let log = try open(MemoryDisk())
        #expect(log.directory == LogImage.directory)
        try log.close()
    }

    @Test func waitingForAMessageEndsWhenItIsDurable() async throws {
        let log = try open(MemoryDisk())
        async let waited: Void = log.waitUntilDurable(MessageID(1))
        try log.append(TestMessage("a"))
        try log.append(TestMessage("b"))
        await waited
        #expect(log.durable.upperBound >= MessageID(2))
        try log.close()
    }

    @Test func aFileCanHaveASecondNameOnTheRealDisk() throws {
        let directory = try TemporaryDirectory()
        let disk = PosixDisk()
        let (old, new) = (directory.path.appending("a"), directory.path.appending("b"))
        try disk.open(old, .create).close()
        try disk.link(old, to: new)
        #expect(try disk.status(old)?.inode == disk.status(new)?.inode)
        #expect(throws: DiskError(operation: .link, path: old, errno: .fileExists)) {
            try disk.link(old, to: new)
        }
    }
}
