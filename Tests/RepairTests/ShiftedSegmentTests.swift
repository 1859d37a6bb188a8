import Inspection
import Testing
import WALTestSupport

@testable import Repair
@testable import WAL

/// Segments whose frames do not begin where the segment does: bytes were put before them or taken
/// from them, or two files were put together.
@Suite struct ShiftedSegmentTests {
    private func segment(_ first: SegmentBuilder? = nil, messages: Int = 6) -> SegmentBuilder {
        var segment = first ?? SegmentBuilder()
        for number in 0..<messages { segment.add(TestMessage("message \(number) of a segment")) }
        return segment
    }

    @Test(arguments: [1, 37, 38, 39, 76, 500])
    func bytesPutBeforeTheActiveSegmentCostNothing(_ count: Int) throws {
        let sealed = segment()
        let active = segment(sealed.next())
        for byte in [0x00, 0xA5] as [UInt8] {
            let shifted = [UInt8](repeating: byte, count: count) + active.bytes
            let ids = try RepairBench.idsAfterRepair(
                [(sealed.name, sealed.bytes), ("segment.log", shifted)], bits: .corrected)
            #expect(ids == Array(0..<12))
        }
    }

    @Test(arguments: [1, 37, 38, 39, 76, 500])
    func bytesPutBeforeASealedSegmentCostNothing(_ count: Int) throws {
        let first = segment()
        let second = segment(first.next())
        let active = segment(second.next())
        let shifted = [UInt8](repeating: 0xA5, count: count) + second.bytes
        let ids = try RepairBench.idsAfterRepair(
            [
                (first.name, first.bytes), (second.name, shifted), ("segment.log", active.bytes),
            ], bits: .corrected)
        #expect(ids == Array(0..<18))
    }

    @Test(arguments: [1, 20, 40])
    func bytesTakenFromTheBeginningCostOnlyTheFramesTheyWereIn(_ count: Int) throws {
        let sealed = segment()
        let active = segment(sealed.next())
        let shifted = Array(active.bytes.dropFirst(count))
        let losesFirst = count > 38
        let ids = try RepairBench.idsAfterRepair(
            [(sealed.name, sealed.bytes), ("segment.log", shifted)],
            bits: losesFirst ? [.corrected, .messagesLost] : .corrected)
        #expect(ids == (0..<12).filter { !(losesFirst && $0 == 6) })
    }

    @Test func twoSegmentsPutTogetherInEitherFileLoseNothing() throws {
        let first = segment()
        var second = segment(first.next())
        second.addMark()
        let active = segment(second.next())
        let both = first.bytes + second.bytes
        for (one, other) in [(both, second.bytes), (first.bytes, both)] {
            let bench = RepairBench([
                (first.name, one), (second.name, other), ("segment.log", active.bytes),
            ])
            #expect(try bench.repair().bits == .corrected)
            #expect(try bench.check().exitBits.isEmpty)
            #expect(try bench.messagesThenAppend().keys.sorted() == Array(0..<18))
        }
    }

    @Test func whatIsLostBeforeASegmentOfZerosDoesNotReachBeyondTheNextOne() throws {
        let first = segment()
        let second = segment(first.next())
        let active = segment(second.next())
        // The first one lost its end and is longer than it was; of the second nothing is left.
        let cut = first.frames[4].range.lowerBound
        let long = Array(first.bytes[..<cut]) + [UInt8](repeating: 0xEE, count: 5000)
        let ids = try RepairBench.idsAfterRepair(
            [
                (first.name, long), (second.name, [UInt8](repeating: 0, count: second.bytes.count)),
                ("segment.log", active.bytes),
            ], bits: [.corrected, .messagesLost])
        #expect(ids == Array(0..<3) + Array(12..<18))
    }

    @Test func theIdsOfASegmentThatLostItsBeginningAreNotThoseOfTheOneBefore() throws {
        let sealed = segment()
        var active = sealed.next()
        // One commit: each of its frames tells where it began.
        active.add((0..<6).map { TestMessage("message \($0) of a commit") })
        active.addMark()
        let cut = Array(sealed.bytes[..<sealed.frames[5].range.lowerBound])
        var damaged = active.bytes
        for at in 0..<active.frames[3].range.lowerBound { damaged[at] = 0xEE }
        let bench = RepairBench([
            (sealed.name, cut + [UInt8](repeating: 0xEE, count: 90)), ("segment.log", damaged),
        ])
        let lost = try bench.check().topics[0].findings.compactMap(\.lost)
        #expect(lost == [4...5, 6...7])
    }

    @Test func aFrameThatStandsInTheVeryPlaceOfTheMarkIsNoMessage() throws {
        let sealed = segment()
        var active = sealed.next(mark: false)
        active.add(TestMessage("where a mark belongs"))
        let bench = RepairBench([(sealed.name, sealed.bytes), ("segment.log", active.bytes)])
        #expect(try bench.repair().bits == .corrected)
        #expect(try bench.messagesThenAppend().keys.sorted() == Array(0..<6))
    }
}
