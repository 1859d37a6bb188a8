import Glibc
import SystemPackage
import TestSupport
import Testing
import WALTestSupport

@testable import WAL

/// A log whose file is moved away or removed while it is open: the descriptor still takes all that
/// is written, and nobody would find it.
@Suite struct LogPlaceTests {
    /// What somebody does to a log, and to what.
    enum Mishap: CaseIterable {
        case directoryMoved, directoryRemoved, parentMoved, segmentMoved, segmentRemoved
        case replacedByACopy

        /// Whether the file is still somewhere; where.
        func happens(to directory: FilePath) throws -> FilePath? {
            let segment = directory.appending(SegmentName.activeName)
            let parent = directory.removingLastComponent()
            func move(_ from: FilePath, _ to: FilePath) throws {
                try #require(rename(from.string, to.string) == 0)
            }
            switch self {
            case .directoryMoved:
                try move(directory, parent.appending("away"))
                return parent.appending("away")
            case .directoryRemoved:
                try #require(unlink(segment.string) == 0)
                try #require(rmdir(directory.string) == 0)
                return nil
            case .parentMoved:
                let away = parent.removingLastComponent().appending("away")
                try move(parent, away)
                return away.appending("log")
            case .segmentMoved:
                try #require(mkdir(parent.appending("away").string, 0o755) == 0)
                try move(segment, parent.appending("away").appending(SegmentName.activeName))
                return parent.appending("away")
            case .segmentRemoved:
                try #require(unlink(segment.string) == 0)
                return nil
            case .replacedByACopy:
                try move(directory, parent.appending("away"))
                try #require(mkdir(directory.string, 0o755) == 0)
                let disk = PosixDisk()
                var bytes = ByteBuffer()
                let old = try disk.open(
                    parent.appending("away").appending(SegmentName.activeName), .read)
                _ = try old.readFully(at: 0, count: 1 << 20, into: &bytes)
                try disk.open(segment, .createNew).writeAll(bytes.bytes, at: 0)
                return parent.appending("away")
            }
        }
    }

    /// A log in a directory in a directory, on the disk of the machine. Its host writes an idle
    /// mark when `step` is called.
    private struct Fixture {
        let top: TemporaryDirectory
        let host: LogHost
        let log: Log

        /// - Parameter nanoseconds: how long a commit does not look.
        init(notLookingFor nanoseconds: UInt64) throws {
            top = try TemporaryDirectory()
            host = .on(PosixDisk()) { $0.placeNanoseconds = nanoseconds }
            let parent = top.path.appending("parent")
            try #require(mkdir(parent.string, 0o755) == 0)
            log = try Log.open(parent.appending("log"), host: host)
            try log.append(TestMessage("before"))
        }
    }

    private func texts(_ directory: FilePath) throws -> [String] {
        let log = try Log.open(directory, host: .on(PosixDisk()))
        #expect(log.recovery.tail == .clean)
        let texts = try log.texts()
        try log.close()
        return texts
    }

    @Test("a commit finds it out before it writes", arguments: Mishap.allCases)
    func commit(_ mishap: Mishap) throws {
        let fixture = try Fixture(notLookingFor: 0)
        let log = fixture.log
        let away = try mishap.happens(to: log.directory)
        for _ in 0..<2 {
            #expect(throws: LogError.takenOver(log.directory)) {
                try log.append(TestMessage("refused"))
            }
        }
        try log.close()
        if let away { #expect(try texts(away) == ["before"]) }
    }

    @Test("a log that is left alone finds it out with its idle mark", arguments: Mishap.allCases)
    func idle(_ mishap: Mishap) throws {
        let fixture = try Fixture(notLookingFor: .max)
        let log = fixture.log
        let away = try mishap.happens(to: log.directory)
        fixture.host.runAll()
        #expect(throws: LogError.takenOver(log.directory)) {
            try log.append(TestMessage("refused"))
        }
        try log.close()
        if let away { #expect(try texts(away) == ["before"]) }
    }

    @Test("closing tells of it, with and without an idle mark", arguments: Mishap.allCases)
    func close(_ mishap: Mishap) throws {
        for isIdle in [false, true] {
            let fixture = try Fixture(notLookingFor: .max)
            let log = fixture.log
            if isIdle { fixture.host.runAll() }
            let away = try mishap.happens(to: log.directory)
            #expect(throws: LogError.takenOver(log.directory)) { try log.close() }
            guard let away else { continue }
            #expect(try texts(away) == ["before"])
            var examiner = LogExaminer(disk: PosixDisk(), directory: away, knownDurable: nil)
            let found = try examiner.examine(SegmentListing(try PosixDisk().list(away)))
            #expect(found.durableBelow == 1, "it has its mark")
        }
    }

    // MARK: Another device

    private static let active = LogImage.directory.appending(SegmentName.activeName)

    @Test("a file with the same number on another device is not the log's: a commit, closing")
    func otherDeviceForWriters() throws {
        let fixture = LogFixture(host: { $0.placeNanoseconds = 0 })
        let log = try fixture.open()
        try log.append(TestMessage("before"))
        fixture.disk.putOnAnotherDevice(LogPlaceTests.active)
        #expect(throws: LogError.takenOver(log.directory)) {
            try log.append(TestMessage("refused"))
        }
        let other = LogFixture(host: { $0.placeNanoseconds = .max })
        let closed = try other.open()
        try closed.append(TestMessage("before"))
        other.disk.putOnAnotherDevice(LogPlaceTests.active)
        #expect(throws: LogError.takenOver(closed.directory)) { try closed.close() }
    }

    @Test("a file with the same number on another device is not the log's: reading")
    func otherDeviceForReaders() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        try log.append(TestMessage("before"))
        fixture.disk.putOnAnotherDevice(LogPlaceTests.active)
        let cause = DiskError(
            operation: .open, path: LogPlaceTests.active, errno: .noSuchFileOrDirectory)
        #expect(throws: LogError.unreadable(cause)) { try log.texts() }
    }

    @Test("a file with the same number on another device is not the log's: taking it up again")
    func otherDeviceForParked() throws {
        let disk = MemoryDisk()
        let host = LogHost.on(disk) {
            $0.openLogs = 1
            $0.placeNanoseconds = .max
        }
        let log = try Log.open("/parked", host: host)
        try log.append(TestMessage("before"))
        let other = try Log.open("/other", host: host)
        disk.putOnAnotherDevice(FilePath("/parked").appending(SegmentName.activeName))
        #expect(throws: LogError.takenOver("/parked")) { try log.append(TestMessage("refused")) }
        try? log.close()
        try other.close()
    }

    @Test("a file with the same number on another device is not the log's: dropping")
    func otherDeviceForDrop() throws {
        let fixture = LogFixture { _ in
        } _: {
            $0.segmentBytes = 4096
        }
        let log = try fixture.open()
        for _ in 0..<3 { try log.append(TestMessage([UInt8](repeating: 7, count: 3000))) }
        let sealed = SegmentName.sealed(first: 0).path(in: LogImage.directory)
        fixture.disk.putOnAnotherDevice(sealed)
        #expect(throws: LogError.takenOver(log.directory)) {
            try log.drop(below: MessageID(2))
        }
        #expect(fixture.disk.bytes(sealed) != nil)
        try log.close()
    }

    @Test("a log that was moved away and back goes on")
    func movedBack() throws {
        let fixture = try Fixture(notLookingFor: 0)
        let log = fixture.log
        let away = try #require(try Mishap.directoryMoved.happens(to: log.directory))
        try #require(rename(away.string, log.directory.string) == 0)
        #expect(try log.append(TestMessage("after")) == 1)
        try log.close()
        #expect(try texts(log.directory) == ["before", "after"])
    }

    @Test("commits that follow each other look once a second")
    func seldom() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        fixture.disk.startTrace()
        let begin = ContinuousClock.now
        for _ in 0..<500 { try log.append(TestMessage("x")) }
        let seconds = Int((ContinuousClock.now - begin) / .seconds(1))
        let looks = fixture.disk.trace.filter { $0.operation == .status }.count
        #expect((1...seconds + 1).contains(looks), "\(looks) in \(seconds) s")
        try log.close()
    }

    @Test("a place that cannot be looked at refuses the commit, and the log goes on when it can")
    func cannotTell() throws {
        let fixture = LogFixture(host: { $0.placeNanoseconds = 0 })
        let log = try fixture.open()
        try log.append(TestMessage("before"))
        fixture.disk.follow { $0.operation == .status ? .fail(.permissionDenied) : nil }
        let path = LogImage.directory.appending(SegmentName.activeName)
        let cause = DiskError(operation: .status, path: path, errno: .permissionDenied)
        #expect(throws: LogError.notWritten(cause)) { try log.append(TestMessage("refused")) }
        // Nothing is acknowledged with an idle mark.
        fixture.host.runAll()
        fixture.disk.follow(nil)
        #expect(try log.append(TestMessage("after")) == 1)
        #expect(try log.texts() == ["before", "after"])
        try log.close()
    }
}
