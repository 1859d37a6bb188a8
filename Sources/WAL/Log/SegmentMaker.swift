internal import SystemPackage

/// Makes `segment.log` with its mark: nothing but the mark is written to it, nor is it made longer,
/// before that is durable.
enum SegmentMaker {
    static func make(
        in directory: FilePath, of disk: any Disk, id: UInt64, position: UInt64, timestamp: UInt64
    ) throws(DiskError) -> (file: any DiskFile, identity: FileIdentity) {
        let path = SegmentName.active.path(in: directory)
        let file = try disk.open(path, .create)
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
