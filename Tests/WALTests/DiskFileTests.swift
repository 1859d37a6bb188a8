import SystemPackage
import Testing
import WALTestSupport

@testable import WAL

/// What is asked of files above the seam, and of disks that are only read.
@Suite struct DiskFileTests {
    private let path: FilePath = "/file"

    private func file(_ bytes: [UInt8]) throws -> (MemoryDisk, any DiskFile) {
        let disk = MemoryDisk()
        disk.put(bytes, at: path)
        return (disk, try disk.open(path, .read))
    }

    // MARK: Zeros

    @Test func onlyZerosAreZero() throws {
        let size = 600_000
        for place in [0, 1, 511, 512, 1535, 1536, 300_000, 599_999] {
            var bytes = [UInt8](repeating: 0, count: size)
            bytes[place] = 1
            let (_, file) = try file(bytes)
            #expect(try !file.isZero(0..<UInt64(size)), "\(place)")
            #expect(try file.isZero(0..<UInt64(place)), "\(place)")
            #expect(try file.isZero(UInt64(place + 1)..<UInt64(size)), "\(place)")
        }
    }

    @Test func whatIsGoneIsNotZero() throws {
        let (disk, file) = try file([UInt8](repeating: 0, count: 4096))
        #expect(try file.isZero(0..<4096))
        #expect(try file.isZero(4096..<4096))
        #expect(try !file.isZero(0..<4097))
        #expect(try !file.isZero(4096..<4097))
        disk.change(path) { $0.removeLast() }
        #expect(try !file.isZero(0..<4096))
    }

    @Test func readsThatBringLessThanWasAskedForAreGoneOnWith() throws {
        let (disk, file) = try file([UInt8](repeating: 0, count: 4096))
        disk.follow { $0.operation == .read ? .partial(7) : nil }
        #expect(try file.isZero(0..<4096))
    }

    // MARK: Disks that are only read

    private struct Shown: ReadOnlyDisk {
        let base: any Disk

        func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
            ShownFile(try base.open(path, .read))
        }
        func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry] {
            try base.list(directory)
        }
        func status(_ path: FilePath) throws(DiskError) -> FileStatus? { try base.status(path) }
    }

    private final class ShownFile: ReadOnlyFile {
        let base: any DiskFile

        init(_ base: any DiskFile) { self.base = base }

        var path: FilePath { base.path }
        func status() throws(DiskError) -> FileStatus { try base.status() }
        func read(
            at offset: UInt64, upTo limit: Int, into buffer: inout ByteBuffer
        ) throws(DiskError) -> Int { try base.read(at: offset, upTo: limit, into: &buffer) }
        func close() { base.close() }
    }

    @Test func whatIsOnlyReadRefusesAllElseAndNamesIt() throws {
        let under = MemoryDisk()
        under.put([1, 2, 3], at: path)
        let disk = Shown(base: under)
        let file = try disk.open(path, .readWrite)
        under.startTrace()
        expectRefusal(.makeDirectory) { () throws(DiskError) in try disk.makeDirectory(path) }
        expectRefusal(.rename) { () throws(DiskError) in try disk.rename(path, to: "/other") }
        expectRefusal(.link) { () throws(DiskError) in try disk.link(path, to: "/other") }
        expectRefusal(.remove) { () throws(DiskError) in try disk.remove(path) }
        expectRefusal(.syncDirectory) { () throws(DiskError) in try disk.syncDirectory(path) }
        expectRefusal(.lock) { () throws(DiskError) in _ = try disk.lock(path) }
        expectRefusal(.write) { () throws(DiskError) in
            let byte: [UInt8] = [9]
            _ = try file.write(RawSpan(of: byte), at: 0)
        }
        expectRefusal(.truncate) { () throws(DiskError) in try file.truncate(to: 0) }
        expectRefusal(.sync) { () throws(DiskError) in try file.sync(.data) }
        #expect(disk.lockHolder(path) == nil)
        #expect(under.trace.isEmpty)
        #expect(under.bytes(path) == [1, 2, 3])
    }

    private func expectRefusal(
        _ operation: DiskError.Operation, _ body: () throws(DiskError) -> Void,
        at location: SourceLocation = #_sourceLocation
    ) {
        let refusal = DiskError(operation: operation, path: path, errno: .readOnlyFileSystem)
        #expect(throws: refusal, sourceLocation: location, performing: body)
    }
}
