import Testing
import WALTestSupport

@testable import WAL

/// Marks and frames of another place where a segment begins.
@Suite struct StrayMarkTests {
    private func segment(base: UInt64 = 1 << 40) -> SegmentBuilder {
        var segment = SegmentBuilder(base: base)
        for number in 0..<5 { segment.add(TestMessage("message \(number)")) }
        segment.addMark()
        return segment
    }

    private func examine(_ bytes: [UInt8]) throws -> Examination {
        try LogImage(files: [("segment.log", bytes)]).examine()
    }

    /// Exchanges two frames of the same size.
    private func swapped(_ segment: SegmentBuilder, _ one: Int, _ other: Int) -> [UInt8] {
        var bytes = segment.bytes
        let (a, b) = (segment.frames[one].range, segment.frames[other].range)
        bytes.replaceSubrange(a, with: segment.bytes[b])
        bytes.replaceSubrange(b, with: segment.bytes[a])
        return bytes
    }

    @Test func aNewSegmentInSpaceThatAnotherLogHadIsTornBehindItsMark() throws {
        let old = segment(base: 1 << 50)
        let mark = SegmentBuilder().bytes
        let found = try examine(mark + old.bytes.dropFirst(38))
        #expect(found.verdict == .torn)
        #expect(found.nextID == 0)
        #expect(found.segments[0].end == 38)
    }

    @Test func aMarkThatChangedPlacesWithALaterOneIsToldByTheFrames() throws {
        let segment = segment()
        let found = try examine(swapped(segment, 0, 6))
        #expect(found.verdict == .damaged)
        #expect(found.segments[0].messages == 5)
        #expect(found.findings.allSatisfy { $0.lost == nil })
    }

    @Test func aMarkThatChangedPlacesWithTheFrameBehindItCostsThatFrameOnly() throws {
        var segment = SegmentBuilder()
        segment.add(TestMessage(""))
        for number in 1..<5 { segment.add(TestMessage("message \(number)")) }
        let found = try examine(swapped(segment, 0, 1))
        #expect(found.verdict == .damaged)
        #expect(found.segments[0].messages == 4)
        #expect(found.findings.compactMap(\.lost) == [0...0])
    }

    @Test func aPageWrittenOverTheFirstOneDoesNotSayWhereTheSegmentBegins() throws {
        // All frames have 64 bytes: one of the copy stands just behind the place of the mark.
        var sealed = SegmentBuilder(base: 1 << 40)
        for _ in 0..<100 { sealed.add(TestMessage([UInt8](repeating: 1, count: 26))) }
        var active = sealed.next()
        for _ in 0..<100 { active.add(TestMessage([UInt8](repeating: 2, count: 26))) }
        active.addMark()
        func damaged(_ bytes: [UInt8]) -> [UInt8] { Array(bytes[512..<1024] + bytes[512...]) }
        let images = [
            LogImage(files: [(sealed.name, damaged(sealed.bytes)), ("segment.log", active.bytes)]),
            LogImage(files: [(sealed.name, sealed.bytes), ("segment.log", damaged(active.bytes))]),
            LogImage(files: [("segment.log", damaged(sealed.bytes))]),
        ]
        for (image, (messages, lost)) in zip(
            images,
            [(192, 0...7), (192, 100...107), (92, 0...7)] as [(UInt64, ClosedRange<UInt64>)])
        {
            let found = try image.examine()
            #expect(found.verdict == .damaged)
            #expect(found.findings.compactMap(\.lost) == [lost])
            #expect(found.segments.reduce(0) { $0 + $1.messages } == messages)
        }
    }

    @Test func ofTwoHalvesThatAreAlikeTheFirstOneIsTheLog() throws {
        let segment = segment()
        let zeros = [UInt8](repeating: 0, count: 60)
        let found = try examine(zeros + segment.bytes[60...] + zeros + segment.bytes[60...])
        #expect(found.segments[0].base == segment.base)
    }

    @Test func aCopyInAPayloadDoesNotSayWhereADamagedSegmentBegins() throws {
        let sealed = segment()
        var active = sealed.next()
        active.add(TestMessage(Array(sealed.bytes[38..<200])))
        active.add(TestMessage([UInt8](repeating: 7, count: 900)))
        var damaged = active.bytes
        for at in 0..<50 { damaged[at] = 0 }
        damaged[damaged.count - 1] ^= 1
        let found = try LogImage(files: [
            (sealed.name, sealed.bytes), ("segment.log", damaged),
        ]).examine()
        #expect(found.verdict == .damaged)
        #expect(found.segments[1].base == active.base)
        #expect(found.segments[1].messages == 0)
        #expect(found.durableBelow == 5)
    }
}
