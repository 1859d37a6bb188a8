package import SystemPackage
package import WAL

/// A disk that passes on what it has nothing to say about.
package protocol WrappedDisk: Disk {
    /// The disk below.
    var base: any Disk { get }
}

extension WrappedDisk {
    package func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
        try base.open(path, mode)
    }
    package func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry] {
        try base.list(directory)
    }
    package func resolve(_ path: FilePath) throws(DiskError) -> FilePath { try base.resolve(path) }
    package func status(_ path: FilePath) throws(DiskError) -> FileStatus? { try base.status(path) }
    package func makeDirectory(_ path: FilePath) throws(DiskError) { try base.makeDirectory(path) }
    package func rename(_ old: FilePath, to new: FilePath) throws(DiskError) {
        try base.rename(old, to: new)
    }
    package func link(_ existing: FilePath, to new: FilePath) throws(DiskError) {
        try base.link(existing, to: new)
    }
    package func setAccess(
        _ access: FileAccess, ofDirectory path: FilePath
    ) throws(DiskError) { try base.setAccess(access, ofDirectory: path) }
    package func remove(_ path: FilePath) throws(DiskError) { try base.remove(path) }
    package func syncDirectory(_ path: FilePath) throws(DiskError) { try base.syncDirectory(path) }
    package func lock(_ path: FilePath) throws(DiskError) -> any DiskLock { try base.lock(path) }
    package func lockHolder(_ path: FilePath) -> LockHolder? { base.lockHolder(path) }
}
