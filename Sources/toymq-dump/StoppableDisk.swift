import Synchronization
import SystemPackage
import WAL

/// A disk that is read until nobody wants any more: then every read fails, which is how an
/// examination that goes from the first byte to the last can be ended early.
final class StoppableDisk: ReadOnlyDisk {
    private let base: any Disk
    private let stopped = Atomic(false)

    init(_ base: any Disk = Storage.local.disk) { self.base = base }

    var isStopped: Bool { stopped.load(ordering: .relaxed) }

    func stop() { stopped.store(true, ordering: .relaxed) }

    fileprivate func check(_ path: FilePath) throws(DiskError) {
        if isStopped { throw DiskError(operation: .read, path: path, errno: .canceled) }
    }

    func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
        guard case .read = mode else { throw .readOnly(.open, path) }
        return StoppableFile(try base.open(path, mode), self)
    }

    func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry] {
        try base.list(directory)
    }

    func status(_ path: FilePath) throws(DiskError) -> FileStatus? { try base.status(path) }

    func lockHolder(_ path: FilePath) -> LockHolder? { base.lockHolder(path) }
}

/// A file of such a disk.
private final class StoppableFile: ReadOnlyFile {
    private let base: any DiskFile
    private let disk: StoppableDisk

    init(_ base: any DiskFile, _ disk: StoppableDisk) {
        self.base = base
        self.disk = disk
    }

    var path: FilePath { base.path }
    func status() throws(DiskError) -> FileStatus { try base.status() }

    func read(
        at offset: UInt64, upTo limit: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int {
        try disk.check(path)
        return try base.read(at: offset, upTo: limit, into: &buffer)
    }

    func close() { base.close() }
}
