import SystemPackage
import WAL

/// A segment that is read while it grows.
struct FollowedSegment {
    let file: any DiskFile
    let name: String
    /// Position of the first byte.
    let base: UInt64
    let identity: FileIdentity
    /// The id that its mark announces.
    let firstID: UInt64
    /// When it was opened.
    let size: UInt64
    /// What lies before this id was shown already.
    var skipsBelow: UInt64 = 0
    /// What was shown ends here.
    var offset: UInt64 = 0
    /// The first frame that nothing proves durable, at most `offset`, and its id.
    var provenOffset: UInt64 = 0
    var provenID: UInt64
    /// The id that belongs at `offset`.
    var nextID: UInt64
    /// The checksums from there to `offset`, one after the other.
    var unproven: [UInt32] = []

    /// Nil if it does not begin with a whole mark, and no survey has ended in it: one has judged
    /// where the segment begins, whatever its mark says.
    init?(
        _ path: FilePath, _ name: String, surveyed start: FollowStart?, on disk: any Disk
    ) throws(DiskError) {
        let file = try disk.open(path, .read)
        let status = try file.status()
        var walker = FrameWalker(file, to: status.size)
        var mark: FrameFields?
        if case .frame(let frame) = try walker.next(id: nil, base: nil), frame.isMark {
            mark = frame.fields
        }
        let start = start.flatMap { $0.file == name ? $0 : nil }
        guard let base = start?.base ?? mark?.position, let first = mark?.id ?? start?.id else {
            file.close()
            return nil
        }
        self.file = file
        self.name = name
        self.base = base
        identity = status.identity
        firstID = first
        size = status.size
        provenID = first
        nextID = first
    }

    /// Goes on at `offset`, where `id` belongs.
    mutating func begin(at offset: UInt64, id: UInt64) {
        self.offset = offset
        provenOffset = offset
        provenID = id
        nextID = id
    }
}

/// Where a survey has ended, and a follower goes on.
struct FollowStart {
    var file: String
    /// Position of the first byte of that file.
    var base: UInt64
    var offset: UInt64
    /// The id that belongs there.
    var id: UInt64

    var position: UInt64 { base &+ offset }
}
