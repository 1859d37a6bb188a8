import DataDirectory
import Inspection
import SystemPackage
import Testing
import Threads
import WALTestSupport

@testable import Repair
@testable import WAL

/// Each finding and what the repair makes of it.
@Suite struct FindingRepairTests {
    private func segment(_ count: Int, firstID: UInt64 = 0, closed: Bool = true) -> SegmentBuilder {
        var segment = SegmentBuilder(firstID: firstID)
        for number in 0..<count {
            segment.add(numbered(Int(firstID) + number..<Int(firstID) + number + 1))
        }
        if closed { segment.addMark() }
        return segment
    }

    /// Checks, repairs, checks again, repairs again, undoes, and repairs once more; gives the ids
    /// of the messages that are left.
    @discardableResult
    private func play(
        _ bench: RepairBench, found: [FindingKind], bits: ExitBits, repaired: ExitBits,
        mode: Repair.Mode = .all, at location: SourceLocation = #_sourceLocation
    ) throws -> [UInt64] {
        let before = bench.files
        let check = try bench.check()
        #expect(
            check.topics.flatMap(\.findings).filter { $0.severity > .remark }.map(\.kind) == found,
            sourceLocation: location)
        #expect(check.exitBits == bits, sourceLocation: location)
        #expect(bench.files == before, sourceLocation: location)
        let outcome = try bench.repair(mode)
        #expect(
            outcome.bits == repaired, "\(outcome.problems) \(outcome.report.actions)",
            sourceLocation: location)
        let after = bench.files
        let again = try bench.check()
        #expect(
            again.exitBits == [], "\(again.topics.flatMap(\.findings))", sourceLocation: location)
        let second = try bench.repair(mode)
        #expect(second.bits == [], sourceLocation: location)
        #expect(second.report.actions.isEmpty, sourceLocation: location)
        #expect(bench.files == after, sourceLocation: location)
        let kept = try #require(outcome.keptIn, sourceLocation: location)
        let undone = try Undo(kept, on: bench.storage).run()
        #expect(!undone.isEmpty, sourceLocation: location)
        #expect(bench.files == before, sourceLocation: location)
        #expect(try Undo(kept, on: bench.storage).run().isEmpty, sourceLocation: location)
        #expect(try bench.repair(mode).bits == repaired, sourceLocation: location)
        #expect(bench.files == after, sourceLocation: location)
        let seen = try bench.messagesThenAppend()
        return seen.keys.sorted()
    }

    // MARK: What opening would do

    @Test func aTornTailIsCutAndKept() throws {
        var segment = segment(3, closed: false)
        segment.add(numbered(3..<6))
        segment.bytes.removeLast(3)
        for mode in [Repair.Mode.preen, .all] {
            let bench = RepairBench(LogImage(segment))
            let ids = try play(
                bench, found: [.tornTail], bits: .uncorrected, repaired: .corrected, mode: mode)
            #expect(ids == [0, 1, 2, 3, 4])
            let torn = segment.frames[6].range.lowerBound
            let kept = bench.files.first { $0.key.contains(".torn-") }
            #expect(kept?.value == Array(segment.bytes[torn...]))
            #expect(kept?.key.hasSuffix(".torn-\(segment.base + UInt64(torn))") == true)
        }
    }

    @Test func aStaleTemporaryFileIsSetAsideAndRemoved() throws {
        for mode in [Repair.Mode.preen, .all] {
            for name in ["segment.log.tmp", "offsets.json.tmp"] {
                let bench = RepairBench(
                    LogImage(segment(3)), acked: 1, [(name, Array("half a file".utf8))])
                try play(
                    bench, found: [.staleTemp], bits: .uncorrected, repaired: .corrected,
                    mode: mode)
            }
        }
    }

    @Test func aStaleTemporaryFileOfTheSegmentThatIsRepairedIsSetAsideToo() throws {
        var segment = segment(3)
        segment.bytes[segment.frames[2].range.upperBound - 1] ^= 1
        let bench = RepairBench(
            LogImage(segment), [("segment.log.tmp", Array("half a file".utf8))])
        try play(
            bench, found: [.badCRC, .staleTemp], bits: [.uncorrected, .messagesLost],
            repaired: [.corrected, .messagesLost])
    }

    @Test func preeningWritesNothingWhenAnythingWorseIsFound() throws {
        var damaged = segment(3)
        damaged.bytes[damaged.frames[2].range.upperBound - 1] ^= 1
        let bench = RepairBench(LogImage(damaged), [("segment.log.tmp", [1])])
        bench.disk.putDirectory("/data/topics/torn")
        var torn = segment(2)
        torn.add(garbage: [1, 2, 3])
        bench.disk.put(torn.bytes, at: "/data/topics/torn/segment.log")
        let before = bench.disk.allFiles
        bench.disk.startTrace()
        let outcome = try bench.repair(.preen)
        #expect(outcome.bits == [.uncorrected, .messagesLost])
        #expect(bench.disk.allFiles == before)
    }

    @Test func aPreenThatIsCancelledTellsWhatItHasSeen() throws {
        var damaged = segment(3)
        damaged.bytes[damaged.frames[2].range.upperBound - 1] ^= 1
        let bench = RepairBench(LogImage(damaged))
        bench.disk.putDirectory("/data/topics/pears")
        bench.disk.put(segment(2).bytes, at: "/data/topics/pears/segment.log")
        let before = bench.files
        var asked = 0
        let outcome = Repair(
            try bench.target(), mode: .preen, on: bench.storage, now: RepairBench.now
        ).run(isCancelled: {
            asked += 1
            return asked > 1
        })
        #expect(outcome.report.topics.map(\.verdict) == [.damaged, .error])
        #expect(outcome.bits == [.uncorrected, .messagesLost, .cancelled])
        #expect(bench.files == before)
    }

    // MARK: Damage

    @Test func whatIsSaidOfOffsetsLiesWithinTheFile() throws {
        for text in ["{}", "{\"consumers\": {}, \"crc32\": \"00000000\"}\n", "", "\n\n"] {
            let bytes = Array(text.utf8)
            let bench = RepairBench(LogImage(segment(2)), [(DataLayout.offsetsName, bytes)])
            let finding = try #require(
                try bench.check().topics[0].findings.first { $0.kind == .offsetsDamaged })
            #expect(finding.offset + finding.length == UInt64(bytes.count), "\(text)")
        }
    }

    @Test func everyKindOfDamagedPlaceBecomesALostFrameOfItsLength() throws {
        func changed(_ change: (inout [UInt8], Range<Int>) -> Void) -> SegmentBuilder {
            var segment = segment(5)
            change(&segment.bytes, segment.frames[3].range)
            return segment
        }
        let cases: [(FindingKind, SegmentBuilder)] = [
            (.badCRC, changed { $0[$1.upperBound - 1] ^= 1 }),
            (.badLength, changed { $0[$1.lowerBound + 3] ^= 0x80 }),
            (.zeroHole, changed { for at in $1 { $0[at] = 0 } }),
            (
                .badID,
                changed {
                    $0[$1.lowerBound + FrameLayout.id] ^= 0x40; $0.mendCRC($1)
                }
            ),
            (
                .badPosition,
                changed {
                    $0[$1.lowerBound + FrameLayout.position] ^= 0x40; $0.mendCRC($1)
                }
            ),
            (
                .badInner,
                changed {
                    $0[$1.lowerBound + FrameLayout.presence] |= 4; $0.mendCRC($1)
                }
            ),
        ]
        for (kind, segment) in cases {
            let bench = RepairBench(LogImage(segment))
            let ids = try play(
                bench, found: [kind], bits: [.uncorrected, .messagesLost],
                repaired: [.corrected, .messagesLost])
            #expect(ids == [0, 1, 3, 4])
        }
    }

    @Test func aDamagedMarkIsWrittenAnewInItsPlace() throws {
        var segment = segment(3)
        let sound = segment.bytes
        segment.bytes[5] ^= 1
        let bench = RepairBench(LogImage(segment))
        let ids = try play(
            bench, found: [.badCRC], bits: .uncorrected, repaired: .corrected)
        #expect(ids == [0, 1, 2])
        // Its time is that of the frame behind it; all else is as it was.
        let mended = try #require(bench.files["/data/topics/orders/segment.log"])
        #expect(Array(mended[0..<20]) == Array(sound[0..<20]))
        #expect(Array(mended[38..<sound.count]) == Array(sound[38...]))
    }

    @Test func withoutTheMarkAndTheFirstMessageTheFirstIDFollowsFromTheFirstWholeFrame() throws {
        var segment = segment(5, firstID: 100)
        for at in 0..<60 { segment.bytes[at] = 0xEE }
        let bench = RepairBench(LogImage(segment))
        let report = try bench.check()
        #expect(report.topics[0].findings.first?.lost == 100...100)
        let ids = try play(
            bench, found: [.badLength], bits: [.uncorrected, .messagesLost],
            repaired: [.corrected, .messagesLost])
        #expect(ids == [101, 102, 103, 104])
    }

    @Test func aSegmentWhoseMarkWasCutOffKeepsAllItsMessages() throws {
        var segment = segment(4)
        segment.bytes.removeFirst(38)
        let bench = RepairBench(LogImage(segment))
        let ids = try play(
            bench, found: [.badPosition], bits: .uncorrected, repaired: .corrected)
        #expect(ids == [0, 1, 2, 3])
    }

    @Test func aMissingSegmentBecomesALostFrameAtTheEndOfTheOneBefore() throws {
        let first = segment(3, closed: false)
        var second = first.next()
        second.add(numbered(3..<8))
        var third = second.next()
        third.add(numbered(8..<10))
        let bench = RepairBench([
            (first.name, first.bytes), (SegmentName.activeName, third.bytes),
        ])
        let ids = try play(
            bench, found: [.segmentMissing], bits: [.uncorrected, .messagesLost],
            repaired: [.corrected, .messagesLost])
        #expect(ids == [0, 1, 2, 8, 9])
        let repaired = try #require(bench.files["/data/topics/orders/" + first.name])
        #expect(repaired.count == first.bytes.count + 46)
    }

    @Test func ofTwoSegmentsWithTheSameIDsTheActiveOneIsSetAside() throws {
        let first = segment(3, closed: false)
        let bench = RepairBench([
            (first.name, first.bytes), (SegmentName.activeName, first.bytes),
        ])
        let ids = try play(
            bench, found: [.segmentOverlap], bits: .uncorrected, repaired: .corrected)
        #expect(ids == [0, 1, 2])
    }

    @Test func aSegmentThatWasRestoredBesideItsSuccessorsGivesWay() throws {
        let long = segment(6, closed: false)
        var first = segment(3, closed: false)
        first.timestamp = long.timestamp
        var second = first.next()
        second.add(numbered(3..<9))
        let bench = RepairBench([
            (first.name, long.bytes), (SegmentName.activeName, second.bytes),
        ])
        let ids = try play(
            bench, found: [.segmentOverlap], bits: .uncorrected, repaired: .corrected)
        #expect(ids == Array(0..<9))
    }

    @Test func anAcknowledgementBeyondTheEndGetsALostFrameUpToIt() throws {
        for closed in [true, false] {
            let bench = RepairBench(LogImage(segment(3, closed: closed)), acked: 9)
            let ids = try play(
                bench, found: [.ackedBeyondEnd], bits: [.uncorrected, .messagesLost],
                repaired: [.corrected, .messagesLost])
            #expect(ids == [0, 1, 2])
            let report = try bench.check()
            #expect(report.topics[0].nextID == 11)
        }
    }

    @Test func aTopicOfWhichOnlyTheAcknowledgementsAreLeftGoesOnBehindThem() throws {
        let bench = RepairBench([(DataLayout.offsetsName, RepairBench.offsets(4))])
        let outcome = try bench.repair()
        #expect(outcome.bits == [.corrected, .messagesLost])
        #expect(try bench.check().topics[0].nextID == 5)
        #expect(try bench.messagesThenAppend().isEmpty)
    }

    @Test func damagedOffsetsAreSetAsideAndATornEndIsCut() throws {
        var torn = segment(3, closed: false)
        torn.add(numbered(3..<5))
        torn.bytes.removeLast(1)
        let bench = RepairBench(
            LogImage(torn), [(DataLayout.offsetsName, Array("not what it was\n".utf8))])
        #expect(try bench.check().verdict == .damaged)
        let ids = try play(
            bench, found: [.tornTail, .offsetsDamaged], bits: .uncorrected,
            repaired: .corrected)
        #expect(ids == [0, 1, 2, 3])
        #expect(bench.files["/data/topics/orders/offsets.json"] == nil)
    }

    @Test func aNewerLogIsRefusedWhole() throws {
        var newer = segment(4)
        newer.bytes[newer.frames[2].range.lowerBound + FrameLayout.presence] |= 0x20
        newer.bytes.mendCRC(newer.frames[2].range)
        newer.bytes[newer.frames[1].range.upperBound - 1] ^= 1
        let bench = RepairBench(
            LogImage(newer),
            [("segment.log.tmp", [1]), (DataLayout.offsetsName, [1, 2, 3])])
        let before = bench.disk.allFiles
        for mode in [Repair.Mode.preen, .all] {
            #expect(try bench.repair(mode).bits == .uncorrected)
            #expect(bench.disk.allFiles == before)
        }
    }

    @Test func aLogInUseIsLeftAlone() throws {
        var torn = segment(3)
        torn.add(garbage: [1, 2, 3])
        let bench = RepairBench(LogImage(torn))
        let before = bench.disk.allFiles
        let lock = try bench.disk.lock(RepairBench.directory)
        #expect(try bench.repair().bits == .operational)
        #expect(try bench.repair(.preen).bits == .operational)
        #expect(bench.disk.allFiles == before)
        lock.release()
        #expect(try bench.repair().bits == .corrected)
    }

    @Test func undoRefusesWhatHasChangedSince() throws {
        var torn = segment(3)
        torn.add(garbage: [1, 2, 3])
        let bench = RepairBench(LogImage(torn))
        let kept = try #require(try bench.repair().keptIn)
        _ = try bench.messagesThenAppend()
        let now = bench.disk.allFiles
        #expect(throws: RepairError.changedSince("/data/topics/orders/segment.log")) {
            try Undo(kept, on: bench.storage).run()
        }
        #expect(bench.disk.allFiles == now)
        #expect(throws: RepairError.self) { try Undo("/data/topics", on: bench.storage).run() }
    }

    @Test func aFullDiskChangesNothing() throws {
        var segment = segment(30)
        segment.bytes[segment.frames[12].range.upperBound - 1] ^= 1
        let bench = RepairBench(LogImage(segment), [("segment.log.tmp", [7, 7])])
        let before = bench.files
        // Room for less and less of what a repair writes.
        for room in stride(from: 0, through: segment.bytes.count, by: 300) {
            bench.disk.capacity = bench.disk.used + room
            let outcome = try bench.repair()
            #expect(outcome.bits == .operational, "room \(room)")
            #expect(bench.files == before, "room \(room)")
        }
        bench.disk.capacity = .max
        #expect(try bench.repair().bits == [.corrected, .messagesLost])
        #expect(try bench.check().exitBits == [])
    }

    @Test func anyCallThatFailsLeavesTheOldFileOrTheNewOne() throws {
        var segment = segment(6)
        segment.bytes[segment.frames[2].range.upperBound - 1] ^= 1
        let image = LogImage(segment)
        let sound = RepairBench(image)
        #expect(try sound.repair().bits == [.corrected, .messagesLost])
        let name = "/data/topics/orders/segment.log"
        let new = try #require(sound.files[name])
        var failures = 0
        for number in 0..<400 {
            let bench = RepairBench(image)
            let count = Monitor(0)
            bench.disk.follow { call in
                count.withLock {
                    $0 += 1; return $0
                } == number + 1 ? .fail(.ioError) : nil
            }
            let outcome = try? bench.repair()
            bench.disk.follow(nil)
            if count.withLock({ $0 }) <= number { break }
            failures += 1
            let there = try #require(bench.files[name])
            #expect(there == segment.bytes || there == new, "call \(number)")
            if let outcome, outcome.bits.contains(.corrected) { #expect(there == new) }
            _ = try bench.repair()
            #expect(try bench.check().exitBits == [], "call \(number)")
            #expect(bench.files[name] == new, "call \(number)")
        }
        #expect(failures > 40)
    }
}
