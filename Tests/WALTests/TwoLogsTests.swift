import Testing
import WALTestSupport

@testable import WAL

/// A file whose mark is damaged and that holds frames of more than one place: those that stand
/// first are the log, however much is behind them.
@Suite struct TwoLogsTests {
    private func log(
        _ count: Int, firstID: UInt64 = 0, base: UInt64 = 1 << 40
    ) -> SegmentBuilder {
        var log = SegmentBuilder(firstID: firstID, base: base)
        for number in 0..<count { log.add(TestMessage("message \(number) of \(base)")) }
        return log
    }

    private func examine(_ bytes: [UInt8]) throws -> SegmentSummary {
        let found = try LogImage(files: [("segment.log", bytes)]).examine()
        #expect(found.verdict == .damaged)
        return try #require(found.segments.first)
    }

    @Test func aLogThatWasAppendedIsNotTakenForTheLog() throws {
        for count in [1, 2, 3, 20] {
            for firstID in [0, 1, 500] as [UInt64] {
                let own = log(count)
                let other = log(60, firstID: firstID, base: 1 << 50)
                var bytes = own.bytes + other.bytes
                bytes[29] ^= 4
                let found = try examine(bytes)
                #expect(found.base == own.base, "\(count) \(firstID)")
                #expect(found.messages == UInt64(count), "\(count) \(firstID)")
                #expect(found.nextID == UInt64(count), "\(count) \(firstID)")
            }
        }
    }

    @Test func norIfTheFrameBehindTheMarkIsDamagedToo() throws {
        let own = log(20)
        for firstID in [0, 500] as [UInt64] {
            for wipes in [60, 300] {
                let other = log(60, firstID: firstID, base: 1 << 50)
                let bytes = own.bytes + other.bytes
                let found = try examine(
                    [UInt8](repeating: 0, count: wipes) + bytes.dropFirst(wipes))
                #expect(found.base == own.base)
                #expect(found.nextID == 20)
            }
        }
    }

    @Test func norIfItsOwnMarkIsDamagedOrSomethingIsBetween() throws {
        let own = log(20)
        var other = log(60, base: 1 << 50).bytes
        other[5] ^= 1
        for between in [0, 100] {
            let zeros = [UInt8](repeating: 0, count: between)
            var bytes = own.bytes + zeros + other
            for at in 0..<60 { bytes[at] = 0 }
            #expect(try examine(bytes).base == own.base)
        }
    }

    @Test func ofThreeLogsTheFirstOneIsMeant() throws {
        let own = log(5)
        var bytes =
            own.bytes + log(20, firstID: 9, base: 1 << 50).bytes + log(60, base: 1 << 52).bytes
        for at in 0..<60 { bytes[at] = 0 }
        #expect(try examine(bytes).base == own.base)
    }

    @Test func bytesPutBeforeALogDoNotMakeACopyInAPayloadTheLog() throws {
        var own = log(20)
        let copy = Array(own.bytes[own.frames[3].range])
        own.add(TestMessage(copy))
        for number in 0..<20 { own.add(TestMessage("more \(number)")) }
        var bytes = own.bytes
        bytes[own.frames[21].range.lowerBound + 5] ^= 1
        let found = try examine([UInt8](repeating: 1, count: 50) + bytes)
        #expect(found.base == own.base - 50)
        #expect(found.nextID == 41)
    }

    @Test func aMarkThatChangedPlacesSaysWhereTheSegmentBegins() throws {
        let segment = log(40, firstID: 7)
        for target in [8, 20, 32] {
            let (mark, frame) = (segment.frames[0].range, segment.frames[target].range)
            let bytes = Array(
                segment.bytes[frame] + segment.bytes[mark.upperBound..<frame.lowerBound]
                    + segment.bytes[mark] + segment.bytes[frame.upperBound...])
            let found = try LogImage(files: [("segment.log", bytes)]).examine()
            #expect(found.verdict == .damaged)
            #expect(found.nextID == segment.nextID)
            #expect(found.segments[0].base == segment.base)
            #expect(found.segments[0].messages == UInt64(40 - target))
            #expect(found.findings.compactMap(\.lost) == [7...6 + UInt64(target)])
        }
    }
}
