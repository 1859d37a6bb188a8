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

    @Test(arguments: [1, 2, 4, 5, 7, 8, 9, 11, 12, 13, 100])
    func aSegmentUnderAnyOtherNameLosesNothing(_ first: UInt64) throws {
        for renamed in 0..<3 {
            var files = log()
            let sound = Dictionary(uniqueKeysWithValues: files.map { ($0.name, $0.bytes) })
            guard sound[name(first)] == nil else { continue }
            files[renamed].name = name(first)
            let bench = RepairBench(files)
            #expect(try bench.check().exitBits == .uncorrected, "\(renamed)")
            #expect(try RepairBench.idsAfterRepair(files) == Array(0..<12), "\(renamed)")
            _ = try bench.repair()
            let there = sound.mapKeys { "/data/topics/orders/\($0)" }
            #expect(bench.files == there, "\(renamed)")
        }
    }

    @Test func segmentsThatChangedPlacesChangeBack() throws {
        for one in 0..<4 {
            for other in 0..<one {
                var files = log()
                let sound = RepairBench(files).files
                (files[one].bytes, files[other].bytes) = (files[other].bytes, files[one].bytes)
                let bench = RepairBench(files)
                #expect(try bench.check().topics[0].nextID == 12)
                #expect(try bench.check().exitBits == .uncorrected, "\(one), \(other)")
                #expect(try RepairBench.idsAfterRepair(files) == Array(0..<12))
                #expect(try bench.repair().bits == .corrected)
                #expect(bench.files == sound, "\(one), \(other)")
            }
        }
    }

    @Test func theTornTailOfAnActiveSegmentUnderASealedNameIsNoLoss() throws {
        var files = log(3)
        files[2].bytes += [1, 2, 3, 4, 5]
        (files[1].bytes, files[2].bytes) = (files[2].bytes, files[1].bytes)
        let bench = RepairBench(files)
        let found = try bench.check()
        #expect(found.topics[0].findings.contains { $0.kind == .tornTail })
        #expect(found.exitBits == .uncorrected)
        #expect(try RepairBench.idsAfterRepair(files) == Array(0..<9))
        _ = try bench.repair()
        #expect(bench.files.contains { $0.key.contains(".torn-") && $0.value == [1, 2, 3, 4, 5] })
    }

    @Test func aCopyOfTheActiveSegmentUnderASealedNameIsNoLoss() throws {
        for first: UInt64 in [1, 7, 8, 9, 50] {
            var files = log(3)
            files.append((name(first), files[2].bytes))
            #expect(try RepairBench(files).check().exitBits == .uncorrected, "\(first)")
            #expect(try RepairBench.idsAfterRepair(files) == Array(0..<9), "\(first)")
        }
    }

    @Test func aNameIsBelievedWhereNothingElseTellsHowFarTheLogHadCome() throws {
        var files = Array(log(3).dropLast())
        files[1].name = name(20)
        let found = try RepairBench(files).check()
        #expect(found.topics[0].nextID == 20)
        #expect(found.exitBits == [.uncorrected, .messagesLost])
        #expect(
            try RepairBench.idsAfterRepair(files, bits: [.corrected, .messagesLost])
                == Array(0..<6))
    }

    @Test(arguments: [10, 11, 12])
    func aFileWithoutAMessageUnderANameOfTheActiveSegmentIsSetAsideAndCostsNone(
        _ first: UInt64
    ) throws {
        let end = SegmentBuilder(firstID: first, base: 1 << 41)
        for bytes in [[], end.bytes] {
            let files = log() + [(name(first), bytes)]
            let outcome = try RepairBench(files).repair()
            #expect(outcome.report.actions.map(\.kind) == [.remove])
            #expect(outcome.report.actions.map(\.file) == [name(first)])
            #expect(try RepairBench.idsAfterRepair(files) == Array(0..<12))
        }
    }

    @Test func theSegmentOfAnotherLogCostsNoMessageOfThisOne() throws {
        for place in 0..<4 {
            for base: UInt64 in [1 << 20, 1 << 61] {
                var files = log()
                var stranger = SegmentBuilder(firstID: UInt64(place) * 3, base: base)
                for _ in 0..<3 { stranger.add(TestMessage("a stranger \(stranger.nextID)")) }
                files[place].bytes = stranger.bytes
                let bench = RepairBench(files)
                let outcome = try bench.repair()
                #expect(outcome.bits == [.corrected, .messagesLost])
                let gone = UInt64(place) * 3...UInt64(place) * 3 + 2
                #expect(outcome.report.topics[0].findings.compactMap(\.lost) == [gone])
                #expect(
                    outcome.report.topics[0].findings.contains {
                        $0.detail.contains("of another log")
                    })
                let left = try bench.messagesThenAppend()
                #expect(left.keys.sorted() == (0..<12).filter { !gone.contains($0) })
                #expect(try bench.check().topics[0].nextID == 13)
            }
        }
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

    @Test func whatIsMadeUpForALostFirstSegmentIsNotLaterThanTheNextOne() throws {
        var files = log()
        for index in 30..<files[0].bytes.count { files[0].bytes[index] ^= 0x55 }
        let bench = RepairBench(files)
        #expect(try bench.repair().bits == [.corrected, .messagesLost])
        #expect(try bench.check().topics[0].findings.map(\.kind) == [.lost])
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

extension Dictionary {
    fileprivate func mapKeys<Other: Hashable>(_ new: (Key) -> Other) -> [Other: Value] {
        Dictionary<Other, Value>(uniqueKeysWithValues: map { (new($0.key), $0.value) })
    }
}
