import SystemPackage
import Testing
import Threads
import WALTestSupport

@testable import WAL

/// Reading: from where, how far, across seals, and what a reader costs.
@Suite struct LogReaderTests {
    private func fixture(_ segmentBytes: Int = 4096) -> LogFixture {
        LogFixture { _ in
        } _: {
            $0.segmentBytes = segmentBytes
        }
    }

    private func message(_ number: Int) -> TestMessage {
        TestMessage([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 300 + number % 7))
    }

    /// A log with messages, lost frames and marks in several segments, and what it holds.
    private func mixed(_ fixture: LogFixture) throws -> (Log, [UInt64: TestMessage]) {
        let log = try fixture.open()
        var expected: [UInt64: TestMessage] = [:]
        for number in 0..<60 {
            if number % 13 == 5 {
                try log.appendLost(UInt64(number)) { _ in }
                fixture.host.runAll()
            }
            let id = try log.append(message(number))
            expected[id] = message(number)
        }
        return (log, expected)
    }

    @Test func everyIDIsAPlaceToBeginAndEveryLimitGivesTheSame() throws {
        let fixture = fixture()
        let (log, expected) = try mixed(fixture)
        #expect(fixture.names.count > 4)
        let ids = expected.keys.sorted()
        let end = log.durable.upperBound.rawValue
        for reopened in [false, true] {
            let log = reopened ? try fixture.reopenedAfterPowerLoss() : log
            for start in 0...end + 2 {
                let seen = try log.contents(from: start)
                #expect(seen.map(\.id) == ids.filter { $0 >= start })
                #expect(seen.allSatisfy { $0.message == expected[$0.id] })
            }
            for limit in [1, 2, 7, 1000] {
                var reader = log.reader(from: MessageID(0))
                var seen: [UInt64] = []
                while case let count = try reader.read(
                    upTo: limit,
                    {
                        seen.append($0.id.rawValue)
                        return .next
                    }), count > 0
                { #expect(count <= limit) }
                #expect(seen == ids)
                let position = reader.position
                #expect(position.rawValue == end)
            }
        }
        try log.close()
    }

    @Test func stopCountsTheMessageAndStopBeforeDoesNot() throws {
        let fixture = fixture()
        let log = try fixture.open()
        for number in 0..<30 { try log.append(message(number)) }
        var reader = log.reader(from: MessageID(0))
        var seen: [UInt64] = []
        func read(_ step: (UInt64) -> ReadStep) throws -> Int {
            try reader.read(upTo: 100) {
                seen.append($0.id.rawValue)
                return step($0.id.rawValue)
            }
        }
        #expect(try read { $0 == 3 ? .stop : .next } == 4)
        #expect(try read { $0 == 6 ? .stopBefore : .next } == 2)
        #expect(try read { _ in .stopBefore } == 0)
        #expect(try read { _ in .stopBefore } == 0)
        var position = reader.position
        #expect(position == MessageID(6))
        #expect(try read { _ in .next } == 24)
        #expect(try read { _ in .next } == 0)
        #expect(seen == [0, 1, 2, 3, 4, 5, 6, 6, 6] + Array(6..<30))
        position = reader.position
        #expect(position == MessageID(30))
        try log.close()
    }

    @Test func aReaderThatHasCaughtUpGoesOnWhenThereIsMoreAlsoBehindASeal() throws {
        let fixture = fixture()
        let log = try fixture.open()
        var reader = log.reader(from: MessageID(0))
        for number in 0..<60 {
            try log.append(message(number))
            var seen: [UInt64] = []
            let count = try reader.read(upTo: 10) {
                seen.append($0.id.rawValue)
                return .next
            }
            #expect(count == 1)
            #expect(seen == [UInt64(number)])
        }
        #expect(fixture.names.count > 3)
        try log.close()
    }

    @Test func aReaderInASegmentThatIsSealedMeanwhileReadsOn() throws {
        let fixture = fixture()
        let log = try fixture.open()
        for number in 0..<5 { try log.append(message(number)) }
        var reader = log.reader(from: MessageID(0))
        var seen: [UInt64] = []
        _ = try reader.read(upTo: 2) {
            seen.append($0.id.rawValue)
            return .next
        }
        for number in 5..<40 { try log.append(message(number)) }
        while try reader.read(
            upTo: 3,
            {
                seen.append($0.id.rawValue)
                return .next
            }) > 0
        {}
        #expect(seen == Array(0..<40))
        try log.close()
    }

    @Test func aReaderFindsASegmentInTheMomentInWhichItGetsItsOtherName() throws {
        let fixture = fixture()
        let log = try fixture.open()
        let large = TestMessage([UInt8](repeating: 1, count: 3000))
        try log.append(large)
        let seen = Observed<[UInt64]>([])
        let sealed = LogImage.directory.appending("00000000000000000000.log")
        fixture.disk.follow { call in
            guard call.operation == .rename else { return nil }
            // The name has changed, and the log has not noted that yet.
            fixture.disk.renameNow(call.path, to: sealed)
            if let contents = try? log.contents() { seen.update { $0 = contents.map(\.id) } }
            fixture.disk.renameNow(sealed, to: call.path)
            return nil
        }
        try log.append(large)
        #expect(seen.value == [0])
        try log.close()
    }

    @Test func readersLeaveNoDescriptorBehind() throws {
        let fixture = fixture()
        let log = try fixture.open()
        for number in 0..<40 { try log.append(message(number)) }
        // But for that of the active segment, which all of them share from the first on.
        #expect(try log.contents(from: 39).count == 1)
        let before = fixture.disk.descriptors
        for limit in [1, 5, 40, 100] {
            for start in [0, 7, 39, 40, 99] {
                var reader = log.reader(from: MessageID(UInt64(start)))
                while try reader.read(upTo: limit, { _ in .next }) > 0 {}
                // One that has caught up holds none, and one that goes on takes one again.
                #expect(fixture.disk.descriptors == before)
                _ = try reader.read(upTo: limit) { _ in .next }
            }
        }
        #expect(fixture.disk.descriptors == before)
        do {
            var halfway = log.reader(from: MessageID(0))
            _ = try halfway.read(upTo: 1) { _ in .next }
            #expect(fixture.disk.descriptors == before + 1)
        }
        #expect(fixture.disk.descriptors == before)
        try log.close()
        #expect(fixture.disk.descriptors == 0)
    }

    @Test func whoHasCaughtUpComesAgainWithoutOpeningTheFile() throws {
        let fixture = fixture()
        let log = try fixture.open()
        var reader = log.reader(from: MessageID(0))
        var other = log.reader(from: MessageID(0))
        fixture.disk.startTrace()
        for number in 0..<10 {
            try log.append(TestMessage("\(number)"))
            #expect(try reader.read(upTo: 9) { _ in .next } == 1)
            #expect(try other.read(upTo: 9) { _ in .next } == 1)
        }
        #expect(fixture.disk.trace.filter { $0.operation == .open }.count == 1)
        // A sealed segment is not kept open.
        while fixture.names.count < 3 { try log.append(message(1)) }
        #expect(fixture.disk.descriptors == 2)
        try log.close()
        #expect(fixture.disk.descriptors == 0)
    }

    // MARK: What a reader costs

    @Test func beginningInTheMiddleReadsAboutAnIndexIntervalAndNotTheSegment() throws {
        let fixture = fixture(8 << 20)
        let log = try fixture.open()
        let payload = [UInt8](repeating: 1, count: 900)
        var last: Outcome?
        for number in 0..<3000 {
            last = try log.appendLater(TestMessage(payload))
            if number % 40 == 0 { _ = fixture.host.step() }
        }
        fixture.host.runAll()
        #expect(last?.id == 2999)
        for reopened in [false, true] {
            let log = reopened ? try fixture.reopenedAfterPowerLoss() : log
            for start: UInt64 in [0, 1, 700, 1499, 2998] {
                let before = try log.contents(from: start, upTo: 1)
                #expect(before.map(\.id) == [start])
            }
        }
        for start: UInt64 in [1, 700, 1499, 2998] {
            let read = try fixture.disk.bytesRead {
                _ = try log.contents(from: start, upTo: 1)
            }
            #expect(read < 256 << 10, "from \(start): \(read) bytes of \(fixture.bytes().count)")
        }
        try log.close()
    }

    @Test func followingTheEndReadsWhatIsNewAndNotTheSameAgain() throws {
        let fixture = fixture(8 << 20)
        let log = try fixture.open()
        for number in 0..<100 { try log.append(message(number)) }
        var reader = log.reader(from: MessageID(100))
        _ = try reader.read(upTo: 1) { _ in .next }
        let start = frames(in: fixture.bytes()).reduce(0) { $0 + $1.frame.bytes }
        let read = try fixture.disk.bytesRead {
            for number in 0..<200 {
                try log.append(message(number))
                _ = try reader.read(upTo: 10) { _ in .next }
            }
        }
        let end = frames(in: fixture.bytes()).reduce(0) { $0 + $1.frame.bytes }
        // The first read of a reader begins at an index entry.
        #expect(read <= 2 * (end - start) + Int(SparseIndex.intervalBytes))
        try log.close()
    }

    // MARK: Damage behind an open log

    @Test func aDurableFrameThatIsNotThereAnyMoreIsDamageAndTheReaderStaysBeforeIt() throws {
        let fixture = fixture()
        let log = try fixture.open()
        for number in 0..<30 { try log.append(message(number)) }
        let name = "00000000000000000000.log"
        let path = LogImage.directory.appending(name)
        let place = frames(in: fixture.bytes(name))[4]
        fixture.disk.change(path) { $0[place.offset + 50] ^= 1 }
        var reader = log.reader(from: MessageID(0))
        var seen: [UInt64] = []
        for _ in 0..<2 {
            var failure: LogError?
            do {
                _ = try reader.read(upTo: 100) {
                    seen.append($0.id.rawValue)
                    return .next
                }
            } catch { failure = error }
            #expect(failure == .damaged(segment: path, offset: UInt64(place.offset)))
            #expect(seen == [0, 1, 2])
        }
        // Put right, it goes on.
        fixture.disk.change(path) { $0[place.offset + 50] ^= 1 }
        _ = try reader.read(upTo: 100) {
            seen.append($0.id.rawValue)
            return .next
        }
        #expect(seen == Array(0..<30))
        try log.close()
    }

    @Test func aSegmentThatBecameShorterIsDamageAndNeverAnEndlessLoop() throws {
        let fixture = fixture()
        let log = try fixture.open()
        for number in 0..<30 { try log.append(message(number)) }
        for name in fixture.names {
            let whole = fixture.bytes(name)
            for size in [0, 20, 38, 100, whole.count - 1] {
                let path = LogImage.directory.appending(name)
                fixture.disk.change(path) { $0.removeLast(whole.count - size) }
                #expect(throws: LogError.self) { try log.contents() }
                fixture.disk.change(path) { $0 = whole }
            }
        }
        #expect(try log.contents().count == 30)
        try log.close()
    }

    @Test func concurrentReadersEachSeeEverythingWhileTheLogGrowsAndSeals() throws {
        let fixture = LogFixture(threads: 2) { _ in
        } _: {
            $0.segmentBytes = 4096
        }
        let log = try fixture.open()
        let total: UInt64 = 400
        let ended = Observed<[[UInt64]]>([])
        let failures = Observed<[String]>([])
        let threads = (0..<4).map { _ in
            OwnedThread {
                var seen: [UInt64] = []
                var reader = log.reader(from: MessageID(0))
                while seen.count < total {
                    let arrived = Event()
                    log.notify(whenDurable: MessageID(UInt64(seen.count))) { arrived.fire() }
                    guard arrived.wait() else { break }
                    do {
                        let count = try reader.read(upTo: 50) {
                            seen.append($0.id.rawValue)
                            return .next
                        }
                        if count == 0 { failures.update { $0.append("told, and nothing there") } }
                    } catch { failures.update { $0.append("\(error)") } }
                    if !failures.value.isEmpty { break }
                }
                ended.update { $0.append(seen) }
            }
        }
        for number in 0..<Int(total) { _ = try log.appendLater(message(number)) }
        #expect(ended.wait { $0.count == 4 })
        threads.forEach { $0.join() }
        #expect(failures.value.isEmpty)
        #expect(ended.value.allSatisfy { $0 == Array(0..<total) })
        try log.close()
        fixture.host.shutdown()
    }
}
