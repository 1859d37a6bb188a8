internal import SystemPackage

/// A segment as readers see it. The file behind it keeps its inode for life but changes its name
/// when it is sealed.
final class Segment: Sendable {
    let firstID: UInt64
    /// Position of offset 0.
    let base: UInt64
    let inode: UInt64

    private struct Access {
        var name: SegmentName
        weak var file: (any DiskFile)?
    }
    private let access: Monitor<Access>

    init(name: SegmentName, firstID: UInt64, base: UInt64, inode: UInt64) {
        self.firstID = firstID
        self.base = base
        self.inode = inode
        access = Monitor(Access(name: name, file: nil))
    }

    var name: SegmentName { access.withLock { $0.name } }

    /// The file got another name.
    func renamed(to name: SegmentName) { access.withLock { $0.name = name } }

    /// The file for reading: the one that another reader has open already, or newly opened.
    func open(in directory: FilePath, of disk: any Disk) throws(DiskError) -> any DiskFile {
        var tries = 0
        while true {
            let (name, shared) = access.withLock { ($0.name, $0.file) }
            if let shared { return shared }
            let path = name.path(in: directory)
            do {
                let file = try disk.open(path, .read)
                if try file.status().inode == inode {
                    access.withLock { $0.file = file }
                    return file
                }
                file.close()
            } catch  where error.errno != .noSuchFileOrDirectory { throw error }
            // The name was read before a rename, the file opened behind it: once more.
            tries += 1
            if tries == 100 {
                throw DiskError(operation: .open, path: path, errno: .noSuchFileOrDirectory)
            }
        }
    }
}
