internal import SystemPackage
internal import Threads

/// Where logs and the files beside them are kept. A program uses `.local`; the tests of this
/// package put a disk under the same code that fails, lies and loses power.
public struct Storage: Sendable {
    package let disk: any Disk
    /// What this process knows of files on it whose sync has failed, whichever host had them open.
    let failedEnds = FailedEnds()

    package init(_ disk: any Disk) { self.disk = disk }

    /// The file systems of this machine.
    public static let local = Storage(PosixDisk())

    /// A log that failed in this process: what the cache shows behind its durable end proves
    /// nothing, so the file is cut there before anybody looks at it. Through a descriptor of its
    /// own: nothing is tried again on the one that failed. Whoever calls it has the directory's
    /// lock.
    func cutFailedEnd(in directory: FilePath) throws(DiskError) {
        guard !failedEnds.isEmpty else { return }
        let path = SegmentName.active.path(in: directory)
        guard let status = try disk.status(path) else { return }
        if let end = failedEnds.end(of: status) {
            let file = try disk.open(path, .readWrite)
            defer { file.close() }
            try TailCut.cut(file, to: end)
        }
        failedEnds.forget(status)
    }
}

/// The durable end of active segments whose log failed in this process. Their pages may be marked
/// clean and hold bytes that the disk does not have, so that reading them proves nothing: they are
/// cut there before they are looked at again.
final class FailedEnds: Sendable {
    /// The last durable byte of a file, and what the file was then.
    private struct End {
        let end: UInt64
        let size: UInt64
        let modified: Int64
    }
    private let ends = Monitor<[FileIdentity: End]>([:])

    var isEmpty: Bool { ends.withLock { $0.isEmpty } }

    /// Remembers that a file of this status is durable up to `end` only.
    func note(_ status: FileStatus, end: UInt64) {
        ends.withLock {
            $0[status.identity] = End(end: end, size: status.size, modified: status.modified)
        }
    }

    /// Where a file has to be cut; nil if nothing is known of it. Once somebody else has written to
    /// it, or its number has gone to another file, what was known says nothing any more.
    func end(of status: FileStatus) -> UInt64? {
        ends.withLock { ends in
            guard let failed = ends[status.identity], status.size == failed.size,
                status.modified == failed.modified, status.size > failed.end
            else { return nil }
            return failed.end
        }
    }

    /// The file has been cut, or is another one now.
    func forget(_ status: FileStatus) { ends.withLock { $0[status.identity] = nil } }
}
