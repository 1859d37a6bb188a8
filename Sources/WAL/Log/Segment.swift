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
        let (name, shared) = access.withLock { ($0.name, $0.file) }
        if let shared { return shared }
        if let file = try open(name, directory, disk) { return file }
        // It is being sealed, or was since its name was read: it has the other name already.
        let sealed = SegmentName.sealed(first: firstID)
        if name == .active, let file = try open(sealed, directory, disk) { return file }
        throw DiskError(
            operation: .open, path: name.path(in: directory), errno: .noSuchFileOrDirectory)
    }

    /// The file if this is its name.
    private func open(
        _ name: SegmentName, _ directory: FilePath, _ disk: any Disk
    ) throws(DiskError) -> (any DiskFile)? {
        do {
            let file = try disk.open(name.path(in: directory), .read)
            guard try file.status().inode == inode else {
                file.close()
                return nil
            }
            access.withLock { $0.file = file }
            return file
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }
}
