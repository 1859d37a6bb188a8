import DataDirectory
import Glibc
import SystemPackage
import Testing
import TestSupport
import WAL

@Suite("Data layout") struct DataLayoutTests {
    @Test func pathsAreThoseOfTheContract() throws {
        let layout = DataLayout("/srv/data")
        let topic = try TopicName("orders")
        #expect(layout.lockFile == "/srv/data/LOCK")
        #expect(layout.topicsDirectory == "/srv/data/topics")
        #expect(layout.lostAndFound == "/srv/data/lost+found")
        #expect(layout.directory(of: topic) == "/srv/data/topics/orders")
        #expect(layout.offsetsFile(of: topic) == "/srv/data/topics/orders/offsets.json")
    }

    @Test func creatingMakesWhatIsMissingAndFsyncsEachParent() throws {
        let directory = try TemporaryDirectory()
        let above = directory.path.lastComponent?.string ?? ""
        let topic = try TopicName("orders")
        let making = RecordingDisk()
        try DataLayout(directory.appending("data"), storage: Storage(making)).create(topic)
        #expect(
            making.calls == [
                "make directory data", "sync directory \(above)", "make directory topics",
                "sync directory data", "make directory orders", "sync directory topics",
            ])
        // Again: nothing to make, but whoever made it may have been killed before its fsync.
        let again = RecordingDisk()
        try DataLayout(directory.appending("data"), storage: Storage(again)).create(topic)
        #expect(
            again.calls == [
                "sync directory \(above)", "sync directory data", "sync directory topics",
            ])
    }

    @Test func openingFsyncsTheWholeChain() throws {
        let directory = try TemporaryDirectory()
        let topic = try TopicName("orders")
        let data = directory.appending("data")
        try DataLayout(data).create(topic)
        let disk = RecordingDisk()
        try DataLayout(data, storage: Storage(disk)).syncChain(for: topic)
        let above = directory.path.lastComponent?.string ?? ""
        #expect(
            Set(disk.calls) == [
                "sync directory \(above)", "sync directory data", "sync directory topics",
                "sync directory orders",
            ])
    }

    @Test func afterAnyKillCreatingAgainFinishesIt() throws {
        let topic = try TopicName("orders")
        for kill in 0..<6 {
            let directory = try TemporaryDirectory()
            let data = directory.appending("data")
            let disk = RecordingDisk(stoppingBefore: kill)
            #expect(throws: DiskError.self) {
                try DataLayout(data, storage: Storage(disk)).create(topic)
            }
            try DataLayout(data).create(topic)
            #expect(try DataLayout(data).topics().topics == [topic])
        }
    }

    @Test func onlyTheLastComponentOfDataIsMade() throws {
        let directory = try TemporaryDirectory()
        let data = directory.appending("missing").appending("data")
        let error = DiskError(
            operation: .makeDirectory, path: data, errno: .noSuchFileOrDirectory)
        #expect(throws: error) { try DataLayout(data).create() }
    }

    @Test func aFileWhereADirectoryBelongsIsAnError() throws {
        let directory = try TemporaryDirectory()
        let topics = directory.appending("topics")
        try directory.write([], to: "topics")
        let error = DiskError(operation: .makeDirectory, path: topics, errno: .notDirectory)
        #expect(throws: error) { try DataLayout(directory.path).create() }
    }

    @Test func listingTellsTopicsFromWhatIsForeign() throws {
        let directory = try TemporaryDirectory()
        let layout = DataLayout(directory.path)
        for name in ["b", "a.dlq", "Z"] { try layout.create(try TopicName(name)) }
        for name in [".hidden", "lost+found", "тема"] {
            try PosixDisk().makeDirectory(layout.topicsDirectory.appending(name))
        }
        try directory.write([], to: "topics/file")
        symlink("b", layout.topicsDirectory.appending("link").string)
        symlink("nowhere", layout.topicsDirectory.appending("dangling").string)
        try directory.write([], to: "LOCK")
        try directory.write([], to: "notes.txt")
        let listing = try layout.topics()
        #expect(listing.topics.map(\.text) == ["Z", "a.dlq", "b", "link"])
        let foreign = listing.foreign.map(\.name.string)
        #expect(foreign == [".hidden", "dangling", "file", "тема"])
        #expect(try layout.foreignEntries().map(\.name.string) == ["notes.txt"])
    }

    @Test func aDirectoryWhoseMakingWasNotFinishedHasNoTopics() throws {
        let directory = try TemporaryDirectory()
        #expect(try DataLayout(directory.path).topics().topics.isEmpty)
        let missing = directory.appending("data")
        let error = DiskError(operation: .list, path: missing, errno: .noSuchFileOrDirectory)
        #expect(throws: error) { try DataLayout(missing).topics() }
    }

    @Test func theParentOfAnyPathIsADirectoryThatCanBeOpened() {
        let parents: [(FilePath, FilePath)] = [
            ("/a/b", "/a"), ("/a", "/"), ("/", "/"), ("a", "."), ("a/b/", "a"), (".", "./.."),
            ("..", "../.."), ("a/..", "a/../.."), ("", ".."),
        ]
        for (path, parent) in parents { #expect(path.parentDirectory == parent) }
    }
}

@Suite("Data lock") struct DataLockTests {
    @Test func aSecondHolderIsToldWhoTheFirstOneIs() throws {
        let directory = try TemporaryDirectory()
        let layout = DataLayout(directory.path)
        let lock = try DataLock.acquire(layout)
        let held = DataLockError.held(path: layout.lockFile, processID: getpid())
        #expect(throws: held) { try DataLock.acquire(layout) }
        let text = "\(layout.lockFile) is in use by process \(getpid()); stop that one first"
        #expect(held.description == text)
        // A log says it in the same words.
        #expect("\(OpenError.inUse(directory: layout.lockFile, process: getpid()))" == text)
        let unnamed = DataLockError.held(path: "/d", processID: nil)
        #expect("\(unnamed)".hasPrefix("/d is in use by another process (in another container"))
        #expect(try bytes(of: layout.lockFile) == Array("\(getpid())\n".utf8))
        lock.release()
        lock.release()
        try DataLock.acquire(layout).release()
    }

    @Test func aLockGoesWithItsLastReference() throws {
        let directory = try TemporaryDirectory()
        let layout = DataLayout(directory.path)
        for _ in 0..<2 {
            let lock = try DataLock.acquire(layout)
            withExtendedLifetime(lock) {}
        }
        #expect(PosixDisk().lockHolder(layout.lockFile) == nil)
    }

    @Test func aFileOfALongerProcessIDIsWrittenOver() throws {
        let directory = try TemporaryDirectory()
        let layout = DataLayout(directory.path)
        try directory.write("12345678901234567890\n".utf8, to: "LOCK")
        let lock = try DataLock.acquire(layout)
        #expect(try bytes(of: layout.lockFile) == Array("\(getpid())\n".utf8))
        lock.release()
    }

    @Test func aDiskThatTakesNoMoreBytesDoesNotKeepTheLockAway() throws {
        let directory = try TemporaryDirectory()
        try directory.write([], to: "LOCK")
        let disk = RecordingDisk(stoppingBefore: 1)
        let lock = try DataLock.acquire(DataLayout(directory.path, storage: Storage(disk)))
        lock.release()
    }

    @Test func aMissingDataDirectoryIsAnIOError() throws {
        let directory = try TemporaryDirectory()
        let layout = DataLayout(directory.appending("data"))
        let error = DiskError(
            operation: .open, path: layout.lockFile, errno: .noSuchFileOrDirectory)
        #expect(throws: DataLockError.io(error)) { try DataLock.acquire(layout) }
    }
}
