import SystemPackage
import Testing
import TestSupport
import Threads
import WALTestSupport

@testable import WAL

/// Sealing, preallocation and dropping.
@Suite struct LogSegmentTests {
    private let directory = LogImage.directory

    private func small(_ disk: MemoryDisk? = nil) -> LogFixture {
        LogFixture(disk: disk ?? LogImage(files: []).disk()) { _ in
        } _: {
            $0.segmentBytes = 4096
        }
    }

    private let message = TestMessage([UInt8](repeating: 7, count: 1000))

    @Test func aSegmentIsSealedWhenTheNextCommitDoesNotFit() throws {
        let fixture = small()
        let log = try fixture.open()
        for _ in 0..<10 { try log.append(message) }
        #expect(
            fixture.names == [
                "00000000000000000000.log", "00000000000000000003.log",
                "00000000000000000006.log", "segment.log",
            ])
        for name in fixture.names {
            let bytes = fixture.bytes(name)
            #expect(bytes.count <= 4096)
            let all = frames(in: bytes)
            #expect(all.reduce(0) { $0 + $1.frame.bytes } == bytes.count, "\(name)")
            #expect(all.first?.frame.isMark == true)
        }
        #expect(try log.contents().map(\.id) == (0..<10).map { $0 })
        #expect(try fixture.disk.examine().verdict == .clean)
        #expect(try fixture.reopenedAfterPowerLoss().contents().count == 10)
        try log.close()
    }

    @Test func theOrderOfCallsOfASealIsThatOfTheContract() throws {
        let fixture = small()
        let log = try fixture.open()
        for _ in 0..<3 { try log.append(message) }
        fixture.disk.startTrace()
        try log.append(message)
        let calls = fixture.disk.trace.filter { $0.isWrite || $0.operation == .open }
        #expect(
            calls.map { "\($0.operation.rawValue) \($0.name)" } == [
                "sync segment.log", "rename segment.log", "sync directory l",
                "open segment.log", "write segment.log", "sync segment.log",
                "sync directory l", "write segment.log", "sync segment.log",
            ])
        try log.close()
    }

    @Test func aCommitDoesNotSpanSegmentsHoweverItIsStaged() throws {
        var random = Seeded(21)
        for _ in 0..<10 {
            let fixture = small()
            let log = try fixture.open()
            for _ in 0..<20 {
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    let count = Int.random(in: 0...2000, using: &random)
                    _ = try log.appendLater(TestMessage(random.bytes(count)))
                }
                _ = fixture.host.step()
            }
            try log.close()
            for name in fixture.names {
                // The first frame behind the mark begins a commit.
                let first = frames(in: fixture.bytes(name)).first { $0.frame.isMessage }
                #expect(first?.frame.fields.commitIndex == 0)
            }
            #expect(try fixture.disk.examine().verdict == .clean)
        }
    }

    @Test func aMessageLargerThanASegmentHasOneToItself() throws {
        let fixture = small()
        let log = try fixture.open()
        let large = TestMessage([UInt8](repeating: 1, count: 10_000))
        for message in [large, message, large, large, message] { try log.append(message) }
        #expect(try log.contents().map(\.message) == [large, message, large, large, message])
        try log.close()
        #expect(fixture.names.count == 5)
        #expect(try fixture.disk.examine().verdict == .clean)
    }

    @Test func aSegmentWithNothingButMarksIsNotSealed() throws {
        let fixture = small()
        // The closing mark of each round would fill the segment in the end if there were any.
        for _ in 0..<5 { try fixture.open().close() }
        let log = try fixture.open()
        try log.append(TestMessage([UInt8](repeating: 1, count: 5000)))
        #expect(fixture.names == ["segment.log"])
        try log.close()
    }

    @Test func lostFramesRollSegmentsToo() throws {
        let fixture = small()
        let log = try fixture.open()
        for _ in 0..<200 { try log.appendLost(3) { _ in } }
        fixture.host.runAll()
        #expect(log.durable == MessageID(0)..<MessageID(600))
        #expect(fixture.names.count > 1)
        try log.close()
        let again = try fixture.reopenedAfterPowerLoss()
        #expect(again.recovery.ids == MessageID(0)..<MessageID(600))
        #expect(try again.contents().isEmpty)
    }

    @Test(arguments: [Errno.noSpace, .diskQuotaExceeded, .fileTooLarge], [true, false])
    func aDiskThatIsFullWhereASegmentBeginsKeepsNobodyFromReading(
        reason: Errno, opens: Bool
    ) throws {
        let fixture = small()
        let disk = fixture.disk
        let log = try fixture.open()
        for _ in 0..<3 { try log.append(message) }
        // Making the file fails, or writing its mark.
        let operation = opens ? DiskError.Operation.open : .write
        disk.follow {
            $0.name == "segment.log" && $0.operation == operation ? .fail(reason) : nil
        }
        #expect(throws: LogError.self) { try log.append(message) }
        try log.close()
        for _ in 0..<2 {
            let again = try fixture.open()
            #expect(again.durable == MessageID(0)..<MessageID(3))
            #expect(try again.contents().map(\.id) == [0, 1, 2])
            let full = DiskError(
                operation: operation, path: directory.appending("segment.log"), errno: reason)
            #expect(throws: LogError.notWritten(full)) { try again.append(message) }
            #expect(try again.contents().count == 3)
            try again.close()
        }
        let again = try fixture.open()
        disk.follow(nil)
        #expect(try again.append(message) == 3)
        #expect(try again.contents().map(\.id) == [0, 1, 2, 3])
        #expect(try fixture.reopenedAfterPowerLoss().contents().map(\.id) == [0, 1, 2, 3])
        try again.close()
        #expect(try disk.examine().verdict == .clean)
    }

    @Test func withNothingToReadAFullDiskRefusesTheLog() throws {
        let fixture = small()
        fixture.disk.follow { $0.isWrite && $0.name == "segment.log" ? .fail(.noSpace) : nil }
        #expect(throws: OpenError.self) { try fixture.open() }
        fixture.disk.follow(nil)
        let log = try fixture.open()
        #expect(try log.append(message) == 0)
        try log.close()
    }

    // MARK: Preallocation

    @Test func aSmallLogIsAsLongAsItsFrames() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        for _ in 0..<20 {
            try log.append(message)
            let end = frames(in: fixture.bytes()).reduce(0) { $0 + $1.frame.bytes }
            #expect(fixture.bytes().count == end)
        }
        try log.close()
    }

    @Test func aBusyLogGrowsByZerosUpToASegmentAndIsCutWhenItCloses() throws {
        let fixture = LogFixture { _ in
        } _: {
            $0.segmentBytes = 1 << 20
        }
        let log = try fixture.open()
        var sizes: Set<Int> = []
        var commits = 0
        while fixture.names.count == 1 {
            try log.append(message)
            commits += 1
            let bytes = fixture.bytes()
            sizes.insert(bytes.count)
            #expect(bytes.count <= 1 << 20)
        }
        #expect(sizes.count < commits / 4, "the size changes with few commits only")
        let sealed = fixture.bytes("00000000000000000000.log")
        #expect(frames(in: sealed).reduce(0) { $0 + $1.frame.bytes } == sealed.count)
        for _ in 0..<100 { try log.append(message) }
        let busy = fixture.bytes()
        let end = frames(in: busy).reduce(0) { $0 + $1.frame.bytes }
        #expect(busy.count > end)
        #expect(busy[end...].allSatisfy { $0 == 0 })
        // Killed here: the zeros are found and used again.
        let killed = LogFixture(disk: fixture.disk.afterPowerLoss())
        let again = try killed.open()
        #expect(again.recovery.tail == .zeros(bytes: UInt64(busy.count - end)))
        try again.append(message)
        #expect(killed.bytes().count >= busy.count)
        try again.close()
        try log.close()
        for bytes in [killed.bytes(), fixture.bytes()] {
            #expect(frames(in: bytes).reduce(0) { $0 + $1.frame.bytes } == bytes.count)
        }
    }

    // MARK: Dropping

    /// Ten messages in segments 0, 3, 6 and the active one from 9 on.
    private func ten(_ fixture: LogFixture) throws -> Log {
        let log = try fixture.open()
        for _ in 0..<10 { try log.append(message) }
        return log
    }

    @Test func onlyWholeSegmentsBelowTheIDAreDroppedOldestFirst() throws {
        for (below, first) in [(0, 0), (1, 0), (2, 0), (3, 3), (5, 3), (6, 6), (9, 9), (99, 9)] {
            let fixture = small()
            let log = try ten(fixture)
            fixture.disk.startTrace()
            let left = try log.drop(below: MessageID(UInt64(below)))
            #expect(left == MessageID(UInt64(first)), "below \(below)")
            #expect(log.durable == left..<MessageID(10))
            let calls = fixture.disk.trace.filter(\.isWrite).map(\.operation)
            #expect(
                calls
                    == Array(repeating: [.remove, .syncDirectory], count: first / 3).joined()
                    .map { $0 })
            let expected = Array(first..<10).map(UInt64.init)
            #expect(try log.contents().map(\.id) == expected)
            #expect(try fixture.reopenedAfterPowerLoss().contents().map(\.id) == expected)
            try log.close()
        }
    }

    @Test func theNewestSealedSegmentStaysWhileTheActiveOneHasNoMessage() throws {
        // Killed between the making of segment.log and the commit that it was made for.
        let fixture = small()
        _ = try ten(fixture)
        let image = LogImage(
            files: fixture.names.map { name in
                (name, Array(fixture.bytes(name).prefix(name == "segment.log" ? 38 : .max)))
            })
        let again = small(image.disk())
        let log = try again.open()
        #expect(log.durable == MessageID(0)..<MessageID(9))
        #expect(try log.drop(below: MessageID(9)) == MessageID(6))
        #expect(try again.reopenedAfterPowerLoss().durable == MessageID(6)..<MessageID(9))
        try log.append(message)
        #expect(try log.drop(below: MessageID(9)) == MessageID(9))
        try log.close()
    }

    @Test func aDropThatFailsLeavesNoGapBehindHoweverOftenItIsTried() throws {
        for failing in [DiskError.Operation.remove, .syncDirectory] {
            for times in 1...3 {
                let fixture = small()
                let log = try ten(fixture)
                let failures = Observed(times)
                fixture.disk.follow { call in
                    guard call.operation == failing, failures.value > 0 else { return nil }
                    failures.update { $0 -= 1 }
                    return .fail(.ioError)
                }
                for _ in 0..<times {
                    #expect(throws: LogError.self) { try log.drop(below: MessageID(6)) }
                    // What is there joins up, in the cache and on the disk.
                    #expect(try fixture.disk.examine().verdict == .clean)
                    #expect(try fixture.disk.afterPowerLoss().examine().verdict == .clean)
                }
                #expect(try log.drop(below: MessageID(6)) == MessageID(6))
                #expect(try fixture.disk.examine().verdict == .clean, "\(failing) \(times)")
                #expect(fixture.names.first == "00000000000000000006.log")
                #expect(try fixture.disk.afterPowerLoss().examine().verdict == .clean)
                try log.close()
            }
        }
    }

    @Test func aReaderThatIsOvertakenByADropGoesOnWithWhatIsLeft() throws {
        let fixture = small()
        let log = try ten(fixture)
        var reader = log.reader(from: MessageID(0))
        var seen: [UInt64] = []
        _ = try reader.read(upTo: 1) {
            seen.append($0.id.rawValue)
            return .next
        }
        try log.drop(below: MessageID(9))
        while try reader.read(
            upTo: 1,
            {
                seen.append($0.id.rawValue)
                return .next
            }) > 0
        {}
        #expect(seen.first == 0)
        #expect(seen.last == 9)
        #expect(seen == seen.sorted())
        try log.close()
    }

    @Test func manyThreadsMayDropAtOnce() throws {
        for _ in 0..<20 {
            let fixture = small()
            let log = try fixture.open()
            for _ in 0..<100 { try log.append(message) }
            let ended = Observed(0)
            let threads = (0..<4).map { _ in
                OwnedThread {
                    for id in 0..<60 { _ = try? log.drop(below: MessageID(UInt64(id))) }
                    ended.update { $0 += 1 }
                }
            }
            #expect(ended.wait { $0 == 4 })
            threads.forEach { $0.join() }
            #expect(log.durable.lowerBound == MessageID(57))
            #expect(fixture.names.first == "00000000000000000057.log")
            #expect(try fixture.disk.examine().verdict == .clean)
            try log.close()
        }
    }

    @Test func readersDoNotNoticeThatSegmentsAreDropped() throws {
        for _ in 0..<10 {
            let fixture = small()
            let log = try fixture.open()
            for _ in 0..<150 { try log.append(message) }
            let failures = Observed<[any Error]>([])
            let isOver = Observed(false)
            let ended = Observed(0)
            let threads = (0..<3).map { _ in
                OwnedThread {
                    while !isOver.value {
                        var reader = log.reader(from: MessageID(0))
                        do {
                            _ = try reader.read(upTo: 1) { _ in .next }
                        } catch { failures.update { $0.append(error) } }
                    }
                    ended.update { $0 += 1 }
                }
            }
            for id in 0..<150 { try log.drop(below: MessageID(UInt64(id))) }
            isOver.update { $0 = true }
            #expect(ended.wait { $0 == 3 })
            threads.forEach { $0.join() }
            #expect(failures.value.isEmpty)
            try log.close()
            #expect(fixture.disk.descriptors == 0)
        }
    }
}
