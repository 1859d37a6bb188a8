internal import SystemPackage
internal import WAL

/// The segments of a topic as a plan leaves them, by the name that they have for the log.
struct PlannedTopic: Hashable, Sendable {
    var segments: [SegmentName: PlannedContent] = [:]

    /// The names, as an examination wants them.
    var listing: SegmentListing {
        var listing = SegmentListing()
        for name in segments.keys {
            switch name {
            case .active: listing.hasActive = true
            case .sealed(let first): listing.sealed.append(first)
            }
        }
        listing.sealed.sort()
        return listing
    }

    /// Examines it as the log would judge it.
    func examine(
        in directory: FilePath, on disk: any Disk, knownDurable: UInt64?,
        visitor: (any ExaminationVisitor)? = nil
    ) throws(DiskError) -> Examination {
        let files = segments.map { ($0.path(in: directory).string, $1) }
        let planned = PlannedDisk(files: Dictionary(uniqueKeysWithValues: files), base: disk)
        var examiner = LogExaminer(
            disk: planned, directory: directory, knownDurable: knownDurable, visitor: visitor,
            keeping: .allButRemarks)
        return try examiner.examine(listing)
    }
}

/// Shows planned segments to an examination. Reads only.
private struct PlannedDisk: ReadOnlyDisk {
    /// By path: an examination opens each of them several times.
    let files: [String: PlannedContent]
    let base: any Disk

    func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
        guard mode == .read, let content = files[path.string] else {
            throw DiskError(operation: .open, path: path, errno: .noSuchFileOrDirectory)
        }
        return try content.open(on: base, as: path)
    }

    func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry] {
        throw .readOnly(.list, directory)
    }
    func status(_ path: FilePath) throws(DiskError) -> FileStatus? {
        throw .readOnly(.status, path)
    }
}
