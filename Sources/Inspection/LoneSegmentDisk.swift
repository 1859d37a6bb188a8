internal import SystemPackage
internal import WAL

/// Lets one file be examined as the active segment of a log of its own, wherever it is and
/// whatever its name. Reads only.
struct LoneSegmentDisk: Disk {
    let base: any Disk
    let actual: FilePath

    private func unsupported(_ operation: DiskError.Operation, _ path: FilePath) -> DiskError {
        DiskError(operation: operation, path: path, errno: .readOnlyFileSystem)
    }

    func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
        try base.open(actual, .read)
    }
    func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry] { [] }
    func status(_ path: FilePath) throws(DiskError) -> FileStatus? { try base.status(actual) }
    func makeDirectory(_ path: FilePath) throws(DiskError) {
        throw unsupported(.makeDirectory, path)
    }
    func rename(_ old: FilePath, to new: FilePath) throws(DiskError) {
        throw unsupported(.rename, old)
    }
    func link(_ existing: FilePath, to new: FilePath) throws(DiskError) {
        throw unsupported(.link, existing)
    }
    func remove(_ path: FilePath) throws(DiskError) { throw unsupported(.remove, path) }
    func syncDirectory(_ path: FilePath) throws(DiskError) {
        throw unsupported(.syncDirectory, path)
    }
    func lock(_ path: FilePath) throws(DiskError) -> any DiskLock { throw unsupported(.lock, path) }
    func lockHolder(_ path: FilePath) -> LockHolder? { nil }
}
