import SystemPackage
import Testing
import Threads
import WALTestSupport

@testable import WAL

/// What opening makes durable, refuses, keeps and leaves alone.
@Suite struct LogOpeningTests {
    private let directory = LogImage.directory

    // MARK: Durable names

    @Test func aNewLogIsOnTheDiskWhenOpenReturns() throws {
        for path: FilePath in ["/new", "/a/b", "new", "a/new", "/a/d/"] {
            let disk = MemoryDisk()
            disk.putDirectory("/a")
            disk.putDirectory("a")
            let log = try Log.open(path, host: .on(disk))
            #expect(log.recovery.isNew)
            #expect(log.recovery.tail == .clean)
            let after = disk.afterPowerLoss()
            let again = try Log.open(path, host: .on(after)) { $0.createsDirectory = false }
            #expect(!again.recovery.isNew, "\(path)")
        }
    }

    @Test func theNamesUpToTheGivenDirectoryAreForcedEachTime() throws {
        let disk = MemoryDisk()
        disk.putDirectory("/x")
        // Made by somebody who was killed before forcing anything.
        try disk.makeDirectory("/x/topics")
        try disk.makeDirectory("/x/topics/t")
        for round in 0..<2 {
            disk.startTrace()
            let log = try Log.open("/x/topics/t", host: .on(disk)) { $0.forcedUpTo = "/x" }
            let forced = disk.trace.filter { $0.operation == .syncDirectory }.map(\.path.string)
            #expect(Set(forced) == ["/x/topics/t", "/x/topics", "/x"], "round \(round)")
            try log.append(TestMessage("\(round)"))
            let after = try Log.open("/x/topics/t", host: .on(disk.afterPowerLoss()))
            #expect(try after.texts() == (0...round).map { "\($0)" })
            try log.close()
        }
    }

    /// Somebody who does not ask for the lock, at whichever call.
    @Test func aSegmentThatIsMadeShorterSinceItWasExaminedIsAnError() throws {
        let path = directory.appending(SegmentName.activeName)
        var segment = SegmentBuilder()
        for number in 0..<3 { segment.add(TestMessage("\(number)")) }
        segment.addMark()
        let ends: [[UInt8]] = [[], [1, 2, 3, 4, 5], [UInt8](repeating: 0, count: 4096)]
        for end in ends {
            var errors: [OpenError] = []
            var wasCut = true
            var moment = 0
            while wasCut {
                let disk = LogImage(files: [(SegmentName.activeName, segment.bytes + end)]).disk()
                let calls = Observed(0)
                disk.follow { [moment] call in
                    guard call.path == path else { return nil }
                    if calls.value == moment { disk.change(path) { $0.removeLast($0.count - 50) } }
                    calls.update { $0 += 1 }
                    return nil
                }
                do {
                    _ = try Log.open(directory, host: .on(disk))
                } catch { errors.append(error) }
                disk.follow(nil)
                wasCut = calls.value > moment
                moment += 1
            }
            let cause = DiskError(operation: .read, path: path, errno: .ioError)
            #expect(errors.contains(.io(cause)), "\(end.count): \(errors)")
        }
    }

    @Test func aSegmentThatIsGoneSinceItWasExaminedIsAnError() throws {
        let fixture = LogFixture { _ in
        } _: {
            $0.segmentBytes = 4096
        }
        let log = try fixture.open()
        for _ in 0..<3 { try log.append(TestMessage([UInt8](repeating: 7, count: 3000))) }
        try log.close()
        let first = try #require(fixture.names.first { $0 != SegmentName.activeName })
        let path = directory.appending(first)
        // The examination opens it; who asks for its name later finds none.
        fixture.disk.follow { call in
            guard call.operation == .status, call.path == path,
                fixture.disk.bytes(path) != nil
            else { return nil }
            fixture.disk.renameNow(path, to: "/elsewhere")
            return nil
        }
        let gone = DiskError(operation: .status, path: path, errno: .noSuchFileOrDirectory)
        #expect(throws: OpenError.io(gone)) { try fixture.open() }
        fixture.disk.follow(nil)
        fixture.disk.renameNow("/elsewhere", to: path)
        #expect(try fixture.open().contents().count == 3)
    }

    @Test func whatAnotherProcessLeftInTheCacheIsOnTheDiskBeforeItIsShown() throws {
        // Its sync failed, its pages count as clean, and it was killed. A sync alone would not
        // bring them to the disk: the frames are written again.
        let fixture = LogFixture()
        let log = try fixture.open()
        try log.append(TestMessage("durable"))
        fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        #expect(throws: LogError.self) { try log.append(TestMessage("in the cache")) }
        fixture.disk.follow(nil)
        let killed = LogFixture(disk: fixture.disk)
        fixture.disk.state.withLock { $0.locks = [] }
        let other = try killed.open()
        let shown = try other.texts()
        #expect(shown == ["durable", "in the cache"])
        #expect(other.recovery.bytesRewritten > 0)
        #expect(try killed.reopenedAfterPowerLoss().texts() == shown)
    }

    @Test func aMarkThatIsOnlyInTheCacheIsWrittenAgainToo() throws {
        // The sync of a mark failed, at the making of a segment or on close.
        for closing in [false, true] {
            let fixture = LogFixture()
            let log = try fixture.open()
            if closing { try log.append(TestMessage("0")) }
            fixture.disk.change(directory.appending(SegmentName.activeName)) { _ in }
            let bytes = fixture.bytes()
            fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
            if closing { try? log.close() }
            fixture.disk.follow(nil)
            fixture.disk.state.withLock { $0.locks = [] }
            let other = LogFixture(disk: fixture.disk)
            let again = try other.open()
            #expect(again.recovery.bytesRewritten >= 38)
            #expect(other.bytes().count >= bytes.count)
            let after = try other.reopenedAfterPowerLoss()
            #expect(after.recovery.ids == again.recovery.ids)
        }
    }

    @Test func onlyWhatNothingProvesIsWrittenAgain() throws {
        var segment = SegmentBuilder()
        segment.add(TestMessage("0"))
        segment.add([TestMessage("1"), TestMessage("2")])
        let disk = LogImage(segment).disk()
        disk.startTrace()
        let log = try Log.open(directory, host: .on(disk))
        let start = segment.frames[2].range.lowerBound
        #expect(log.recovery.bytesRewritten == UInt64(segment.bytes.count - start))
        #expect(log.recovery.bytesChecked == UInt64(segment.bytes.count))
        let writes = disk.trace.filter { $0.operation == .write }
        #expect(writes.map(\.offset) == [UInt64(start)])
        #expect(disk.bytes(directory.appending("segment.log")) == segment.bytes)
    }

    // MARK: What is refused

    @Test func aSecondOpenerIsRefusedUntilTheFirstHasClosed() throws {
        let fixture = LogFixture()
        fixture.disk.state.withLock { $0.holder = 4711 }
        let log = try fixture.open()
        let inUse = OpenError.inUse(directory: directory, process: 4711)
        #expect(throws: inUse) { try fixture.open() }
        #expect(throws: inUse) { try Log.open(directory, host: .on(fixture.disk)) }
        try log.close()
        try fixture.open().close()
        #expect(fixture.disk.descriptors == 0)
    }

    @Test func aRefusedOpeningHoldsNothing() throws {
        var segment = SegmentBuilder()
        segment.add([TestMessage("0"), TestMessage("1")])
        let disk = LogImage(segment).disk()
        #expect(throws: OpenError.self) {
            try Log.open(directory, host: .on(disk)) { $0.knownDurable = MessageID(7) }
        }
        #expect(disk.descriptors == 0)
        #expect(try Log.open(directory, host: .on(disk)).texts() == ["0", "1"])
    }

    @Test func whatIsNotThereIsAnErrorThatNamesIt() throws {
        let disk = MemoryDisk()
        disk.put([1], at: "/file")
        #expect(throws: OpenError.notADirectory("/file")) {
            try Log.open("/file", host: .on(disk))
        }
        for (path, creates) in [("/missing/child", true), ("/missing", false)] {
            var failure: OpenError?
            do {
                _ = try Log.open(FilePath(path), host: .on(disk)) { $0.createsDirectory = creates }
            } catch { failure = error }
            guard case .io(let error)? = failure else {
                Issue.record("\(String(describing: failure))")
                continue
            }
            #expect(error.errno == .noSuchFileOrDirectory)
            #expect(error.path == FilePath(path))
        }
        #expect(disk.files(in: "/").keys.sorted() == ["file"])
    }

    @Test func noDirectoryIsMadeForALogThatIsKnownToHaveHeldSomething() throws {
        let disk = MemoryDisk()
        #expect {
            try Log.open("/gone", host: .on(disk)) { $0.knownDurable = MessageID(0) }
        } throws: { error in
            if case .damaged? = error as? OpenError { true } else { false }
        }
        #expect(try disk.status("/gone") == nil)
        try Log.open("/gone", host: .on(disk)).close()
    }

    @Test func aLogThatEndsBeforeWhatIsKnownDurableIsDamagedAlsoIfItIsGone() throws {
        var segment = SegmentBuilder()
        segment.add([TestMessage("0"), TestMessage("1")])
        for image in [LogImage(segment), LogImage(files: [])] {
            for known: UInt64 in [2, 1 << 60, .max - 1, .max] {
                let disk = image.disk()
                var failure: OpenError?
                do {
                    _ = try Log.open(directory, host: .on(disk)) {
                        $0.knownDurable = MessageID(known)
                    }
                } catch { failure = error }
                guard case .damaged(let damage)? = failure else {
                    Issue.record("\(String(describing: failure))")
                    continue
                }
                // The last number is no id: none could follow it.
                #expect(damage.lost?.upperBound.rawValue == min(known, .max - 1))
                #expect(disk.files(in: directory).count == image.files.count)
            }
        }
    }

    @Test func aNewerLogIsRefusedAndLeftAlone() throws {
        var segment = SegmentBuilder()
        segment.add(TestMessage("0"))
        var newer = RawFrame(id: 1, position: segment.position)
        newer.presence = 0x10
        segment.add(raw: newer.bytes, ids: 1)
        segment.add(garbage: [1, 2, 3])
        let disk = LogImage(segment).disk()
        disk.startTrace()
        let offset = UInt64(segment.frames[2].range.lowerBound)
        #expect(
            throws: OpenError.newer(segment: directory.appending("segment.log"), offset: offset)
        ) { try Log.open(directory, host: .on(disk)) }
        #expect(disk.trace.filter(\.isWrite).isEmpty)
    }

    // MARK: What is left

    @Test func aSegmentWhoseMakingWasNotFinishedIsMadeAnew() throws {
        var first = SegmentBuilder()
        first.add([TestMessage("0"), TestMessage("1")])
        let mark = first.next().bytes
        for size in 0...38 {
            for sealed in [true, false] {
                var files = sealed ? [(first.name, first.bytes)] : []
                files.append((SegmentName.activeName, Array(mark.prefix(size))))
                let fixture = LogFixture(disk: LogImage(files: files).disk())
                let log = try fixture.open()
                #expect(log.recovery.tail == (size == 38 ? .clean : .unfinishedSegment))
                #expect(!log.recovery.isNew)
                let next: UInt64 = sealed || size == 38 ? 2 : 0
                #expect(log.recovery.ids.upperBound.rawValue == next)
                #expect(try log.append(TestMessage("more")) == next)
                try log.close()
                #expect(try fixture.disk.afterPowerLoss().examine().verdict == .clean)
                #expect(fixture.names.count == files.count, "nothing is kept of it")
            }
        }
    }

    @Test func aTornTailIsKeptUnderAnotherNameWhenThatIsTakenByOtherBytes() throws {
        var segment = SegmentBuilder()
        segment.add(TestMessage("0"))
        let position = segment.position
        let end = segment.bytes.count
        let name = "segment.log.torn-\(position)"
        let disk = LogImage(segment).disk()
        var kept: [String: [UInt8]] = [:]
        for (round, tail) in ["first", "second", "first", "third", "second", ""].enumerated() {
            // Killed in the middle of the same commit again and again.
            disk.change(directory.appending("segment.log")) { bytes in
                bytes.removeLast(bytes.count - end)
                bytes += Array(tail.utf8)
            }
            let log = try Log.open(directory, host: .on(disk))
            if !kept.values.contains(Array(tail.utf8)), !tail.isEmpty {
                kept[kept.isEmpty ? name : "\(name).\(kept.count + 1)"] = Array(tail.utf8)
            }
            let files = disk.afterPowerLoss().files(in: directory)
            #expect(files.filter { $0.key != "segment.log" } == kept, "round \(round)")
            _ = log
        }
        #expect(kept.count == 3)
    }

    @Test func leftOverTemporaryFilesGoAndForeignOnesStay() throws {
        var segment = SegmentBuilder()
        segment.add(TestMessage("0"))
        let disk = LogImage(segment).disk()
        let foreign = [
            "offsets.json", "README", "1.log", "segment.log.torn-1", "segment.logx",
            "00000000000000000000.log.tmp2", "99999999999999999999.log", ".hidden", "x.tmp",
            "segment.log.torn-+5.tmp", "segment.log.torn-007.tmp",
        ]
        for name in foreign { disk.put([1], at: directory.appending(name)) }
        for name in ["segment.log.tmp", "00000000000000000000.log.tmp"] {
            disk.put([1], at: directory.appending(name))
        }
        try Log.open(directory, host: .on(disk)).close()
        #expect(
            disk.afterPowerLoss().files(in: directory).keys.sorted()
                == (foreign + ["segment.log"]).sorted())
    }

    // MARK: Names that are taken

    @Test func anEmptyFileUnderTheNameOfTheNextSealIsRenamedOver() throws {
        let fixture = LogFixture { _ in
        } _: {
            $0.segmentBytes = 4096
        }
        fixture.disk.put([], at: directory.appending("00000000000000000000.log"))
        let log = try fixture.open()
        let message = TestMessage([UInt8](repeating: 1, count: 1000))
        for _ in 0..<7 { try log.append(message) }
        try log.close()
        #expect(fixture.names.count == 3)
        #expect(try fixture.disk.examine().verdict == .clean)
        #expect(try fixture.reopenedAfterPowerLoss().contents().count == 7)
    }

    @Test func aSegmentWithoutMessagesUnderTheNameOfTheNextSealIsNotRenamedOver() throws {
        var first = SegmentBuilder()
        first.add([TestMessage("0"), TestMessage("1")])
        let empty = first.next()
        let active = empty.next()
        let fixture = LogFixture(disk: LogImage(first, empty, active).disk()) { _ in
        } _: {
            $0.segmentBytes = 4096
        }
        let log = try fixture.open()
        let message = TestMessage([UInt8](repeating: 1, count: 1000))
        for _ in 0..<9 { try log.append(message) }
        #expect(fixture.bytes(empty.name) == empty.bytes)
        try log.close()
        #expect(try fixture.disk.examine().verdict == .clean)
        #expect(try fixture.reopenedAfterPowerLoss().contents().count == 11)
    }
}

extension Log {
    /// With options changed in place.
    fileprivate static func open(
        _ directory: FilePath, host: LogHost, _ change: (inout LogOptions) -> Void
    ) throws(OpenError) -> Log {
        var options = LogOptions()
        change(&options)
        return try open(directory, host: host, options: options)
    }
}
