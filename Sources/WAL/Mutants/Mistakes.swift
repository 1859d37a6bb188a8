// Mistakes that take more than a condition. Without the trait `Mutants` nothing is left of them.

internal import Threads

extension LogCore {
    /// Tells callers or readers of a commit that is not on the disk yet.
    @inline(__always) func beforeWrite(_ batch: Batch) {
        #if Mutants
            if Mutant.acknowledgedBeforeSync.isOn { batch.complete(nil) }
            if Mutant.publishedBeforeSync.isOn {
                state.withLock { $0.durableNextID = batch.nextID }
            }
        #endif
    }
}

extension SegmentWriter {
    /// Writes behind a batch that is not forced the mark that says it is.
    @inline(__always) func writeEarlyMark(behind batch: Batch) {
        #if Mutants
            let end = writtenEnd + UInt64(batch.byteCount)
            var bytes = ByteBuffer()
            FrameEncoder.appendMark(
                at: .init(
                    id: batch.nextID, position: segment.base &+ end, timestamp: batch.timestamp),
                to: &bytes)
            try? file?.writeAll(bytes.bytes, at: end)
        #endif
    }
}

extension Opening {
    /// Cuts off what has not been set aside, and puts it back so that all else goes on as usual.
    @inline(__always) func cutEarly(
        _ file: any DiskFile, to end: UInt64
    ) throws(DiskError) {
        #if Mutants
            var tail = ByteBuffer()
            let size = try file.status().size
            _ = try file.readFully(at: end, count: Int(size - end), into: &tail)
            try TailCut.cut(file, to: end)
            try file.writeAll(tail.bytes, at: end)
        #endif
    }
}
