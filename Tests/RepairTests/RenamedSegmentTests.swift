import Inspection
import SystemPackage
import Testing
import WALTestSupport

@testable import Repair
@testable import WAL

/// Segments under other names than their own, and such as say nothing beside others that do.
@Suite struct RenamedSegmentTests {
    /// Segments of three messages each, the last one active.
    private func log(_ count: Int = 4) -> [(name: String, bytes: [UInt8])] {
        var files: [(name: String, bytes: [UInt8])] = []
        var segment = SegmentBuilder()
        for number in 1...count {
            for _ in 0..<3 { segment.add(TestMessage("message \(segment.nextID) of a log")) }
            if number == count { segment.addMark() }
            files.append((number == count ? SegmentName.activeName : segment.name, segment.bytes))
            segment = segment.next()
        }
        return files
    }

    private func name(_ first: UInt64) -> String { SegmentName.sealed(first: first).fileName }

    @Test(arguments: [4, 5])
    func aSegmentUnderALowerNameGetsItsOwnAndKeepsEveryByte(_ first: UInt64) throws {
        var files = log()
        let sound = Dictionary(uniqueKeysWithValues: files.map { ($0.name, $0.bytes) })
        files[2].name = name(first)
        let bench = RepairBench(files)
        #expect(try bench.repair().bits == .corrected)
        for (name, bytes) in sound { #expect(bench.files["/data/topics/orders/\(name)"] == bytes) }
        #expect(try RepairBench.idsAfterRepair(files) == Array(0..<12))
    }

    @Test func theOldestSegmentUnderTheActiveNameIsSealedAgain() throws {
        var files = Array(log(3).dropLast())
        files[0].name = SegmentName.activeName
        #expect(try RepairBench.idsAfterRepair(files) == Array(0..<6))
    }

    @Test func aSegmentUnderAHigherNameCostsNothingBeside() throws {
        // Judged by its name it holds nothing: the others are kept all the same.
        var files = log(3)
        files[1].name = name(6)
        #expect(
            try RepairBench.idsAfterRepair(files, bits: [.corrected, .messagesLost]) == [
                0, 1, 2, 6, 7, 8,
            ])
        files = log(2)
        files[0].name = name(6)
        #expect(try RepairBench.idsAfterRepair(files) == [3, 4, 5])
    }

    @Test func aSegmentOfWhichNothingIsLeftCostsNoOther() throws {
        // The one before has lost its last message, so that nothing says where this one began.
        for size in 1...60 {
            var files = log(8)
            files[0].bytes[files[0].bytes.count - 5] ^= 1
            files[1].bytes = Array(files[1].bytes[..<size])
            let bits: ExitBits = [.corrected, .messagesLost]
            #expect(
                try RepairBench.idsAfterRepair(files, bits: bits) == [0, 1] + Array(6..<24),
                "\(size)")
        }
    }

    @Test func aSegmentCutBehindALostFrameCostsNoOther() throws {
        for size in 1..<38 {
            var files = log(8)
            files[0].bytes[files[0].bytes.count - 5] ^= 1
            let bench = RepairBench(files)
            _ = try bench.repair()
            for index in files.indices {
                files[index].bytes = bench.files["/data/topics/orders/\(files[index].name)"] ?? []
            }
            files[1].bytes = Array(files[1].bytes[..<size])
            let bits: ExitBits = [.corrected, .messagesLost]
            #expect(
                try RepairBench.idsAfterRepair(files, bits: bits) == [0, 1] + Array(6..<24),
                "\(size)")
        }
    }

    @Test func aCopyUnderAnotherNameMakesUpForADamagedOne() throws {
        var files = log(3)
        files.insert((name(4), files[1].bytes), at: 2)
        files[1].bytes[files[1].bytes.count - 5] ^= 1
        #expect(try RepairBench.idsAfterRepair(files) == Array(0..<9))
    }

    @Test func oneFileOfARenamedSegmentIsNotRepairedAlone() throws {
        var files = log()
        files[2].name = name(5)
        let bench = RepairBench(files)
        let before = bench.files
        let path = RepairBench.directory.appending(name(5))
        let outcome = try bench.repair(.all, path)
        #expect(outcome.problems.map(\.error) == [.misnamed(path)])
        #expect(bench.files == before)
    }
}
