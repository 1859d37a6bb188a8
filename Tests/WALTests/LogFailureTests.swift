import SystemPackage
import Testing
import WALTestSupport

@testable import WAL

/// A disk that fails: what is refused, what is cut, what may go on.
@Suite struct LogFailureTests {
    private let directory = LogImage.directory
    private let message = TestMessage([UInt8](repeating: 7, count: 1000))

    private func texts(_ log: Log) throws -> [String] {
        try log.contents().map { String(decoding: $0.message.payload, as: UTF8.self) }
    }

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
        #expect(try texts(log) == ["durable"])
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
        #expect(try texts(again) == ["durable"])
        try again.append(TestMessage("next"))
        #expect(try texts(try fixture.reopenedAfterPowerLoss()) == ["durable", "next"])
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
        try log.close()
        fixture.disk.startTrace()
        log = try fixture.open()
        let writes = fixture.disk.trace.filter(\.isWrite).prefix(2)
        #expect(writes.map(\.operation) == [.truncate, .sync])
        #expect(writes.first?.offset == UInt64(end))
        #expect(log.recovery.tail == .clean)
        #expect(log.durable == MessageID(0)..<MessageID(1))
        // Id 1 is given out again: nobody was told of the first one.
        #expect(try log.append(TestMessage("the only 1")) == 1)
        #expect(try texts(try fixture.reopenedAfterPowerLoss()) == ["durable", "the only 1"])
        try log.close()
        #expect(try texts(try fixture.reopenedAfterPowerLoss()) == ["durable", "the only 1"])
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
        try log.close()
        let other = try Log.open(directory, host: .on(fixture.disk))
        var acknowledged = try texts(other)
        for text in ["acknowledged", "acknowledged too"] {
            try other.append(TestMessage(text))
            acknowledged.append(text)
        }
        try other.close()
        let again = try fixture.open()
        #expect(try texts(again) == acknowledged)
        try again.close()
        #expect(try texts(try fixture.reopenedAfterPowerLoss()) == acknowledged)
    }

    @Test func anotherLogThatGetsTheSameFileNumberIsNotCut() throws {
        // The failed log's directory is removed, and a new log's segment gets its inode.
        let fixture = LogFixture()
        let log = try fixture.open()
        fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        #expect(throws: LogError.self) { try log.append(TestMessage("failed")) }
        fixture.disk.follow(nil)
        try log.close()
        var segment = SegmentBuilder()
        segment.add([TestMessage("another"), TestMessage("log")])
        segment.addMark()
        fixture.disk.change(directory.appending("segment.log")) { $0 = segment.bytes }
        let other = try fixture.open()
        #expect(try texts(other) == ["another", "log"])
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
        let calls = fixture.disk.trace.drop { $0.operation != .sync }.dropFirst()
        #expect(calls.filter(\.isWrite).isEmpty, "\(Array(calls))")
        #expect(fixture.disk.descriptors == 0)
        #expect(try texts(try fixture.open()) == [])
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
                    #expect(try texts(log) == ["0", "1", "2"])
                    #expect(try texts(try fixture.reopenedAfterPowerLoss()) == ["0", "1", "2"])
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

    // MARK: Failed writes

    @Test func aShortWriteGoesOnWhereItStopped() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        fixture.disk.follow { $0.operation == .write ? .partial(7) : nil }
        for number in 0..<3 { try log.append(TestMessage("message \(number)")) }
        #expect(log.statistics.commits == 3)
        try log.close()
        fixture.disk.follow(nil)
        #expect(
            try texts(try fixture.reopenedAfterPowerLoss())
                == ["message 0", "message 1", "message 2"])
    }

    @Test func aFullDiskLeavesNoPartialFrameAndWhenSpaceReturnsAppendsWork() throws {
        // Room for the log and a part of the next frame, of every size.
        for room in 0..<100 {
            let fixture = LogFixture()
            let log = try fixture.open()
            try log.append(TestMessage("before"))
            let end = fixture.bytes().count
            fixture.disk.capacity = end + room
            let text = String(repeating: "x", count: 100)
            var failure: LogError?
            do { try log.append(TestMessage(text)) } catch { failure = error }
            guard case .notWritten(let cause)? = failure else {
                Issue.record("room for \(room): \(String(describing: failure))")
                continue
            }
            #expect(cause.errno == .noSpace)
            #expect(cause.isOutOfSpace)
            #expect(fixture.bytes().count == end)
            #expect(try fixture.disk.examine().verdict == .clean)
            #expect(try fixture.disk.afterPowerLoss().examine().verdict == .clean)
            fixture.disk.capacity = .max
            #expect(try log.append(TestMessage(text)) == 1)
            try log.close()
            #expect(try texts(try fixture.reopenedAfterPowerLoss()) == ["before", text])
        }
    }

    @Test func anyWriteMayFailAndNothingAcknowledgedIsLostNorAnyIDGivenTwoPayloads() throws {
        // The n-th write fails for every n, once or for good; large batches, seals, zeros ahead.
        for lasting in [false, true] {
            var isDone = false
            var failing = 1
            while !isDone {
                let fixture = LogFixture { _ in
                } _: {
                    $0.segmentBytes = 80 << 10
                }
                let outcome = try run(fixture, failing: failing, lasting: lasting) {
                    $0.operation == .write
                }
                isDone = !outcome
                failing += lasting ? 3 : 1
            }
            #expect(failing > 30)
        }
    }

    @Test func anyCallMayFailOnceAndNothingAcknowledgedIsLostNorAnyIDGivenTwoPayloads() throws {
        for errno in [Errno.ioError, .noSpace] {
            var isDone = false
            var failing = 1
            while !isDone {
                let fixture = LogFixture { _ in
                } _: {
                    $0.segmentBytes = 8 << 10
                }
                isDone = try !run(fixture, failing: failing, lasting: false, errno) { _ in true }
                failing += 1
            }
            #expect(failing > 60)
        }
    }

    /// Appends, seals, gets idle, closes and goes on, with a call failing. False if there were
    /// fewer calls than that.
    private func run(
        _ fixture: LogFixture, failing: Int, lasting: Bool, _ errno: Errno = .noSpace,
        where isCounted: @escaping @Sendable (DiskCall) -> Bool
    ) throws -> Bool {
        let count = Observed(0)
        let failed = Observed<DiskCall?>(nil)
        var acknowledged: [UInt64: [UInt8]] = [:]
        var log: Log? = try fixture.open()
        fixture.disk.follow { call in
            guard isCounted(call) else { return nil }
            count.update { $0 += 1 }
            guard count.value == failing || lasting && count.value > failing else { return nil }
            failed.update { $0 = $0 ?? call }
            return .fail(errno)
        }
        var random = Seeded(UInt64(failing))
        for round in 0..<24 {
            let messages = (0..<round % 3 + 1).map { _ in
                TestMessage(random.bytes(Int.random(in: 0...2500, using: &random)))
            }
            var waiting: [(Outcome, [UInt8])] = []
            for message in messages {
                guard let outcome = try? log?.appendLater(message) else { continue }
                waiting.append((outcome, message.payload))
            }
            fixture.host.runAll()
            for (outcome, payload) in waiting {
                #expect(outcome.isOver)
                guard let id = outcome.id else { continue }
                if acknowledged[id] != nil { Issue.record("id \(id) twice, call \(failing)") }
                acknowledged[id] = payload
            }
            if round % 5 == 4 {
                let crashed = try Self.contents(fixture.disk.afterPowerLoss(), fixture.options)
                check(
                    acknowledged, crashed,
                    "power loss, round \(round), failing \(failing): "
                        + "\(String(describing: failed.value))")
            }
            if round == 15 {
                try? log?.close()
                log = nil
            }
            if log == nil || isPoisoned(log) {
                try? log?.close()
                log = nil
                log = try? fixture.open()
            }
        }
        fixture.disk.follow(nil)
        try? log?.close()
        log = nil
        let contents = try Self.contents(fixture.disk, fixture.options)
        check(
            acknowledged, contents,
            "in the end, failing \(failing): "
                + "\(String(describing: failed.value))")
        #expect(fixture.disk.descriptors == 0)
        return failed.value != nil
    }

    private func isPoisoned(_ log: Log?) -> Bool {
        do {
            let outcome = try log?.appendLater(TestMessage("probe"))
            _ = outcome
            return false
        } catch LogError.poisoned { return true } catch { return false }
    }

    private static func contents(
        _ disk: MemoryDisk, _ options: LogOptions
    ) throws -> [UInt64: [UInt8]] {
        let log = try Log.open(LogImage.directory, host: .on(disk), options: options)
        defer { try? log.close() }
        return Dictionary(
            uniqueKeysWithValues: try log.contents().map { ($0.id, $0.message.payload) })
    }

    private func check(
        _ acknowledged: [UInt64: [UInt8]], _ there: [UInt64: [UInt8]], _ place: String
    ) {
        for (id, payload) in acknowledged where there[id] != payload {
            Issue.record("acknowledged \(id) is \(there[id] == nil ? "gone" : "changed"): \(place)")
            return
        }
    }

    // MARK: Seals

    /// A log of three messages that the next append seals.
    private func full() throws -> (LogFixture, Log) {
        let fixture = LogFixture { _ in
        } _: {
            $0.segmentBytes = 4096
        }
        let log = try fixture.open()
        for _ in 0..<3 { try log.append(message) }
        return (fixture, log)
    }

    /// Fails the n-th write call (of any kind) from now on, once.
    private func fail(_ number: Int, _ disk: MemoryDisk, _ errno: Errno = .noSpace) {
        let count = Observed(0)
        disk.follow { call in
            guard call.isWrite || call.operation == .open else { return nil }
            count.update { $0 += 1 }
            return count.value == number ? .fail(errno) : nil
        }
    }

    @Test func aSealMayFailAtAnyCallAndTheLogGoesOnOrIsPoisoned() throws {
        for number in 1...9 {
            for idle in [false, true] {
                let (fixture, log) = try full()
                fail(number, fixture.disk)
                var failure: LogError?
                do { try log.append(message) } catch { failure = error }
                #expect(failure != nil, "call \(number)")
                fixture.disk.follow(nil)
                // An idle log may get its mark now; whatever it does has to stay sound.
                if idle { fixture.host.runAll() }
                let crashed = try fixture.disk.afterPowerLoss().examine()
                #expect(crashed.verdict < .damaged, "call \(number), idle \(idle)")
                #expect(crashed.nextID == 3)
                var expected = 3
                if case .notWritten? = failure {
                    #expect(try log.append(message) == 3)
                    expected = 4
                } else {
                    #expect(throws: LogError.self) { try log.append(message) }
                }
                try log.close()
                #expect(try fixture.disk.examine().verdict == .clean, "call \(number) \(idle)")
                let again = try fixture.open()
                #expect(try again.contents().count == expected)
                #expect(try again.append(message) == UInt64(expected))
                try again.close()
            }
        }
    }

    @Test func aLogThatCouldNotMakeItsNextSegmentWritesNothingToTheSealedOne() throws {
        for closing in [false, true] {
            let (fixture, log) = try full()
            fixture.disk.follow { call in
                call.operation == .open && call.name == SegmentName.activeName
                    ? .fail(.noSpace) : nil
            }
            #expect(throws: LogError.self) { try log.append(message) }
            let sealed = fixture.bytes("00000000000000000000.log")
            fixture.disk.startTrace()
            if closing { try? log.close() } else { fixture.host.runAll() }
            #expect(fixture.bytes("00000000000000000000.log") == sealed)
            #expect(fixture.disk.trace.filter { $0.operation == .write }.isEmpty)
            fixture.disk.follow(nil)
            if !closing {
                #expect(try log.append(message) == 3)
                try log.close()
            }
            #expect(try fixture.disk.examine().verdict == .clean)
        }
    }

    @Test func zerosThatCouldNotAllBeWrittenAreNotSealedIn() throws {
        // The disk has room for a part of the zeros that a busy log writes ahead.
        for room in stride(from: 0, to: 200 << 10, by: 20_000) {
            let fixture = LogFixture { _ in
            } _: {
                $0.segmentBytes = 256 << 10
            }
            let log = try fixture.open()
            for _ in 0..<32 { try log.append(message) }
            fixture.disk.capacity = fixture.disk.used + 5000 + room
            var count = 32
            while count < 34, (try? log.append(message)) != nil { count += 1 }
            let large = TestMessage([UInt8](repeating: 3, count: 250 << 10))
            fixture.disk.capacity = .max
            try log.append(large)
            try log.append(large)
            try log.close()
            let found = try fixture.disk.examine()
            #expect(found.verdict == .clean, "room \(room): \(found.findings)")
            #expect(found.nextID == UInt64(count + 2))
        }
    }

    @Test func aMarkThatWasThereBeforeAFailedWriteIsNotWrittenTwice() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        fixture.disk.follow { $0.operation == .write ? .fail(.noSpace) : nil }
        #expect(throws: LogError.self) { try log.append(message) }
        fixture.disk.follow(nil)
        fixture.host.runAll()
        try log.close()
        #expect(frames(in: fixture.bytes()).count == 1)
    }

    @Test func anIdleMarkThatCannotBeWrittenIsNotTriedOverAndOver() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        try log.append(message)
        let attempts = Observed(0)
        fixture.disk.follow { call in
            guard call.operation == .write else { return nil }
            attempts.update { $0 += 1 }
            return .fail(.noSpace)
        }
        fixture.host.runAll()
        #expect(attempts.value == 1)
        fixture.disk.follow(nil)
        try log.append(message)
        fixture.host.runAll()
        #expect(frames(in: fixture.bytes()).map(\.frame.isMark) == [true, false, false, true])
        try log.close()
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
