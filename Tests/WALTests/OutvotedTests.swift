import Testing
import WALTestSupport

@testable import WAL

/// A file of another log, a copy, or a mark in the wrong place claims more than the log's own
/// frames: those are kept all the same.
@Suite struct OutvotedTests {
    /// Segments of `counts` messages each, the last of them closed.
    private func log(
        _ counts: [Int], firstID: UInt64 = 0, base: UInt64 = 1 << 40
    ) -> [SegmentBuilder] {
        var segments = [SegmentBuilder(firstID: firstID, base: base)]
        for (number, count) in counts.enumerated() {
            for message in 0..<count {
                segments[number].add(TestMessage("message \(message) of \(number)"))
            }
            if number < counts.count - 1 { segments.append(segments[number].next()) }
        }
        segments[counts.count - 1].addMark()
        return segments
    }

    private func image(_ segments: [SegmentBuilder]) -> LogImage {
        LogImage(
            files: segments.dropLast().map { ($0.name, $0.bytes) }
                + segments.suffix(1).map { (SegmentName.activeName, $0.bytes) })
    }

    /// Whoever lost the file of a topic took that of another one: they all begin with this name.
    @Test func theActiveSegmentIsKeptBehindAnotherLogsSegmentWithMoreIDs() throws {
        let own = log([3, 3, 3, 4])
        var bytes = image(own)
        bytes.files[0].bytes = log([20, 1], base: 1 << 50)[0].bytes
        let found = try bytes.examine()
        #expect(found.verdict == .damaged)
        #expect(found.segments.last?.messages == 4)
        #expect(found.segments.last?.base == own[3].base)
        #expect(found.nextID >= own[3].nextID)
    }

    /// The message behind the mark belongs where the segments before it end: it is the mark that
    /// has another id.
    @Test func aMarkThatDisagreesWithItsOwnSegmentIsNoOverlap() throws {
        var own = log([3, 4])
        var mark = RawFrame(
            id: 1, position: own[1].base, presence: .mark, body: [])
        mark.timestamp = own[1].timestamp
        own[1].bytes.replaceSubrange(0..<FrameLayout.smallestFrame, with: mark.bytes)
        let found = try image(own).examine()
        #expect(found.findings.map(\.kind) == [.badID])
        #expect(found.segments.last?.messages == 4)
        #expect(found.nextID == own[1].nextID)
    }

    /// A log that was opened and killed before it had a message begins with two marks.
    @Test func aMarkFromFurtherOnIsPassedOverBeforeAnotherMark() throws {
        var segment = SegmentBuilder()
        segment.addMark()
        for number in 0..<9 { segment.add(TestMessage("message \(number)")) }
        segment.addMark()
        let mark = FrameLayout.smallestFrame
        for source in [mark, segment.bytes.count - mark] {
            var bytes = segment.bytes
            bytes.replaceSubrange(0..<mark, with: segment.bytes[source..<source + mark])
            let image = LogImage(files: [(SegmentName.activeName, bytes)])
            let found = try image.examine()
            #expect(found.verdict == .damaged, "\(source)")
            #expect(found.findings.compactMap(\.lost) == [], "\(source)")
            #expect(found.segments[0].messages == 9, "\(source)")
            #expect(found.nextID == 9, "\(source)")
        }
    }

    /// The page of a later segment has brought a mark and a frame with it, and nobody beside it
    /// can be asked.
    @Test func aFrameWithAnotherIDDoesNotOutvoteTheNameOfASealedSegment() throws {
        let own = log([7, 1, 9, 3])
        let page = own[3].frames[2].range.lowerBound + 30
        var image = image(own)
        image.files[0].bytes.replaceSubrange(0..<page, with: own[3].bytes[0..<page])
        image.files[1].bytes = [UInt8](repeating: 0xAA, count: own[1].bytes.count)
        image.files[3].bytes = Array(own[3].bytes.prefix(2))
        let found = try image.examine()
        let intact = own[0].frames.filter { $0.range.lowerBound >= page && !$0.isMark }
        #expect(found.verdict == .damaged)
        #expect(found.segments[0].base == own[0].base)
        #expect(found.segments[0].messages == UInt64(intact.count))
    }

    /// What was in a sealed segment was durable, whatever the one behind it begins with.
    @Test func idsAtTheEndOfASealedSegmentAreLostThoughTheNextBeginsLower() throws {
        var older = SegmentBuilder()
        for number in 0..<5 { older.add(TestMessage("message \(number)")) }
        var sealed = older
        for number in 5..<10 { sealed.add(TestMessage("message \(number)")) }
        var bytes = sealed.bytes
        for index in older.bytes.count..<bytes.count { bytes[index] = 0xAA }
        let image = LogImage(files: [
            (sealed.name, bytes), (SegmentName.activeName, older.bytes),
        ])
        let found = try image.examine()
        #expect(found.verdict == .damaged)
        #expect(found.findings.compactMap(\.lost).contains { $0.contains(5) })
        #expect(found.nextID > 5)
    }

    /// Somebody made a file in which each frame says another position: so many are not remembered,
    /// and what most of it says is heard all the same.
    @Test func whatMostFramesSayIsHeardAmongAnyNumberOfOthers() throws {
        var segment = SegmentBuilder()
        segment.bytes = [UInt8](repeating: 0, count: FrameLayout.smallestFrame)
        for number in 0..<40_000 {
            if number % 1_000 == 0 { segment.add(TestMessage("one of its own \(number)")) }
            let stray = RawFrame(
                id: UInt64(number), position: UInt64(number) << 32, presence: [], body: [])
            segment.add(garbage: stray.bytes)
        }
        let found = try LogImage(files: [(SegmentName.activeName, segment.bytes)]).examine()
        #expect(found.segments[0].base == segment.base)
        // Nothing proves the last one durable, and damage stands before it.
        #expect(found.segments[0].messages == 39)
    }
}
