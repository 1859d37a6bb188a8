import SystemPackage
import Testing
import Threads
import WALTestSupport

@testable import WAL

/// Marks, timestamps and lost frames: what a log writes besides messages.
@Suite struct LogMarkTests {
    /// "m" for a mark, "0" and so on for the id of a message, "l" for a lost frame.
    private func layout(_ bytes: [UInt8]) -> String {
        frames(in: bytes).map { _, frame in
            frame.isMark ? "m" : frame.lost == nil ? "\(frame.fields.id)" : "l"
        }.joined(separator: " ")
    }

    @Test func theBuilderOfTheTestsWritesWhatTheLogWrites() throws {
        let fixture = LogFixture(host: { $0.clock = { 1_700_000_000_000_000_000 } })
        let log = try fixture.open()
        let base = try #require(frames(in: fixture.bytes()).first).frame.fields.position
        let messages = [
            TestMessage("a"), TestMessage([], key: [1, 2], headers: [MessageHeader("n", "v")]),
            TestMessage([], headers: [MessageHeader("n", ""), MessageHeader("n", "v")]),
        ]
        let outcomes = try messages.map { try log.appendLater($0) }
        #expect(fixture.host.step())
        #expect(outcomes.map(\.id) == [0, 1, 2])
        try log.close()
        var segment = SegmentBuilder(base: base)
        segment.timestamp -= 1
        segment.add(messages)
        segment.addMark()
        #expect(fixture.bytes() == segment.bytes)
        #expect(base < FrameLayout.firstPositionLimit)
    }

    @Test func twoLogsBeginAtDifferentPositions() throws {
        let bases = try (0..<8).map { _ in
            let fixture = LogFixture()
            _ = try fixture.open()
            return frames(in: fixture.bytes())[0].frame.fields.position
        }
        #expect(Set(bases).count == 8)
    }

    // MARK: Idle and close

    @Test func closingForcesWhatIsNotForcedAndNothingElse() throws {
        let fixture = LogFixture()
        var log = try fixture.open()
        func changes(_ body: () throws -> Void) rethrows -> [DiskError.Operation] {
            fixture.disk.startTrace()
            try body()
            return fixture.disk.trace.filter(\.isWrite).map(\.operation)
        }
        try #expect(changes { try log.close() } == [])
        log = try fixture.open()
        _ = try log.append(TestMessage("0"))
        try #expect(changes { try log.close() } == [.write, .sync])
        log = try fixture.open()
        try #expect(changes { try log.close() } == [])
        // An idle log's mark is not forced yet, nor are the zeros behind it cut.
        log = try fixture.open()
        for _ in 0..<200 { _ = try log.append(TestMessage([UInt8](repeating: 1, count: 300))) }
        while fixture.host.step() {}
        try #expect(changes { try log.close() } == [.truncate, .sync])
        let survivor = LogFixture(disk: fixture.disk.afterPowerLoss())
        #expect(survivor.bytes() == fixture.bytes())
    }

    @Test func anIdleLogGetsOneMarkWithoutASyncAndOnlyWhenItHasSomethingToProve() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        #expect(!fixture.host.step(), "an empty log has its mark already")
        let outcome = try log.appendLater(TestMessage("0"))
        #expect(fixture.host.step())
        #expect(outcome.id == 0)
        #expect(layout(fixture.bytes()) == "m 0")
        fixture.disk.startTrace()
        #expect(fixture.host.step())
        #expect(layout(fixture.bytes()) == "m 0 m")
        #expect(fixture.disk.trace.filter { $0.operation == .sync }.isEmpty)
        #expect(!fixture.host.step())
        #expect(!fixture.host.step())
        #expect(layout(fixture.bytes()) == "m 0 m")
        try log.close()
        #expect(layout(fixture.bytes()) == "m 0 m", "no second mark on close")
        #expect(fixture.disk.trace.contains { $0.operation == .sync }, "but it is forced now")
        #expect(try fixture.disk.afterPowerLoss().examine().durableBelow == 1)
    }

    @Test func logsThatAlwaysHaveSomethingToCommitDoNotKeepAnIdleOneFromItsMark() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        let busy = try (0..<12).map { try Log.open(FilePath("/busy\($0)"), host: fixture.host) }
        try log.append(TestMessage("0"))
        for log in busy { _ = try log.appendLater(TestMessage("x")) }
        for _ in 0..<10 { #expect(fixture.host.step()) }
        #expect(layout(fixture.bytes()) == "m 0 m")
        for _ in 0..<3 { #expect(fixture.host.step()) }
        #expect(busy.allSatisfy { $0.statistics.commits == 1 }, "nor are they kept waiting")
        for log in busy + [log] { try log.close() }
    }

    @Test func aLogThatWasKilledBeforeItsMarkGetsItWhenItIsLeftAloneAfterOpening() throws {
        let killed = LogFixture()
        try killed.open().append(TestMessage("0"))
        let fixture = LogFixture(disk: killed.disk.afterPowerLoss())
        let log = try fixture.open()
        #expect(layout(fixture.bytes()) == "m 0")
        #expect(fixture.host.step())
        #expect(layout(fixture.bytes()) == "m 0 m")
        #expect(!fixture.host.step())
        #expect(try log.append(TestMessage("1")) == 1)
        try log.close()
        #expect(layout(fixture.bytes()) == "m 0 m 1 m")
    }

    @Test func whileACommitIsUnderWayTheLookAtAnIdleLogIsPutOffToItsEnd() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        try log.append(TestMessage("0"))
        let gate = Gate()
        fixture.disk.follow { call in
            if call.operation == .sync { gate.pass() }
            return nil
        }
        let appender = OwnedThread { _ = try? log.append(TestMessage("1")) }
        #expect(gate.waitForVisitor())
        // It is due, and cannot be decided; looking again at once would take a core for as long as
        // the sync takes.
        fixture.host.runAll()
        gate.open()
        appender.join()
        fixture.host.runAll()
        #expect(layout(fixture.bytes()) == "m 0 1 m")
        try log.close()
    }

    @Test func whatComesBehindAnIdleMarkGoesOnFromIt() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        for number in 0..<3 {
            try log.append(TestMessage("\(number)"))
            fixture.host.runAll()
        }
        #expect(layout(fixture.bytes()) == "m 0 m 1 m 2 m")
        #expect(try log.contents().map(\.id) == [0, 1, 2])
        let found = try fixture.disk.examine()
        #expect(found.verdict == .clean)
        #expect(found.nextID == 3)
    }

    @Test func aBusyLogGetsNoMarkBetweenItsCommits() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        for number in 0..<3 {
            _ = try log.appendLater(TestMessage("\(number)"))
            // The commit is due before the look at the idle log.
            #expect(fixture.host.step())
        }
        #expect(layout(fixture.bytes()) == "m 0 1 2")
        try log.close()
        #expect(layout(fixture.bytes()) == "m 0 1 2 m")
    }

    @Test func anIdleMarkComesByItselfOnThreads() throws {
        let fixture = LogFixture(threads: 1, host: { $0.idleNanoseconds = 1_000_000 })
        let log = try fixture.open()
        let marked = Event()
        fixture.disk.follow { call in
            if call.operation == .write, call.count == 38 { marked.fire() }
            return nil
        }
        try log.append(TestMessage("more than nothing"))
        #expect(marked.wait())
        try log.close()
        #expect(layout(fixture.bytes()) == "m 0 m")
        fixture.host.shutdown()
    }

    @Test func closingAndOpeningAgainAddsNoMarks() throws {
        let fixture = LogFixture()
        for round in 0..<4 {
            let log = try fixture.open()
            #expect(log.recovery.tail == .clean)
            try log.close()
            #expect(layout(fixture.bytes()) == "m", "round \(round)")
        }
        let log = try fixture.open()
        try log.append(TestMessage("0"))
        try log.close()
        for _ in 0..<3 {
            try fixture.open().close()
            #expect(layout(fixture.bytes()) == "m 0 m")
        }
    }

    @Test func anIdleTimeThatNeverEndsIsAllowed() throws {
        let fixture = LogFixture(host: { $0.idleNanoseconds = .max })
        let log = try fixture.open()
        try log.append(TestMessage("0"))
        try log.close()
        #expect(layout(fixture.bytes()) == "m 0 m")
    }

    /// The host looks after a log until it has been idle for long enough, which is later.
    @Test(arguments: [true, false]) func whoShutsAHostDownKeepsNothingOfItsLogs(
        isClosed: Bool
    ) throws {
        weak var core: LogCore?
        weak var host: LogHost?
        do {
            let made = LogHost.on(MemoryDisk(), threads: 1) { $0.idleNanoseconds = .max }
            let log = try Log.open("/log", host: made)
            _ = try log.appendBlocking(Message(payload: [1].span.bytes))
            if isClosed { try log.close() }
            made.shutdown()
            if !isClosed { try log.close() }
            core = log.core
            host = made
            #expect(core != nil && host != nil)
        }
        #expect(core == nil)
        #expect(host == nil)
    }

    @Test func closingIsRepeatableAndRefusesWhatComesAfter() async throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        let waiting = try log.appendLater(TestMessage("0"))
        try log.close()
        #expect(waiting.id == 0, "close commits what was appended")
        try log.close()
        #expect(throws: LogError.closed) { try log.appendLater(TestMessage("1")) }
        #expect(throws: LogError.closed) { try log.append(TestMessage("1")) }
        await #expect(throws: LogError.closed) {
            _ = try await log.append(Message(payload: RawSpan(of: [1])))
        }
        #expect(throws: LogError.closed) { try log.drop(below: MessageID(1)) }
        #expect(fixture.disk.descriptors == 0)
        #expect(try fixture.open().contents().map(\.id) == [0])
    }

    @Test func twoThreadsMayCloseAtOnceWhileOthersAppend() throws {
        for _ in 0..<20 {
            let fixture = LogFixture(threads: 2)
            let log = try fixture.open()
            let acknowledged = Observed<[UInt64]>([])
            let ended = Observed(0)
            var threads = (0..<4).map { number in
                OwnedThread {
                    while let id = try? log.append(TestMessage("\(number)")) {
                        acknowledged.update { $0.append(id) }
                    }
                    ended.update { $0 += 1 }
                }
            }
            #expect(acknowledged.wait { $0.count > 20 })
            for _ in 0..<2 {
                threads.append(
                    OwnedThread {
                        try? log.close()
                        ended.update { $0 += 1 }
                    })
            }
            #expect(ended.wait { $0 == 6 })
            for thread in threads { thread.join() }
            let again = try fixture.reopenedAfterPowerLoss()
            #expect(again.recovery.tail == .clean)
            #expect(try again.contents().map(\.id) == acknowledged.value.sorted())
            fixture.host.shutdown()
        }
    }

    // MARK: Timestamps

    @Test func timestampsNeverGoBackAndAreOnePerCommit() throws {
        let clock = Observed<UInt64>(1000)
        let fixture = LogFixture(host: { $0.clock = { clock.value } })
        var log = try fixture.open()
        func commit(at time: UInt64, _ count: Int) throws {
            clock.update { $0 = time }
            let outcomes = try (0..<count).map { try log.appendLater(TestMessage("\($0)")) }
            #expect(fixture.host.step())
            #expect(outcomes.allSatisfy { $0.id != nil })
        }
        try commit(at: 2000, 2)
        try commit(at: 1500, 1)
        try commit(at: 0, 1)
        try commit(at: 2001, 1)
        #expect(try log.contents().map(\.timestamp) == [2000, 2000, 2000, 2000, 2001])
        try log.close()
        // Nor across a restart, with a clock that was set back; the first mark counts as well.
        clock.update { $0 = 7 }
        log = try fixture.open()
        try log.append(TestMessage("after"))
        #expect(try log.contents().map(\.timestamp).last == 2001)
        try log.close()
        let stamps = frames(in: fixture.bytes()).map(\.frame.fields.timestamp)
        #expect(stamps == stamps.sorted())
        #expect(try fixture.disk.examine().findings.isEmpty)
    }

    // MARK: Lost frames

    @Test func lostIDsAreSkippedAndAloneInTheirCommit() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        let lost = Outcome()
        let before = try log.appendLater(TestMessage("before"))
        try log.appendLost(100) { result in lost.result.update { $0 = result } }
        let behind = try log.appendLater(TestMessage("behind"))
        fixture.host.runAll()
        #expect([before.id, lost.id, behind.id] == [0, 1, 101])
        #expect(log.statistics.commits == 3)
        #expect(try log.contents().map(\.id) == [0, 101])
        #expect(try log.contents(from: 50).map(\.id) == [101])
        #expect(log.durable == MessageID(0)..<MessageID(102))
        try log.close()
        let again = try fixture.reopenedAfterPowerLoss()
        #expect(try again.contents().map(\.id) == [0, 101])
        #expect(again.recovery.ids == MessageID(0)..<MessageID(102))
    }

    @Test func aLostFrameHasTheTimestampOfTheFrameBefore() throws {
        let clock = Observed<UInt64>(1000)
        let fixture = LogFixture(host: { $0.clock = { clock.value } })
        var log = try fixture.open()
        clock.update { $0 = 2000 }
        for _ in 0..<2 { try log.appendLost(5) { _ in } }
        fixture.host.runAll()
        clock.update { $0 = 3000 }
        try log.append(TestMessage("x"))
        clock.update { $0 = 4000 }
        try log.appendLost(5) { _ in }
        fixture.host.runAll()
        try log.close()
        log = try fixture.open()
        clock.update { $0 = 5000 }
        try log.appendLost(5) { _ in }
        fixture.host.runAll()
        try log.close()
        // The mark of the new log is at 1000, the message at 3000.
        let all = frames(in: fixture.bytes()).map(\.frame)
        #expect(
            all.filter { $0.lost != nil }.map(\.fields.timestamp) == [1000, 1000, 3000, 3000])
        #expect(Set(all.map(\.fields.timestamp)) == [1000, 3000])
    }

    @Test func theMarkOfANewLogCountsWhereTheClockGoesBack() throws {
        let clock = Observed<UInt64>(1000)
        let fixture = LogFixture(host: { $0.clock = { clock.value } })
        let log = try fixture.open()
        clock.update { $0 = 7 }
        try log.append(TestMessage("x"))
        #expect(try log.contents().map(\.timestamp) == [1000])
        try log.close()
    }

    @Test func anImportBeginsAboveZeroWithALostFrame() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        let lost = Outcome()
        try log.appendLost(1 << 40) { result in lost.result.update { $0 = result } }
        fixture.host.runAll()
        #expect(lost.id == 0)
        #expect(try log.append(TestMessage("first")) == 1 << 40)
        try log.close()
        let again = try fixture.open()
        #expect(try again.contents().map(\.id) == [1 << 40])
        #expect(try again.append(TestMessage("second")) == (1 << 40) + 1)
        try again.close()
    }

    @Test func impossibleCountsOfLostIDsAreRefused() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        #expect(throws: LogError.invalidMessage) { try log.appendLost(0) { _ in } }
        #expect(throws: LogError.idsUsedUp) { try log.appendLost(.max) { _ in } }
        try log.appendLost(.max - 3) { _ in }
        fixture.host.runAll()
        // There is room for little more, and the log says so instead of overflowing.
        var taken = 0
        while taken < 5, (try? log.append(TestMessage("x"))) != nil { taken += 1 }
        #expect(taken < 5)
        try log.close()
        #expect(try fixture.disk.examine().verdict == .clean)
    }
}
