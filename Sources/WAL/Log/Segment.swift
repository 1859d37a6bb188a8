internal import SystemPackage
internal import Threads

/// A segment, and what of it readers may see.
struct ReadableSegment {
    let segment: Segment
    /// Where its durable bytes end.
    var end: UInt64
    var index = SparseIndex()
}

/// A segment as readers see it. The file behind it keeps its identity for life but changes its
/// name when it is sealed.
final class Segment: Sendable {
    let firstID: UInt64
    /// Position of offset 0.
    let base: UInt64
    let identity: FileIdentity

    private struct Access {
        var name: SegmentName
        weak var file: (any DiskFile)?
        /// The same file while it is kept open.
        var kept: (any DiskFile)?
        var keepsFile = false
    }
    private let access: Monitor<Access>

    init(name: SegmentName, firstID: UInt64, base: UInt64, identity: FileIdentity) {
        self.firstID = firstID
        self.base = base
        self.identity = identity
        access = Monitor(Access(name: name, file: nil))
    }

    var name: SegmentName { access.withLock { $0.name } }

    /// The file got another name.
    func renamed(to name: SegmentName) { access.withLock { $0.name = name } }

    /// Whether the file stays open once it was opened for reading. Readers that have caught up let
    /// go of theirs, and come again with the next commit: opening it would take as long as all else
    /// that they do.
    func keepFile(_ keeps: Bool) {
        let dropped = access.withLock { access -> (any DiskFile)? in
            access.keepsFile = keeps
            return keeps ? nil : access.kept.take()
        }
        // Closed here, if no reader has it.
        _ = consume dropped
    }

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
            guard try file.status().identity == identity else {
                file.close()
                return nil
            }
            access.withLock { access in
                access.file = file
                if access.keepsFile { access.kept = file }
            }
            return file
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }
}
