import SystemPackage
import Threads
import WAL

/// One flat directory in memory that remembers what was fsynced. `afterPowerLoss` gives the disk
/// as it may be found again: what no fsync covered is there or not, as the test chooses.
final class PowerLossDisk: Disk {
    /// What of the unsynced reaches the disk.
    struct Fate: Sendable {
        /// The bytes of files.
        var bytes: Bool
        /// The names in the directory.
        var names: Bool
    }

    final class Inode: Sendable {
        let state: Monitor<(seen: [UInt8], durable: [UInt8])>
        init(_ bytes: [UInt8]) { state = Monitor((bytes, bytes)) }
    }

    struct Names {
        var seen: [FilePath: Inode] = [:]
        var durable: [FilePath: Inode] = [:]
    }

    private let names: Monitor<Names>

    init(_ files: [FilePath: [UInt8]]) {
        let inodes = files.mapValues { Inode($0) }
        names = Monitor(Names(seen: inodes, durable: inodes))
    }

    func afterPowerLoss(_ fate: Fate) -> PowerLossDisk {
        let kept = names.withLock { fate.names ? $0.seen : $0.durable }
        return PowerLossDisk(
            kept.mapValues { inode in
                inode.state.withLock { fate.bytes ? $0.seen : $0.durable }
            })
    }

    private func error(
        _ operation: DiskError.Operation, _ path: FilePath, _ errno: Errno = .noSuchFileOrDirectory
    ) -> DiskError {
        DiskError(operation: operation, path: path, errno: errno)
    }

    func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
        let found = names.withLock { $0.seen[path] }
        switch (mode, found) {
        case (.createNew, .some): throw error(.open, path, .fileExists)
        case (.read, nil), (.readWrite, nil): throw error(.open, path)
        case (_, let inode?): return PowerLossFile(inode, path)
        case (_, nil):
            let inode = Inode([])
            names.withLock { $0.seen[path] = inode }
            return PowerLossFile(inode, path)
        }
    }

    func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry] {
        names.withLock { names in
            names.seen.keys.compactMap(\.lastComponent)
                .map { DirectoryEntry(name: $0, kind: .file) }
        }
    }

    func status(_ path: FilePath) throws(DiskError) -> FileStatus? {
        guard let inode = names.withLock({ $0.seen[path] }) else { return nil }
        return try PowerLossFile(inode, path).status()
    }

    func makeDirectory(_ path: FilePath) throws(DiskError) {
        throw error(.makeDirectory, path, .notSupported)
    }

    func rename(_ old: FilePath, to new: FilePath) throws(DiskError) {
        let found = names.withLock { names in
            guard let inode = names.seen.removeValue(forKey: old) else { return false }
            names.seen[new] = inode
            return true
        }
        if !found { throw error(.rename, old) }
    }

    func link(_ existing: FilePath, to new: FilePath) throws(DiskError) {
        throw error(.link, existing, .notSupported)
    }

    func remove(_ path: FilePath) throws(DiskError) {
        if names.withLock({ $0.seen.removeValue(forKey: path) == nil }) {
            throw error(.remove, path)
        }
    }

    func syncDirectory(_ path: FilePath) throws(DiskError) {
        names.withLock { $0.durable = $0.seen }
    }

    func lock(_ path: FilePath) throws(DiskError) -> any DiskLock {
        throw error(.lock, path, .notSupported)
    }

    func lockHolder(_ path: FilePath) -> LockHolder? { nil }
}

private final class PowerLossFile: DiskFile {
    private let inode: PowerLossDisk.Inode
    let path: FilePath

    init(_ inode: PowerLossDisk.Inode, _ path: FilePath) {
        self.inode = inode
        self.path = path
    }

    func status() throws(DiskError) -> FileStatus {
        FileStatus(
            kind: .file, size: inode.state.withLock { UInt64($0.seen.count) }, device: 0, inode: 0,
            modified: 0, changed: 0)
    }

    func read(
        at offset: UInt64, upTo limit: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int {
        let piece = inode.state.withLock { Array($0.seen.dropFirst(Int(offset)).prefix(limit)) }
        buffer.append(piece)
        return piece.count
    }

    /// Seven bytes at a time: short writes are allowed.
    func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) -> Int {
        let piece = Array(bytes.copied().prefix(7))
        inode.state.withLock { state in
            let start = Int(offset)
            if state.seen.count < start + piece.count {
                let missing = start + piece.count - state.seen.count
                state.seen += Array(repeating: 0, count: missing)
            }
            state.seen.replaceSubrange(start..<start + piece.count, with: piece)
        }
        return piece.count
    }

    func truncate(to size: UInt64) throws(DiskError) {
        inode.state.withLock { $0.seen = Array($0.seen.prefix(Int(size))) }
    }

    func sync(_ extent: SyncExtent) throws(DiskError) {
        inode.state.withLock { $0.durable = $0.seen }
    }

    func close() {}
}
