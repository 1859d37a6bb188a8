import Testing
import WALTestSupport

@testable import WAL

/// The first page of a segment is written over by that of another segment or log: what stands
/// behind it still says where it belongs, and so do the neighbours.
@Suite struct ForeignPageTests {
    private static let page = 512

    /// Three segments of `count` messages each.
    private func log(_ count: Int = 40) -> [SegmentBuilder] {
        var segments = [SegmentBuilder()]
        for number in 0..<3 {
            for message in 0..<count {
                segments[number].add(TestMessage("message \(message) of \(number)"))
            }
            if number < 2 { segments.append(segments[number].next()) }
        }
        segments[2].addMark()
        return segments
    }

    private func image(_ segments: [SegmentBuilder], _ bytes: [[UInt8]]) -> LogImage {
        LogImage(files: [
            (segments[0].name, bytes[0]), (segments[1].name, bytes[1]), ("segment.log", bytes[2]),
        ])
    }

    /// The other log's ids begin below, at and above those of this one.
    private func otherLog(firstID: UInt64) -> SegmentBuilder {
        var other = SegmentBuilder(firstID: firstID, base: 1 << 50)
        for number in 0..<60 { other.add(TestMessage("something else \(number)")) }
        return other
    }

    /// Holds the examination of an image whose segment `index` is overwritten up to `end` against
    /// what is still there.
    private func expectAllBehind(
        _ end: Int, of index: Int, in segments: [SegmentBuilder], _ bytes: [[UInt8]],
        _ what: String
    ) throws {
        let found = try image(segments, bytes).examine()
        let gone = segments[index].frames.filter { $0.range.lowerBound < end && !$0.isMark }
        let lost = segments[index].firstID...(try #require(gone.last)).id
        #expect(found.verdict == .damaged, "\(what)")
        #expect(found.findings.compactMap(\.lost) == [lost], "\(what)")
        #expect(found.nextID == segments[2].nextID, "\(what)")
        #expect(found.segments[index].base == segments[index].base, "\(what)")
        #expect(
            found.segments.reduce(0) { $0 + $1.messages } == UInt64(120 - gone.count), "\(what)")
    }

    @Test func thePageOfAnotherSegmentCostsOnlyWhatItCovers() throws {
        let segments = log()
        for index in 0..<3 {
            for other in 0..<3 where other != index {
                var bytes = segments.map(\.bytes)
                bytes[index].replaceSubrange(
                    0..<Self.page, with: segments[other].bytes[0..<Self.page])
                try expectAllBehind(
                    Self.page, of: index, in: segments, bytes, "\(other) over \(index)")
            }
        }
    }

    @Test func thePageOfAnotherLogCostsOnlyWhatItCovers() throws {
        let segments = log()
        for index in 0..<3 {
            for firstID in [0, 40, 80, 1000] as [UInt64] {
                var bytes = segments.map(\.bytes)
                let other = otherLog(firstID: firstID).bytes
                bytes[index].replaceSubrange(0..<Self.page, with: other[0..<Self.page])
                try expectAllBehind(
                    Self.page, of: index, in: segments, bytes, "\(firstID) over \(index)")
            }
        }
    }

    @Test func whatIsLeftMayBeLessThanWhatWasWrittenOverIt() throws {
        let segments = log()
        for index in 0..<3 {
            var bytes = segments.map(\.bytes)
            let end = bytes[index].count - 300
            bytes[index].replaceSubrange(0..<end, with: otherLog(firstID: 0).bytes.prefix(end))
            try expectAllBehind(end, of: index, in: segments, bytes, "\(index)")
        }
    }

    @Test func ofASegmentThatStandsTwiceInItsFileTheFirstOneStays() throws {
        let segments = log()
        for damage in [nil, 700] as [Int?] {
            var bytes = segments.map(\.bytes)
            bytes[0] += bytes[0]
            if let damage { bytes[0][segments[0].bytes.count + damage] ^= 1 }
            let found = try image(segments, bytes).examine()
            #expect(found.segments[0].base == segments[0].base)
            #expect(found.segments[0].messages == 40)
        }
    }

    @Test func bytesTakenOutOfTheFirstSegmentAreNoReasonToPassItsMarkOver() throws {
        let segments = log()
        for frame in [3, 20, 38] {
            var bytes = segments.map(\.bytes)
            bytes[0].removeSubrange(
                segments[0].frames[frame].range.lowerBound
                    + 3..<segments[0].frames[frame].range.upperBound)
            let found = try image(segments, bytes).examine()
            #expect(found.segments[0].base == segments[0].base)
            #expect(found.segments[0].messages == UInt64(frame - 1))
        }
    }

    @Test func aSegmentThatLiesFurtherOnIsNotTakenForOneOfAnotherPlace() throws {
        // The segment before it is gone, and a payload holds a copy that stands where that would
        // be.
        let first = log()[0]
        var middle = first.next()
        middle.add(TestMessage("gone"))
        let gone = middle.bytes
        var last = middle.next()
        last.add(TestMessage(gone))
        for number in 0..<40 { last.add(TestMessage("message \(number)")) }
        var damaged = last.bytes
        damaged[40] ^= 1
        let found = try LogImage(files: [(first.name, first.bytes), ("segment.log", damaged)])
            .examine()
        #expect(found.verdict == .damaged)
        #expect(found.segments[1].base == last.base)
        #expect(found.segments[1].messages == 40)
    }
}
