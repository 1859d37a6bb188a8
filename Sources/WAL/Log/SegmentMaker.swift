internal import SystemPackage

/// Makes `segment.log` with its mark: nothing but the mark is written to it, nor is it made longer,
/// before that is durable.
enum SegmentMaker {
    /// - Parameter access: that of the segment before it; nil if it is the first of the log.
    static func make(
        in directory: FilePath, of disk: any Disk, id: UInt64, position: UInt64, timestamp: UInt64,
        like access: FileAccess?
    ) throws(DiskError) -> (file: any DiskFile, identity: FileIdentity) {
        let path = SegmentName.active.path(in: directory)
        let isNew = try disk.status(path) == nil
        let file = try isNew ? disk.make(path, like: access) : disk.open(path, .create)
        // Whoever was killed in the midst of making it may have been root, and this one not.
        if !isNew, let access { try file.setAccess(access) }
        // What is there was left when a segment was being made: at most 38 bytes, and no message.
        guard try file.status().size <= UInt64(FrameLayout.smallestFrame) else {
            throw DiskError(operation: .open, path: path, errno: .fileExists)
        }
        var mark = ByteBuffer(capacity: FrameLayout.smallestFrame)
        FrameEncoder.appendMark(
            at: .init(id: id, position: position, timestamp: timestamp), to: &mark)
        try file.writeAll(mark.bytes, at: 0)
        if !Mutant.segmentBeforeMark.isOn { try Force.file(file, .everything) }
        try Force.names(in: directory, of: disk)
        return (file, try file.status().identity)
    }
}
