import DataDirectory
import Inspection
import Repair
import SystemPackage
import Testing
import WALTestSupport

@testable import WAL

/// A data directory in memory with one topic, as a repair meets it.
struct RepairBench {
    static let data: FilePath = "/data"
    static let directory: FilePath = "/data/topics/orders"
    static let now: UInt64 = 1_800_000_000_000_000_000

    let disk: MemoryDisk

    init(_ files: [(name: String, bytes: [UInt8])]) {
        disk = MemoryDisk()
        for path in ["/data", "/data/topics", RepairBench.directory.string] {
            disk.putDirectory(FilePath(path))
        }
        for file in files { disk.put(file.bytes, at: RepairBench.directory.appending(file.name)) }
    }

    init(_ image: LogImage, acked: UInt64? = nil, _ more: [(name: String, bytes: [UInt8])] = []) {
        var files = image.files + more
        if let acked { files.append((DataLayout.offsetsName, RepairBench.offsets(acked))) }
        self.init(files)
    }

    init(disk: MemoryDisk) { self.disk = disk }

    static func offsets(_ acked: UInt64) -> [UInt8] {
        let text = "{\"consumers\": {\"c\": {\"acked\": \(acked), \"above\": []}}"
        let crc = CRC32.of(array: Array(text.utf8))
        let digits = String(crc, radix: 16)
        let padded = String(repeating: "0", count: 8 - digits.count) + digits
        return Array("\(text), \"crc32\": \"\(padded)\"}\n".utf8)
    }

    var storage: Storage { Storage(disk) }

    func target(_ path: FilePath = RepairBench.data) throws -> Target {
        try Target.resolve(path, on: storage)
    }

    func check(_ path: FilePath = RepairBench.data) throws -> InspectionReport {
        Inspection.run(try target(path), on: storage)
    }

    func repair(
        _ mode: Repair.Mode = .all, _ path: FilePath = RepairBench.data
    ) throws -> Repair.Outcome {
        Repair(try target(path), mode: mode, on: storage, now: RepairBench.now).run()
    }

    /// Repairs `files` and gives the ids that are read afterwards. On the way: the repaired log is
    /// sound, a second repair does nothing, undoing gives every byte back, and repairing again the
    /// same.
    static func idsAfterRepair(
        _ files: [(name: String, bytes: [UInt8])], bits: ExitBits = .corrected
    ) throws -> [UInt64] {
        let bench = RepairBench(files)
        let before = bench.files
        let outcome = try bench.repair()
        #expect(outcome.problems.isEmpty)
        #expect(outcome.bits == bits)
        #expect(try bench.check().exitBits.isEmpty)
        let repaired = bench.files
        #expect(try bench.repair().bits.isEmpty)
        #expect(bench.files == repaired)
        _ = try Undo(try #require(outcome.keptIn), on: bench.storage).run()
        #expect(bench.files == before)
        _ = try bench.repair()
        #expect(bench.files == repaired)
        return try bench.messagesThenAppend().keys.sorted()
    }

    /// All files below a directory but those of lost+found, and LOCK, by path.
    var files: [String: [UInt8]] {
        disk.allFiles.filter { !$0.key.contains("/lost+found/") && $0.key != "/data/LOCK" }
    }

    /// Opens the log as a program would, reads it all, appends a message and closes.
    func messagesThenAppend() throws -> [UInt64: [UInt8]] {
        let host = LogHost.on(disk)
        let log = try Log.open(RepairBench.directory, host: host)
        let seen = try log.contents()
        _ = try log.append(TestMessage("one more"))
        try log.close()
        return Dictionary(uniqueKeysWithValues: seen.map { ($0.id, $0.message.payload) })
    }
}
