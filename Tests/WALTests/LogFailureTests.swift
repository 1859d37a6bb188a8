import SystemPackage
import Testing
import Threads
import WALTestSupport

@testable import WAL

/// A disk that fails to sync or to read: what is refused, what is cut, what may go on.
@Suite struct LogFailureTests {
    private let directory = LogImage.directory
    private let message = TestMessage([UInt8](repeating: 7, count: 1000))

    // MARK: A failed sync

    @Test func aFailedSyncIsFinalForEverythingThatWaitedAndComesAfter() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        try log.append(TestMessage("durable"))
        let waiting = try (0..<3).map { try log.appendLater(TestMessage("\($0)")) }
        fixture.disk.startTrace()
        fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        #expect(fixture.host.step())
        let cause = DiskError(
            operation: .sync, path: directory.appending("segment.log"), errno: .ioError)
        #expect(waiting.map(\.error) == Array(repeating: .poisoned(cause), count: 3))
        // The disk has recovered; the log does not believe it.
        fixture.disk.follow(nil)
        #expect(throws: LogError.poisoned(cause)) { try log.append(TestMessage("later")) }
        #expect(log.durable == MessageID(0)..<MessageID(1))
        #expect(try log.texts() == ["durable"])
        let handle = try #require(fixture.disk.trace.first { $0.operation == .sync }).handle
        fixture.host.runAll()
        try log.close()
        let calls = fixture.disk.trace.drop { $0.operation != .sync }.dropFirst()
        #expect(calls.filter { $0.handle == handle && $0.isWrite }.isEmpty, "nothing is retried")
        #expect(fixture.disk.descriptors == 0)
    }

    @Test func whatWaitsBehindAFailedCommitFailsWithIt() throws {
        let fixture = LogFixture { _ in
        } _: {
            $0.segmentBytes = 4096
        }
        let log = try fixture.open()
        // Several batches: none of the later ones may be tried.
        let waiting = try (0..<10).map { _ in try log.appendLater(message) }
        fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        fixture.host.runAll()
        #expect(waiting.allSatisfy { $0.error != nil && $0.id == nil })
        #expect(log.pendingBytes == 0)
        #expect(log.durable.isEmpty)
    }

    @Test func anotherHostOfTheProcessKnowsOfTheFailureToo() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        try log.append(TestMessage("durable"))
        fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        #expect(throws: LogError.self) { try log.append(TestMessage("not on the disk")) }
        try? log.close()
        fixture.disk.follow(nil)
        let other = LogHost(
            storage: fixture.host.storage, options: LogHost.Options(), threads: 0)
        let again = try Log.open(LogImage.directory, host: other, options: fixture.options)
        #expect(try again.texts() == ["durable"])
        try again.append(TestMessage("next"))
        #expect(try fixture.reopenedAfterPowerLoss().texts() == ["durable", "next"])
    }

    /// Closes a log that failed on a disk that lets nothing be mended.
    private func closeInTrouble(_ log: Log, _ fixture: LogFixture) throws {
        fixture.disk.follow { $0.operation == .truncate ? .fail(.ioError) : nil }
        try log.close()
        fixture.disk.follow(nil)
    }

    @Test func closedInAnOrderlyWayItKeepsNothingThatWasRefused() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        try log.append(TestMessage("durable"))
        let end = fixture.bytes().count
        fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        #expect(throws: LogError.self) { try log.append(TestMessage("refused")) }
        fixture.disk.follow(nil)
        #expect(fixture.bytes().count > end, "the cache shows a whole frame")
        try log.close()
        #expect(fixture.bytes().count == end)
        #expect(fixture.disk.descriptors == 0)
        // Another process, which knows nothing of the failure.
        let other = try Log.open(directory, host: .on(fixture.disk))
        #expect(try other.texts() == ["durable"])
        try other.close()
        #expect(try fixture.reopenedAfterPowerLoss().texts() == ["durable"])
    }

    @Test func reopenedInTheSameProcessTheFileIsFirstCutToItsLastDurableByte() throws {
        let fixture = LogFixture()
        var log = try fixture.open()
        try log.append(TestMessage("durable"))
        let end = fixture.bytes().count
        fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        #expect(throws: LogError.self) { try log.append(TestMessage("in the cache only")) }
        fixture.disk.follow(nil)
        #expect(fixture.bytes().count > end, "the cache shows a whole frame")
        try closeInTrouble(log, fixture)
        fixture.disk.startTrace()
        log = try fixture.open()
        let writes = fixture.disk.trace.filter(\.isWrite).prefix(2)
        #expect(writes.map(\.operation) == [.truncate, .sync])
        #expect(writes.first?.offset == UInt64(end))
        #expect(log.recovery.tail == .clean)
        #expect(log.durable == MessageID(0)..<MessageID(1))
        // Id 1 is given out again: nobody was told of the first one.
        #expect(try log.append(TestMessage("the only 1")) == 1)
        #expect(try fixture.reopenedAfterPowerLoss().texts() == ["durable", "the only 1"])
        try log.close()
        #expect(try fixture.reopenedAfterPowerLoss().texts() == ["durable", "the only 1"])
    }

    @Test func anotherProcessThatHasGoneOnInBetweenLosesNothing() throws {
        // This process fails and closes; another one opens the log, appends, closes; then this
        // one opens it again. What it remembers of the durable end is out of date.
        let fixture = LogFixture()
        let log = try fixture.open()
        try log.append(TestMessage("durable"))
        fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        #expect(throws: LogError.self) { try log.append(TestMessage("failed")) }
        fixture.disk.follow(nil)
        try closeInTrouble(log, fixture)
        let other = try Log.open(directory, host: .on(fixture.disk))
        var acknowledged = try other.texts()
        for text in ["acknowledged", "acknowledged too"] {
            try other.append(TestMessage(text))
            acknowledged.append(text)
        }
        try other.close()
        let again = try fixture.open()
        #expect(try again.texts() == acknowledged)
        try again.close()
        #expect(try fixture.reopenedAfterPowerLoss().texts() == acknowledged)
    }

    @Test func anotherLogThatGetsTheSameFileNumberIsNotCut() throws {
        // The failed log's directory is removed, and a new log's segment gets its inode.
        let fixture = LogFixture()
        let log = try fixture.open()
        fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        #expect(throws: LogError.self) { try log.append(TestMessage("failed")) }
        fixture.disk.follow(nil)
        try closeInTrouble(log, fixture)
        var segment = SegmentBuilder()
        segment.add([TestMessage("another"), TestMessage("log")])
        segment.addMark()
        fixture.disk.change(directory.appending("segment.log")) { $0 = segment.bytes }
        let other = try fixture.open()
        #expect(try other.texts() == ["another", "log"])
        try other.close()
    }

    @Test func aSyncThatFailsWhileClosingIsNotRetriedOnThatDescriptor() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        let waiting = try log.appendLater(TestMessage("waiting"))
        fixture.disk.startTrace()
        let isFirst = Observed(true)
        fixture.disk.follow { call in
            guard call.operation == .sync, isFirst.value else { return nil }
            isFirst.update { $0 = false }
            return .fail(.ioError)
        }
        var failure: LogError?
        do { try log.close() } catch { failure = error }
        guard case .poisoned? = waiting.error else {
            Issue.record("\(String(describing: waiting.result.value))")
            return
        }
        #expect(failure == waiting.error, "closing did not make the log durable, and says so")
        let calls = fixture.disk.trace.drop { $0.operation != .sync }
        let failed = try #require(calls.first).handle
        let writes = calls.dropFirst().filter(\.isWrite)
        #expect(writes.allSatisfy { $0.handle != failed }, "\(Array(calls))")
        #expect(writes.map(\.operation) == [.truncate, .sync], "what was refused is cut off")
        #expect(fixture.disk.descriptors == 0)
        #expect(try fixture.open().texts() == [])
    }

    @Test func aPoisonedLogGivesUpItsDirectoryHoweverSoonItIsClosed() throws {
        // The caller that hears of the failure has the log closed at once, by another thread,
        // while the one that commits is still telling the others.
        let fixture = LogFixture(threads: 1)
        let log = try fixture.open()
        let closed = Event()
        let went = Event()
        let closers = Observed<[OwnedThread]>([])
        fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        try log.append(Message(payload: RawSpan(of: [1]))) { _ in
            let closer = OwnedThread {
                try? log.close()
                closed.fire()
            }
            closers.update { $0.append(closer) }
            // Closing may have to wait for this thread; if it does not, it is over soon.
            _ = closed.wait(0.2)
            went.fire()
        }
        #expect(went.wait())
        #expect(closed.wait())
        fixture.disk.follow(nil)
        #expect(try fixture.open().durable.isEmpty, "no error: the directory is free")
        for closer in closers.value { closer.join() }
        fixture.host.shutdown()
    }

    @Test func closingItOnceMoreWhileTheFirstOneMeetsTheFailureHasNothingToWaitFor() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        let second = Observed<OwnedThread?>(nil)
        let isClosed = Event()
        try log.append(Message(payload: RawSpan(of: [1]))) { _ in
            // The log is poisoned by now, and the first one who closes it waits for this thread.
            second.update {
                $0 = OwnedThread {
                    try? log.close()
                    isClosed.fire()
                }
            }
            #expect(isClosed.wait())
        }
        fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        #expect(throws: LogError.self) { try log.close() }
        fixture.disk.follow(nil)
        second.value?.join()
        #expect(fixture.disk.descriptors == 0)
        #expect(try fixture.open().durable.isEmpty)
    }

    @Test func closingWaitsForADropThatIsUnderWay() throws {
        let fixture = LogFixture { _ in
        } _: {
            $0.segmentBytes = 4096
        }
        let log = try fixture.open()
        for _ in 0..<20 { try log.append(message) }
        let gate = Gate()
        fixture.disk.follow { call in
            if call.operation == .remove { gate.pass() }
            return nil
        }
        let dropper = OwnedThread { _ = try? log.drop(below: MessageID(.max)) }
        #expect(gate.waitForVisitor())
        let isClosed = Event()
        let closer = OwnedThread {
            try? log.close()
            isClosed.fire()
        }
        // It has begun, and would find nothing to wait for but the drop. That nothing happens has
        // no event: only how long it is watched.
        #expect(comesTrue { (try? log.appendLater(message)) == nil })
        #expect(!isClosed.wait(0.05))
        gate.open()
        dropper.join()
        closer.join()
        fixture.disk.follow(nil)
        let names = fixture.names
        let again = try fixture.open()
        #expect(fixture.names == names)
        #expect(again.durable.upperBound == log.durable.upperBound)
        #expect(again.durable.upperBound >= MessageID(20))
    }

    @Test func whatIsAppendedAfterTheHostHasEndedFailsAndIsNotWaitedForForEver() async throws {
        let fixture = LogFixture(threads: 1)
        let log = try fixture.open()
        try log.append(TestMessage("0"))
        fixture.host.shutdown()
        let later = try log.appendLater(TestMessage("callback"))
        #expect(later.error == .closed)
        await #expect(throws: LogError.closed) {
            try await log.append(Message(payload: RawSpan(of: [1])))
        }
        try log.close()
        #expect(try fixture.reopenedAfterPowerLoss().texts() == ["0"])
    }

    @Test func aSyncThatFailsOnOpeningIsAnErrorAndTheNextOpeningForcesEverythingAgain() throws {
        // A killed process has left a commit that no later frame proves durable.
        var segment = SegmentBuilder()
        segment.add(TestMessage("0"))
        segment.add([TestMessage("1"), TestMessage("2")])
        for ending in ["", "torn"] {
            let disk = LogImage(
                files: [(SegmentName.activeName, segment.bytes + Array(ending.utf8))]).disk()
            let fixture = LogFixture(disk: disk)
            for round in 1...6 {
                let syncs = Observed(0)
                disk.follow { call in
                    guard call.operation == .sync else { return nil }
                    syncs.update { $0 += 1 }
                    return syncs.value == round ? .fail(.ioError) : nil
                }
                do {
                    let log = try fixture.open()
                    #expect(try log.texts() == ["0", "1", "2"])
                    #expect(try fixture.reopenedAfterPowerLoss().texts() == ["0", "1", "2"])
                    if !ending.isEmpty, disk.afterPowerLoss().files(in: directory).count > 1 {
                        let kept = disk.afterPowerLoss().files(in: directory)
                            .filter { $0.key != SegmentName.activeName }
                        #expect(Array(kept.values) == [Array(ending.utf8)], "round \(round)")
                    }
                    break
                } catch OpenError.io(let error) { #expect(error.operation == .sync) }
            }
            disk.follow(nil)
        }
    }

    // MARK: Reading

    @Test func anIOErrorOnOpeningIsNeverAVerdict() throws {
        var first = SegmentBuilder()
        first.add([TestMessage("0"), TestMessage("1")])
        var second = first.next()
        second.add(TestMessage("2"))
        second.add(garbage: [1, 2, 3])
        let image = LogImage(first, second)
        var number: UInt64 = 0
        var failures = 0
        while true {
            let disk = image.disk()
            number += 1
            let failing = number
            disk.follow { $0.number == failing ? .fail(.ioError) : nil }
            do {
                let log = try Log.open(directory, host: .on(disk))
                disk.follow(nil)
                try log.close()
                break
            } catch OpenError.io(let error) {
                failures += 1
                #expect(error.errno == .ioError)
                // Nothing that might be evidence has gone.
                let names = disk.files(in: directory)
                let kept = names.contains { $0.key.contains("torn") }
                #expect(names[SegmentName.activeName] == second.bytes || kept)
                disk.follow(nil)
                #expect(try Log.open(directory, host: .on(disk)).contents().count == 3)
            }
        }
        #expect(failures > 15)
    }

    @Test func anIOErrorOnReadingLeavesTheReaderWhereItWas() throws {
        let fixture = LogFixture { _ in
        } _: {
            $0.segmentBytes = 4096
        }
        let log = try fixture.open()
        for number in 0..<20 { try log.append(TestMessage("message \(number)")) }
        var reader = log.reader(from: MessageID(0))
        var seen: [UInt64] = []
        fixture.disk.follow { $0.operation == .read ? .fail(.ioError) : nil }
        #expect(throws: LogError.self) {
            _ = try reader.read(upTo: 5) {
                seen.append($0.id.rawValue)
                return .next
            }
        }
        #expect(seen.isEmpty)
        fixture.disk.follow(nil)
        _ = try reader.read(upTo: 100) {
            seen.append($0.id.rawValue)
            return .next
        }
        #expect(seen == (0..<20).map { $0 })
        try log.close()
    }
}
