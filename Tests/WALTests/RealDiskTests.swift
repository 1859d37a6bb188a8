import Foundation
import Glibc
import ProcessSupport
import SystemPackage
import Testing
import TestSupport
import WALTestSupport

@testable import WAL

/// What only the disk of the machine, and its permissions, can show.
@Suite(.timeLimit(.minutes(10))) struct RealDiskTests {
    private let host = LogHost.on(PosixDisk())

    // MARK: Locks

    @Test func aSecondOpenerInThisProcessIsToldOfThisProcess() throws {
        let directory = try TemporaryDirectory()
        let log = try Log.open(directory.path, host: host)
        let expected = OpenError.inUse(directory: directory.path, process: getpid())
        #expect(throws: expected) { try Log.open(directory.path, host: host) }
        #expect(throws: expected) { try Log.open(directory.path, host: .on(PosixDisk())) }
        try log.close()
        try Log.open(directory.path, host: host).close()
    }

    @Test func aSecondOpenerIsToldOfTheProcessThatHoldsTheLog() throws {
        let directory = try TemporaryDirectory()
        let helper = try HelperProcess(["hold", directory.path.string])
        #expect(helper.line() == "opened 0")
        #expect(throws: OpenError.inUse(directory: directory.path, process: helper.pid)) {
            try Log.open(directory.path, host: host)
        }
        // And the other way round.
        helper.kill()
        #expect(helper.wait() == -9)
        let log = try Log.open(directory.path, host: host)
        let other = try HelperProcess(["open", directory.path.string])
        let line = other.line() ?? ""
        #expect(line.contains("in use by process \(getpid())"), "\(line)")
        #expect(other.wait() == 1)
        try log.close()
    }

    // MARK: Names

    @Test func whatIsNotADirectoryIsRefused() throws {
        let directory = try TemporaryDirectory()
        try directory.write([1], to: "file")
        let file = directory.path.appending("file")
        #expect(throws: OpenError.notADirectory(file)) { try Log.open(file, host: host) }
        let missing = directory.path.appending("missing")
        let cases: [(FilePath, Bool, Errno)] = [
            (missing.appending("child"), true, .noSuchFileOrDirectory),
            (missing, false, .noSuchFileOrDirectory), (file.appending("x"), true, .notDirectory),
        ]
        for (path, creates, errno) in cases {
            var options = LogOptions()
            options.createsDirectory = creates
            var failure: OpenError?
            do { _ = try Log.open(path, host: host, options: options) } catch { failure = error }
            guard case .io(let error)? = failure else {
                Issue.record("\(path): \(String(describing: failure))")
                continue
            }
            #expect(error.errno == errno)
        }
        #expect(try directory.names == ["file"])
    }

    @Test func aDirectoryUnderTheNameOfTheSegmentIsAnError() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending(SegmentName.activeName)
        #expect(mkdir(path.string, 0o755) == 0)
        #expect(throws: OpenError.self) { try Log.open(directory.path, host: host) }
        #expect(try directory.names == [SegmentName.activeName])
    }

    @Test func aLogThatWasMovedLeavesTheOneInItsPlaceAlone() throws {
        let directory = try TemporaryDirectory()
        let (place, away) = (directory.path.appending("log"), directory.path.appending("away"))
        var options = LogOptions()
        options.segmentBytes = 4096
        let payload = [UInt8](repeating: 7, count: 300)
        let moved = try Log.open(place, host: host, options: options)
        for _ in 0..<30 { try moved.append(TestMessage(payload)) }
        #expect(rename(place.string, away.string) == 0)
        let other = try Log.open(place, host: host, options: options)
        for _ in 0..<30 { try other.append(TestMessage("theirs")) }
        var acknowledged: UInt64 = 30
        #expect(throws: LogError.takenOver(moved.directory)) {
            for _ in 0..<30 {
                try moved.append(TestMessage(payload))
                acknowledged += 1
            }
        }
        #expect(throws: LogError.self) { try moved.drop(below: MessageID(.max)) }
        try? moved.close()
        #expect(try other.contents().count == 30)
        try other.close()
        let again = try Log.open(away, host: host, options: options)
        #expect(again.recovery.tail == .clean)
        #expect(again.durable.upperBound == MessageID(acknowledged))
        try again.close()
    }

    @Test func aLogIsWhereItsPathLedWhenItWasOpened() throws {
        let directory = try TemporaryDirectory()
        let real = directory.path.appending("real")
        let link = directory.path.appending("link")
        #expect(mkdir(real.string, 0o755) == 0)
        #expect(mkdir(real.appending("deep").string, 0o755) == 0)
        #expect(symlink(real.appending("deep").string, link.string) == 0)
        let log = try Log.open(link.appending("..").appending("log"), host: host)
        #expect(try log.append(TestMessage("0")) == 0)
        let found = try #require(real.resolvingLinks)
        #expect(log.directory == found.appending("log"))
        try log.close()
    }

    @Test func aSegmentMayBeALinkToAFileAndNothingElseThatIsNoFile() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("log")
        let log = try Log.open(path, host: host)
        try log.append(TestMessage("0"))
        try log.close()
        let segment = path.appending(SegmentName.activeName)
        let real = directory.path.appending("elsewhere")
        #expect(rename(segment.string, real.string) == 0)
        // Dangling, a directory, a pipe whose other end nobody opens: never a log without messages.
        for make in [
            { symlink("/nowhere/at/all", segment.string) }, { mkdir(segment.string, 0o755) },
            { mkfifo(segment.string, 0o644) },
        ] {
            #expect(make() == 0)
            #expect(throws: OpenError.self) { try Log.open(path, host: host) }
            #expect(remove(segment.string) == 0)
        }
        #expect(symlink(real.string, segment.string) == 0)
        let again = try Log.open(path, host: host)
        #expect(try again.append(TestMessage("1")) == 1)
        #expect(try again.texts() == ["0", "1"])
        try again.close()
    }

    @Test(arguments: [-11_676_096_000, 10_413_792_000])
    func theDateOfAFileIsNoReasonNotToOpenIt(secondsSince1970: Int) throws {
        let directory = try TemporaryDirectory()
        var log = try Log.open(directory.path, host: host)
        try log.append(TestMessage("0"))
        try log.close()
        let path = directory.path.appending(SegmentName.activeName)
        // 1600 and 2300: more nanoseconds than 64 bits hold.
        let times = [timespec](repeating: timespec(tv_sec: secondsSince1970, tv_nsec: 1), count: 2)
        #expect(utimensat(AT_FDCWD, path.string, times, 0) == 0)
        log = try Log.open(directory.path, host: host)
        #expect(try log.texts() == ["0"])
        try log.close()
    }

    @Test func aLogIsMadeAndReadAgainThroughEveryCallOfTheDisk() throws {
        let directory = try TemporaryDirectory()
        var options = LogOptions()
        options.segmentBytes = 8192
        let path = directory.path.appending("made")
        var expected: [TestMessage] = []
        var random = Seeded(61)
        for _ in 0..<3 {
            let log = try Log.open(path, host: host, options: options)
            for _ in 0..<40 {
                let count = Int.random(in: 0...1500, using: &random)
                let message = TestMessage(random.bytes(count), key: [1])
                try log.append(message)
                expected.append(message)
            }
            #expect(try log.contents().map(\.message) == expected.map { $0 })
            try log.close()
        }
        let log = try Log.open(path, host: host, options: options)
        let first = try log.drop(below: MessageID(60))
        #expect(first > MessageID(0))
        #expect(try log.contents().map(\.message) == Array(expected[Int(first.rawValue)...]))
        try log.close()
    }

    /// The header of the C library does not show the call, so it is declared here: that it is the
    /// right one shows in what the kernel says of a descriptor that is no file's.
    @Test func aFileIsBegunWithAndItsBytesAreThere() throws {
        let directory = try TemporaryDirectory()
        let path = directory.appending("file")
        let file = try PosixDisk().open(path, .create)
        let bytes = [UInt8](repeating: 7, count: 10_000)
        try file.writeAll(RawSpan(of: bytes), at: 0)
        try file.startWriting(0..<10_000)
        // Beyond its end there is nothing to begin with, which is no error.
        try file.startWriting(20_000..<30_000)
        try file.sync(.data)
        #expect(try Data(contentsOf: URL(filePath: path.string)) == Data(bytes))

        let descriptor = try System.open(path, O_RDWR).get()
        defer { System.close(descriptor) }
        #expect(throws: Never.self) { try System.syncFileRange(descriptor, 0..<10_000).get() }
        var pipes: [Int32] = [0, 0]
        #expect(pipe(&pipes) == 0)
        defer { pipes.forEach { System.close($0) } }
        #expect(throws: Errno.illegalSeek) { try System.syncFileRange(pipes[1], 0..<1).get() }
        #expect(throws: Errno.badFileDescriptor) { try System.syncFileRange(-1, 0..<1).get() }
    }

    /// Those of this process that lead to `path` or below it. Other tests run at the same time, and
    /// have theirs elsewhere.
    private func descriptors(below path: FilePath) throws -> [Int32] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
            .compactMap { Int32($0) }.filter {
                let link = try? FileManager.default.destinationOfSymbolicLink(
                    atPath: "/proc/self/fd/\($0)")
                return link.map { FilePath($0).starts(with: path) } ?? false
            }
    }

    @Test func descriptorsOfAProcessAreGivenBack() throws {
        let directory = try TemporaryDirectory()
        let path = try #require(directory.path.resolvingLinks)
        for _ in 0..<100 {
            let log = try Log.open(directory.path, host: host)
            try log.append(TestMessage("x"))
            _ = try log.contents()
            #expect(try !descriptors(below: path).isEmpty)
            try log.close()
        }
        #expect(try descriptors(below: path).isEmpty)
    }

    @Test func aLockIsGivenUpThoughSomebodyStillHoldsTheOpenFile() throws {
        // As a child does that another thread has forked, until it runs its program.
        let directory = try TemporaryDirectory()
        let path = try #require(directory.path.resolvingLinks)
        let lock = try PosixDisk().lock(path)
        let copy = dup(try #require(try descriptors(below: path).first))
        defer { close(copy) }
        #expect(throws: DiskError.self) { try PosixDisk().lock(path) }
        lock.release()
        try PosixDisk().lock(path).release()
    }

    // MARK: Permissions

    /// What the helper says of a directory when an ordinary user runs it.
    private func openAsOrdinaryUser(_ path: FilePath) throws -> (line: String, code: Int32) {
        let helper = try HelperProcess(["open", path.string], wrapper: OrdinaryUser.wrapper)
        let line = helper.line() ?? ""
        return (line, helper.wait())
    }

    @Test(.enabled(if: OrdinaryUser.canRun("LogAppender"), "no ordinary user can run the helper"))
    func anOrdinaryUserIsRefusedWhatItMayNotWriteAndNothingChanges() throws {
        let directory = try TemporaryDirectory()
        #expect(chmod(directory.path.string, 0o755) == 0)
        // A directory that it may not write to, without a log.
        let fresh = directory.path.appending("fresh")
        let made = try openAsOrdinaryUser(fresh)
        #expect(made.code == 1)
        #expect(made.line.contains("cannot make directory \(fresh)"), "\(made.line)")
        // And one with a log that somebody else owns.
        let log = try Log.open(directory.path.appending("log"), host: host)
        try log.append(TestMessage("x"))
        try log.close()
        let path = directory.path.appending("log")
        for (mode, word) in [(mode_t(0o555), "segment.log"), (0o700, "cannot"), (0o000, "cannot")] {
            #expect(chmod(path.string, mode) == 0)
            let refused = try openAsOrdinaryUser(path)
            #expect(refused.code == 1)
            #expect(refused.line.contains(word), "\(refused.line)")
            #expect(refused.line.contains("Permission denied"), "\(refused.line)")
        }
        #expect(chmod(path.string, 0o755) == 0)
        let again = try Log.open(path, host: host)
        #expect(again.recovery.tail == .clean)
        #expect(try again.contents().count == 1)
        try again.close()
    }

    // MARK: A disk that is full

    /// Where nothing can be mounted, too: to the log it is the same, half a write among it.
    @Test func aFileThatMayNotGrowRefusesAppendsAndTakesThemWhenItMay() throws {
        let directory = try TemporaryDirectory()
        let lines = try HelperProcess(["fill", directory.path.string]).lines()
        #expect(lines.first == "opened 0")
        try #require(lines.count == 4, "\(lines)")
        // Four times 10,000 bytes fit into 50,001, with what is around them.
        #expect(lines[1].hasPrefix("4 durable, then ") && lines[1].contains("File too large"))
        #expect(lines[2...] == ["6 durable", "closed"])
        let log = try Log.open(directory.path, host: host)
        #expect(log.recovery.tail == .clean)
        let contents = try log.contents()
        let sizes = [10_000, 10_000, 10_000, 10_000, 1, 10_000]
        #expect(contents.map(\.message.payload.count) == sizes)
        try log.close()
    }

    /// A small file system of its own while it is there; nil where none can be mounted.
    private final class SmallDisk {
        let directory: TemporaryDirectory

        init?() {
            guard let directory = try? TemporaryDirectory() else { return nil }
            self.directory = directory
            guard mount("tmpfs", directory.path.string, "tmpfs", 0, "size=1m") == 0 else {
                return nil
            }
        }

        deinit { _ = umount2(directory.path.string, Int32(MNT_DETACH)) }
    }

    @Test(.enabled(if: SmallDisk() != nil, "a small tmpfs cannot be mounted"))
    func aFullFileSystemRefusesAppendsAndTakesThemWhenSpaceReturns() throws {
        let disk = try #require(SmallDisk())
        let path = disk.directory.path.appending("log")
        var options = LogOptions()
        options.segmentBytes = 128 << 10
        let log = try Log.open(path, host: host, options: options)
        var random = Seeded(62)
        var acknowledged: [TestMessage] = []
        var failure: LogError?
        while failure == nil {
            let message = TestMessage(random.bytes(Int.random(in: 0...20_000, using: &random)))
            do {
                try log.append(message)
                acknowledged.append(message)
            } catch { failure = error }
            #expect(acknowledged.count < 1000)
        }
        guard case .notWritten(let cause)? = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        #expect(cause.errno == .noSpace)
        #expect(try log.contents().map(\.message) == acknowledged)
        let listing = SegmentListing(try PosixDisk().list(path))
        var examiner = LogExaminer(disk: PosixDisk(), directory: path, knownDurable: nil)
        #expect(try examiner.examine(listing).verdict < .torn, "no partial frame")
        // Retention makes room.
        let first = try log.drop(below: log.durable.upperBound)
        #expect(first > MessageID(0))
        for number in 0..<5 {
            let message = TestMessage("after \(number)")
            try log.append(message)
            acknowledged.append(message)
        }
        let kept = Array(acknowledged[Int(first.rawValue)...])
        #expect(try log.contents().map(\.message) == kept)
        try log.close()
        let again = try Log.open(path, host: host, options: options)
        #expect(again.recovery.tail == .clean)
        #expect(try again.contents().map(\.message) == kept)
        try again.close()
    }
}
