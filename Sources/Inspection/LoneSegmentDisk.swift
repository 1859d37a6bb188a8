internal import SystemPackage
internal import WAL

/// Lets one file be examined as the active segment of a log of its own, wherever it is and
/// whatever its name. Reads only.
struct LoneSegmentDisk: ReadOnlyDisk {
    let base: any Disk
    let actual: FilePath

    func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
        try base.open(actual, .read)
    }
    func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry] { [] }
    func status(_ path: FilePath) throws(DiskError) -> FileStatus? { try base.status(actual) }
}
