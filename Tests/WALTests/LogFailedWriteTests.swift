import SystemPackage
import Testing
import TestSupport
import WALTestSupport

@testable import WAL

/// A disk that does not take what is written, or fails while a segment is sealed.
@Suite struct LogFailedWriteTests {
    private let directory = LogImage.directory
    private let message = TestMessage([UInt8](repeating: 7, count: 1000))

    @Test func aShortWriteGoesOnWhereItStopped() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        fixture.disk.follow { $0.operation == .write ? .partial(7) : nil }
        for number in 0..<3 { try log.append(TestMessage("message \(number)")) }
        #expect(log.statistics.commits == 3)
        try log.close()
        fixture.disk.follow(nil)
        #expect(
            try fixture.reopenedAfterPowerLoss().texts()
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
            #expect(fixture.bytes().count == end)
            #expect(try fixture.disk.examine().verdict == .clean)
            #expect(try fixture.disk.afterPowerLoss().examine().verdict == .clean)
            fixture.disk.capacity = .max
            #expect(try log.append(TestMessage(text)) == 1)
            try log.close()
            #expect(try fixture.reopenedAfterPowerLoss().texts() == ["before", text])
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

    @Test func aFileThatHasTheNameOfTheNextSealedSegmentIsNotReplaced() throws {
        let fixture = LogFixture { _ in
        } _: {
            $0.segmentBytes = 4096
        }
        let log = try fixture.open()
        let taken = SegmentName.sealed(first: 0).path(in: LogImage.directory)
        fixture.disk.put(Array("somebody's".utf8), at: taken)
        var acknowledged: [UInt64] = []
        for _ in 0..<10 {
            if let id = try? log.append(TestMessage([UInt8](repeating: 1, count: 1000))) {
                acknowledged.append(id)
            }
        }
        #expect(acknowledged == Array(0..<9), "one failed, and then the segment grew")
        #expect(fixture.disk.bytes(taken) == Array("somebody's".utf8))
        #expect(fixture.names == [SegmentName.sealed(first: 0).fileName, SegmentName.activeName])
        #expect(try log.contents().count == 9)
        try log.close()
    }

    @Test func openingATornLogOnAFullDiskLeavesNothingBehindHoweverOftenItIsTried() throws {
        var segment = SegmentBuilder()
        segment.add([TestMessage("0"), TestMessage("1")])
        segment.addMark()
        let torn = [UInt8](repeating: 7, count: 5000)
        let disk = LogImage(files: [(SegmentName.activeName, segment.bytes + torn)]).disk()
        disk.capacity = disk.used + 2000
        for _ in 0..<3 {
            #expect(throws: OpenError.self) {
                try Log.open(LogImage.directory, host: .on(disk))
            }
            #expect(disk.files(in: LogImage.directory).keys.sorted() == [SegmentName.activeName])
        }
        disk.capacity = .max
        let log = try Log.open(LogImage.directory, host: .on(disk))
        #expect(try log.texts() == ["0", "1"])
        #expect(disk.files(in: LogImage.directory).count == 2)
        try log.close()
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

    @Test func whoAppendsAgainWheneverItFailedIsStillServedWhenTheDiskIsWell() throws {
        // More failures than a committer makes commits before others have their turn.
        let fixture = LogFixture()
        let log = try fixture.open()
        let failures = Observed(0)
        let ids = Observed<[UInt64]>([])
        @Sendable func append(_ number: Int) {
            let text = Array("\(number)".utf8)
            try? log.append(Message(payload: text.span.bytes)) { result in
                if case .success(let id) = result { return ids.update { $0.append(id.rawValue) } }
                failures.update { $0 += 1 }
                append(number + 1)
            }
        }
        fixture.disk.follow { call in
            call.operation == .write && failures.value < 300 ? .fail(.noSpace) : nil
        }
        append(0)
        fixture.host.runAll()
        #expect(failures.value == 300)
        #expect(ids.value == [0])
        #expect(try log.append(TestMessage("later")) == 1)
        #expect(try log.texts() == ["300", "later"])
        try log.close()
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
}
