import DataDirectory
import Glibc
import Simulation
import SystemPackage
import Testing
import TestSupport
import WAL

@Suite("Offsets file") struct OffsetsFileTests {
    private func offsets(_ id: UInt64) throws -> Offsets {
        var offsets = Offsets()
        offsets.acknowledge(MessageID(id), by: try ConsumerID("c"))
        return offsets
    }

    @Test func aMissingFileIsNoEvidence() throws {
        let directory = try TemporaryDirectory()
        #expect(try OffsetsFile(directory.appending("offsets.json")).load() == nil)
    }

    @Test func anEmptyFileIsDamagedAndNotMissing() throws {
        let directory = try TemporaryDirectory()
        let path = directory.appending("offsets.json")
        try directory.write([], to: "offsets.json")
        let damage = OffsetsDamage(reason: .notOneLine, offset: 0)
        #expect(throws: OffsetsFileError.damaged(path: path, damage)) {
            try OffsetsFile(path).load()
        }
    }

    @Test func whatWasStoredIsThereAfterARestart() throws {
        let directory = try TemporaryDirectory()
        let path = directory.appending("offsets.json")
        for id in UInt64(0)..<3 {
            try OffsetsFile(path).store(try offsets(id))
            #expect(try OffsetsFile(path).load() == offsets(id))
        }
        let names = try PosixDisk().list(directory.path).map(\.name.string)
        #expect(names == ["offsets.json"])
    }

    @Test func anIOErrorIsNotDamage() throws {
        let directory = try TemporaryDirectory()
        let path = directory.appending("offsets.json")
        try PosixDisk().makeDirectory(path)
        let error = DiskError(operation: .open, path: path, errno: Errno(rawValue: 21))
        #expect(throws: OffsetsFileError.io(error)) { try OffsetsFile(path).load() }
        let below = path.appending("x").appending("y")
        #expect(try OffsetsFile(below).load() == nil)
    }

    @Test func aLinkThatLeadsNowhereIsAnErrorAndNotMissing() throws {
        let directory = try TemporaryDirectory()
        let path = directory.appending("offsets.json")
        #expect(symlink("nowhere", path.string) == 0)
        let error = DiskError(operation: .open, path: path, errno: .noSuchFileOrDirectory)
        #expect(throws: OffsetsFileError.io(error)) { try OffsetsFile(path).load() }
        // And once it leads to a file, that is it.
        try OffsetsFile(directory.appending("nowhere")).store(try offsets(3))
        #expect(try OffsetsFile(path).load() == offsets(3))
    }

    @Test func aNewFileHasTheModeOfTheOldOneAndTheFirstThatOfTheSegment() throws {
        let directory = try TemporaryDirectory()
        let path = directory.appending("offsets.json")
        let segment = try directory.write([], to: "segment.log")
        for (file, mode) in [(segment, mode_t(0o600)), (path, 0o640)] {
            #expect(chmod(file.string, mode) == 0)
            try OffsetsFile(path).store(try offsets(1))
            #expect(try PosixDisk().status(path)?.access?.permissions == UInt32(mode))
        }
    }

    @Test func aFileThatIsTooLargeIsRefusedBeforeItIsRead() throws {
        let directory = try TemporaryDirectory()
        let path = directory.appending("offsets.json")
        let size = UInt64(1) << 40
        let file = try PosixDisk().open(path, .create)
        try file.truncate(to: size)
        file.close()
        let damage = OffsetsDamage(reason: .tooLarge(bytes: size), offset: 0)
        #expect(throws: OffsetsFileError.damaged(path: path, damage)) {
            try OffsetsFile(path).load()
        }
    }

    @Test func whatCouldNotBeReadAgainIsNotWritten() throws {
        let directory = try TemporaryDirectory()
        let path = directory.appending("offsets.json")
        try OffsetsFile(path).store(try offsets(1))
        var large = try offsets(2)
        let digits = String(repeating: "1", count: OffsetsFormat.byteLimit)
        large.unknownMembers = [JSONMember(name: "x", value: .number(digits))]
        let error = #expect(throws: OffsetsFileError.self) { try OffsetsFile(path).store(large) }
        guard case .tooLarge? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try OffsetsFile(path).load() == offsets(1))
    }

    @Test func theOrderOfCallsIsWriteSyncRenameSync() throws {
        let directory = try TemporaryDirectory()
        let path = directory.appending("offsets.json")
        let disk = RecordingDisk()
        try OffsetsFile(path, storage: Storage(disk)).store(try offsets(1))
        let name = directory.path.lastComponent?.string ?? ""
        #expect(
            disk.calls == [
                "open offsets.json.tmp", "write offsets.json.tmp", "sync offsets.json.tmp",
                "rename offsets.json.tmp", "sync directory \(name)",
            ])
        // The owner and mode of the old one come before the bytes, and before the sync.
        let again = RecordingDisk()
        try OffsetsFile(path, storage: Storage(again)).store(try offsets(2))
        #expect(again.calls[1] == "change owner and mode of offsets.json.tmp")
        #expect(again.calls[0..<1] + again.calls[2...] == disk.calls[...])
    }

    @Test func whateverKillsAStoreTheFileIsOldOrNewAndTheNextStoreWorks() throws {
        for kill in 0..<7 {
            let directory = try TemporaryDirectory()
            let path = directory.appending("offsets.json")
            try OffsetsFile(path).store(try offsets(1))
            let disk = RecordingDisk(stoppingBefore: kill)
            let killed = OffsetsFile(path, storage: Storage(disk))
            if kill < 6 {
                #expect(throws: OffsetsFileError.self) { try killed.store(try offsets(2)) }
            } else {
                try killed.store(try offsets(2))
            }
            let found = try OffsetsFile(path).load()
            #expect(try found == offsets(kill < 5 ? 1 : 2), "killed before call \(kill)")
            try OffsetsFile(path).store(try offsets(3))
            #expect(try OffsetsFile(path).load() == offsets(3))
            let names = try PosixDisk().list(directory.path).map(\.name.string)
            #expect(names == ["offsets.json"])
        }
    }

    @Test func aFailedStoreLeavesNoTemporaryFileAndTellsTheFirstError() throws {
        let directory = try TemporaryDirectory()
        let path = directory.appending("offsets.json")
        let temporary = directory.appending("offsets.json.tmp")
        for (call, operation) in [(1, DiskError.Operation.write), (2, .sync), (3, .rename)] {
            let disk = RecordingDisk(stoppingBefore: call, onlyOnce: true)
            let error = DiskError(operation: operation, path: temporary, errno: .ioError)
            #expect(throws: OffsetsFileError.io(error)) {
                try OffsetsFile(path, storage: Storage(disk)).store(try offsets(2))
            }
            #expect(try PosixDisk().list(directory.path).isEmpty)
        }
    }

    /// open(2) finds a link there, stat(2) nothing.
    @Test func aLinkThatLeadsNowhereIsALeftOverLikeAnyOther() throws {
        let directory = try TemporaryDirectory()
        let temporary = directory.appending("offsets.json.tmp")
        #expect(symlink("nowhere", temporary.string) == 0)
        let file = OffsetsFile(directory.appending("offsets.json"))
        try file.store(try offsets(2))
        #expect(try file.load() == offsets(2))
        #expect(try PosixDisk().list(directory.path).map(\.name.string) == ["offsets.json"])
    }

    @Test func powerLossAnywhereLeavesTheOldFileOrTheNewOne() throws {
        let path: FilePath = "/data/offsets.json"
        var random = Seeded(1)
        for left in [nil, Array("left over".utf8)] {
            for stop in 0..<18 {
                let disk = try self.disk(with: path, left)
                let recording = RecordingDisk(disk, stoppingBefore: stop)
                let file = OffsetsFile(path, storage: Storage(recording))
                let isStored = (try? file.store(try offsets(2))) != nil
                let cut = PowerCut(limit: 2000)
                try cut.forEachOutcome(of: disk.state, using: &random) { state, label in
                    let after = SimulatedDisk(state)
                    let found = try OffsetsFile(path, storage: Storage(after)).load()
                    let isNew = try found == offsets(2)
                    let isOld = try found == offsets(1)
                    if !isNew && (isStored || !isOld) {
                        Issue.record("stopped before call \(stop), \(label): \(found as Any)")
                    }
                }
            }
        }
    }

    /// A disk with positions that are durable, and with what an earlier store may have left, that
    /// writes seven bytes at a time.
    private func disk(with path: FilePath, _ left: [UInt8]?) throws -> SimulatedDisk {
        let disk = SimulatedDisk()
        try disk.makeDirectory(path.removingLastComponent())
        try disk.syncDirectory("/")
        try OffsetsFile(path, storage: Storage(disk)).store(try offsets(1))
        if let left {
            let file = try disk.open(AtomicFile.temporary(of: path), .createNew)
            try file.writeAll(RawSpan(of: left), at: 0)
            try file.sync(.everything)
            try disk.syncDirectory(path.removingLastComponent())
        }
        let count = disk.calls.count
        for call in count..<count + 18 { disk.inject(.short(7), at: call) }
        return disk
    }
}
