package import SystemPackage

/// A disk on which nothing can be changed: what looks at files only has to open, list and tell
/// about them. Nobody holds a lock on it.
package protocol ReadOnlyDisk: Disk {}

extension ReadOnlyDisk {
    package func makeDirectory(_ path: FilePath) throws(DiskError) {
        throw .readOnly(.makeDirectory, path)
    }
    package func rename(_ old: FilePath, to new: FilePath) throws(DiskError) {
        throw .readOnly(.rename, old)
    }
    package func link(_ existing: FilePath, to new: FilePath) throws(DiskError) {
        throw .readOnly(.link, existing)
    }
    package func setAccess(
        _ access: FileAccess, ofDirectory path: FilePath
    ) throws(DiskError) {
        throw .readOnly(.changeAccess, path)
    }
    package func remove(_ path: FilePath) throws(DiskError) { throw .readOnly(.remove, path) }
    package func syncDirectory(_ path: FilePath) throws(DiskError) {
        throw .readOnly(.syncDirectory, path)
    }
    package func lock(_ path: FilePath) throws(DiskError) -> any DiskLock {
        throw .readOnly(.lock, path)
    }
    package func lockHolder(_ path: FilePath) -> LockHolder? { nil }
}

/// A file that can be read, and nothing else.
package protocol ReadOnlyFile: DiskFile {}

extension ReadOnlyFile {
    package func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) -> Int {
        throw .readOnly(.write, path)
    }
    package func truncate(to size: UInt64) throws(DiskError) { throw .readOnly(.truncate, path) }
    package func setAccess(_ access: FileAccess) throws(DiskError) {
        throw .readOnly(.changeAccess, path)
    }
    package func sync(_ extent: SyncExtent) throws(DiskError) { throw .readOnly(.sync, path) }
}

extension DiskError {
    /// What a disk that is only read answers to all else.
    package static func readOnly(_ operation: Operation, _ path: FilePath) -> DiskError {
        DiskError(operation: operation, path: path, errno: .readOnlyFileSystem)
    }
}
