import Glibc
import SystemPackage
import Testing
import WALTestSupport

@testable import WAL

/// Commits: what is shown when, who is told in which order, and what waits together.
@Suite struct LogCommitTests {
    /// Syncs of the active segment stop at the gate from now on.
    private func holdSyncs(_ disk: MemoryDisk, _ gate: Gate) {
        disk.follow { call in
            if call.operation == .sync, call.name == SegmentName.activeName { gate.pass() }
            return nil
        }
    }

    @Test func nothingIsShownOrAcknowledgedBeforeItsSyncHasReturned() throws {
        let fixture = LogFixture(threads: 1)
        let log = try fixture.open()
        let gate = Gate()
        holdSyncs(fixture.disk, gate)
        let outcome = try log.appendLater(TestMessage("held"))
        #expect(gate.waitForVisitor())
        // The bytes are in the file, and nobody is told.
        #expect(frames(in: fixture.bytes()).count == 2)
        #expect(!outcome.isOver)
        #expect(log.durable.isEmpty)
        #expect(try log.contents().isEmpty)
        let watched = Event()
        log.notify(whenDurable: MessageID(0)) { watched.fire() }
        #expect(!watched.hasFired)
        #expect(log.statistics.commits == 0)
        gate.open()
        #expect(outcome.wait())
        #expect(outcome.id == 0)
        #expect(watched.wait())
        #expect(log.durable == MessageID(0)..<MessageID(1))
        #expect(try log.contents().map(\.id) == [0])
        try log.close()
        fixture.host.shutdown()
    }

    @Test func whoeverHearsOfAMessageCanReadIt() throws {
        let fixture = LogFixture(threads: 2)
        let log = try fixture.open()
        let seen = Observed<[Bool]>([])
        for number in 0..<200 {
            let payload = Array("\(number)".utf8)
            try log.append(Message(payload: RawSpan(of: payload))) { result in
                let id = try? result.get()
                seen.update { $0.append(id.map { log.durable.contains($0) } ?? false) }
            }
        }
        #expect(seen.wait { $0.count == 200 })
        #expect(seen.value.allSatisfy { $0 })
        try log.close()
        fixture.host.shutdown()
    }

    @Test func whatWaitsWhileASyncRunsIsTheNextCommitWithOneSync() throws {
        let fixture = LogFixture(threads: 1)
        let log = try fixture.open()
        let gate = Gate()
        holdSyncs(fixture.disk, gate)
        let first = try log.appendLater(TestMessage("first"))
        #expect(gate.waitForVisitor())
        let waiting = try (0..<7).map { try log.appendLater(TestMessage("\($0)")) }
        fixture.disk.startTrace()
        gate.open()
        #expect(first.wait())
        #expect(waiting.allSatisfy { $0.wait() })
        #expect(waiting.map(\.id) == (1...7).map { $0 })
        #expect(log.statistics.commits == 2)
        let indexes = frames(in: fixture.bytes()).map(\.frame.fields.commitIndex)
        #expect(indexes == [0, 0] + Array(0..<7))
        let calls = fixture.disk.trace.filter(\.isWrite)
        #expect(calls.map(\.operation) == [.write, .sync])
        try log.close()
        fixture.host.shutdown()
    }

    @Test func noByteOfACommitIsWrittenBeforeTheSyncOfTheOneBeforeHasReturned() throws {
        let fixture = LogFixture(threads: 2)
        let log = try fixture.open()
        let syncs = Observed(0)
        let overlaps = Observed(0)
        fixture.disk.follow { call in
            guard call.name == SegmentName.activeName else { return nil }
            if call.operation == .sync {
                syncs.update { $0 += 1 }
                // A pass through the scheduler, so that others could get in between.
                sched_yield()
                syncs.update { $0 -= 1 }
            } else if call.operation == .write, syncs.value > 0 {
                overlaps.update { $0 += 1 }
            }
            return nil
        }
        let outcomes = try (0..<2000).map { try log.appendLater(TestMessage("\($0)")) }
        #expect(outcomes.allSatisfy { $0.wait() })
        #expect(overlaps.value == 0)
        try log.close()
        fixture.host.shutdown()
    }

    @Test func sixteenCallersGetConsecutiveIDsAndEachItsOwn() async throws {
        let fixture = LogFixture(threads: 2) { _ in
        } _: {
            $0.segmentBytes = 4096
        }
        let log = try fixture.open()
        let acknowledged = try await withThrowingTaskGroup(of: [(UInt64, TestMessage)].self) {
            group in
            for caller in 0..<16 {
                group.addTask {
                    var own: [(UInt64, TestMessage)] = []
                    for number in 0..<50 {
                        let message = TestMessage("caller \(caller), message \(number)")
                        let id = try await log.append(
                            Message(payload: RawSpan(of: message.payload)))
                        own.append((id.rawValue, message))
                    }
                    return own
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        let sorted = acknowledged.sorted { $0.0 < $1.0 }
        #expect(sorted.map(\.0) == Array(0..<800))
        let contents = try log.contents()
        #expect(contents.map(\.message) == sorted.map(\.1))
        try log.close()
        let again = try fixture.reopenedAfterPowerLoss()
        #expect(try again.contents() == contents)
        fixture.host.shutdown()
    }

    @Test func callersAreToldInTheOrderOfTheIDsAlsoOfWhatTheyAppendMeanwhile() throws {
        let fixture = LogFixture(threads: 2) { _ in
        } _: {
            $0.segmentBytes = 4096
        }
        let log = try fixture.open()
        let told = Observed<[UInt64]>([])
        let total = 600
        for number in 0..<total / 2 {
            let payload = Array("\(number)".utf8)
            try log.append(Message(payload: RawSpan(of: payload))) { result in
                told.update { $0.append((try? result.get().rawValue) ?? .max) }
                _ = try? log.append(Message(payload: RawSpan(of: [1]))) { result in
                    told.update { $0.append((try? result.get().rawValue) ?? .max) }
                }
            }
        }
        #expect(told.wait { $0.count == total })
        #expect(told.value == (0..<UInt64(total)).map { $0 })
        try log.close()
        fixture.host.shutdown()
    }

    // MARK: Observers

    private final class Observer: AppendObserver {
        struct Call: Hashable {
            var first: UInt64?
            var count: Int
            var tag: UInt64
            var error: LogError?
        }
        let calls = Observed<[Call]>([])
        func appended(first: MessageID, count: Int, tag: UInt64) {
            calls.update { $0.append(Call(first: first.rawValue, count: count, tag: tag)) }
        }
        func appendFailed(count: Int, tag: UInt64, error: LogError) {
            calls.update { $0.append(Call(count: count, tag: tag, error: error)) }
        }
    }

    @Test func anObserverIsToldOncePerRunAndOnlyAfterCommitIsCalled() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        let (a, b) = (Observer(), Observer())
        for (observer, tag) in [(a, 1), (a, 1), (a, 2), (b, 2), (a, 2), (a, 2)] {
            try log.append(
                Message(payload: RawSpan(of: [0])), observer: observer, tag: UInt64(tag))
        }
        #expect(!fixture.host.step(), "nobody is told before commit()")
        log.commit()
        log.commit()
        #expect(fixture.host.step())
        #expect(
            a.calls.value == [
                .init(first: 0, count: 2, tag: 1), .init(first: 2, count: 1, tag: 2),
                .init(first: 4, count: 2, tag: 2),
            ])
        #expect(b.calls.value == [.init(first: 3, count: 1, tag: 2)])
        #expect(log.statistics.commits == 1)
        try log.close()
    }

    @Test func anObserverHearsOfAFailureOncePerRun() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        let observer = Observer()
        for _ in 0..<3 {
            try log.append(Message(payload: RawSpan(of: [0])), observer: observer, tag: 7)
        }
        fixture.disk.follow { $0.operation == .write ? .fail(.noSpace) : nil }
        log.commit()
        #expect(fixture.host.step())
        #expect(observer.calls.value.map(\.count) == [3])
        #expect(observer.calls.value.map(\.first) == [nil])
        guard case .notWritten? = observer.calls.value[0].error else {
            Issue.record("\(observer.calls.value)")
            return
        }
        fixture.disk.follow(nil)
        try log.close()
    }

    @Test func whatWasAppendedForAnObserverIsCommittedByCloseToo() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        let observer = Observer()
        try log.append(Message(payload: RawSpan(of: [5])), observer: observer, tag: 7)
        try log.close()
        #expect(observer.calls.value == [.init(first: 0, count: 1, tag: 7)])
        #expect(try fixture.reopenedAfterPowerLoss().contents().map(\.message.payload) == [[5]])
    }

    // MARK: Back-pressure

    @Test func whenTooMuchWaitsAppendsAreRefusedUntilHalfIsFree() throws {
        let fixture = LogFixture { _ in
        } _: {
            $0.pendingBytes = 8 << 20
        }
        let log = try fixture.open()
        let message = TestMessage([UInt8](repeating: 1, count: 1 << 20))
        var outcomes: [Outcome] = []
        var refusal: LogError?
        while refusal == nil, outcomes.count < 100 {
            do {
                outcomes.append(try log.appendLater(message))
            } catch { refusal = error }
        }
        #expect(outcomes.count == 7)
        #expect(refusal == .overloaded(pendingBytes: log.pendingBytes))
        let room = Observed(0)
        log.notifyRoom { room.update { $0 += 1 } }
        #expect(room.value == 0)
        #expect(fixture.host.step())
        #expect(outcomes.allSatisfy { $0.isOver })
        #expect(outcomes.map(\.id) == (0..<7).map { $0 })
        #expect(room.value == 1, "told once")
        #expect(log.pendingBytes == 0)
        log.notifyRoom { room.update { $0 += 1 } }
        #expect(room.value == 2, "at once where there is room")
        try log.append(message)
        #expect(room.value == 2)
        try log.close()
    }

    @Test func roomIsToldOfOnlyWhenARefusedAppendMaySucceed() throws {
        // The least that the options allow: a frame of 4 MiB fits in behind half of it or not.
        let fixture = LogFixture { _ in
        } _: {
            $0.pendingBytes = 4 << 20
        }
        let log = try fixture.open()
        let large = TestMessage([UInt8](repeating: 1, count: (4 << 20) - 100))
        let first = try log.appendLater(TestMessage([UInt8](repeating: 1, count: 1 << 20)))
        let refused: Outcome? = try? log.appendLater(large)
        if refused == nil {
            // Told at once it would be refused again, and an async append would spin.
            let room = Event()
            log.notifyRoom { room.fire() }
            #expect(!room.hasFired)
            #expect(fixture.host.step())
            #expect(first.isOver)
            #expect(room.hasFired)
        }
        _ = fixture.host.step()
        try log.append(large)
        try log.close()
    }

    @Test func asyncAppendsWaitForRoomAndNoneIsLost() async throws {
        let fixture = LogFixture(threads: 1) { _ in
        } _: {
            $0.pendingBytes = 8 << 20
        }
        let log = try fixture.open()
        let gate = Gate()
        holdSyncs(fixture.disk, gate)
        let ids = try await withThrowingTaskGroup(of: UInt64.self) { group in
            for number in 0..<20 {
                group.addTask {
                    let payload = [UInt8](repeating: UInt8(number), count: 1 << 20)
                    return try await log.append(Message(payload: RawSpan(of: payload))).rawValue
                }
            }
            group.addTask {
                // Opens when the queue is full. The task blocks one thread of the pool for that.
                _ = gate.waitForVisitor()
                gate.open()
                return .max
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(ids.filter { $0 != .max }.sorted() == Array(0..<20))
        try log.close()
        fixture.host.shutdown()
    }

    @Test func aMessageThatFitsNoFrameIsRefusedAndTakesNoID() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        let largest = FrameLayout.largestFrame - FrameLayout.smallestFrame
        let impossible = [
            TestMessage([UInt8](repeating: 0, count: largest + 1)), TestMessage([], key: []),
            TestMessage([], headers: [MessageHeader("", "")]),
        ]
        for message in impossible {
            #expect(throws: LogError.invalidMessage) { try log.appendLater(message) }
        }
        #expect(try log.append(TestMessage([UInt8](repeating: 0, count: largest))) == 0)
        #expect(try log.append(TestMessage([])) == 1)
        #expect(try log.contents().map(\.message.payload.count) == [largest, 0])
        try log.close()
    }

    // MARK: Watching

    @Test func watchersAreWokenOnceWhenTheirMessageIsDurableOrTheLogEnds() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        let woken = Observed<[Int]>([])
        for id in [0, 2, 5] {
            log.notify(whenDurable: MessageID(UInt64(id))) { woken.update { $0.append(id) } }
        }
        #expect(woken.value.isEmpty)
        try log.append(TestMessage("0"))
        #expect(woken.value == [0])
        try log.append(TestMessage("1"))
        #expect(woken.value == [0])
        try log.append(TestMessage("2"))
        #expect(woken.value == [0, 2])
        log.notify(whenDurable: MessageID(1)) { woken.update { $0.append(1) } }
        #expect(woken.value == [0, 2, 1], "at once where it is durable already")
        try log.close()
        #expect(woken.value == [0, 2, 1, 5])
        log.notify(whenDurable: MessageID(9)) { woken.update { $0.append(9) } }
        #expect(woken.value.last == 9, "the log has ended")
    }

    @Test func aTaskThatIsCancelledDoesNotWaitForAMessageAnyMore() async throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        for round in 0..<300 {
            let waiting = Task { await log.waitUntilDurable(MessageID(round % 2 == 0 ? 0 : .max)) }
            if round % 3 == 0 { await Task.yield() }
            waiting.cancel()
            await waiting.value
        }
        let others = (0..<3).map { id in
            Task { await log.waitUntilDurable(MessageID(UInt64(id))) }
        }
        for text in ["0", "1", "2"] { try log.append(TestMessage(text)) }
        for other in others { await other.value }
        try log.close()
    }
}
