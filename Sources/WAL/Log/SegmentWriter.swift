internal import SystemPackage
internal import Threads

/// The file that is appended to. Owned by whoever commits: it is taken out of the log's state for
/// the time of a commit and put back behind it.
struct SegmentWriter: Sendable {
    /// Why a commit failed, and whether the log may go on.
    enum Failure: Error {
        /// Nothing was left behind: later commits may work.
        case notWritten(DiskError)
        /// A sync failed, or the file could not be put back: final.
        case final(DiskError)
        /// The log was parked and is not as it was left, or its segment is not in its place.
        case takenOver
    }

    /// Small topics stay small: space is preallocated only in a segment longer than this.
    private static let busyBytes: UInt64 = 32 << 10
    /// The first preallocation; each next one doubles the file, up to the segment size.
    private static let firstPreallocation: UInt64 = 128 << 10
    /// Zeros written with one commit, so that none waits for many of them, and only when fewer than
    /// a quarter of that are left: the writes of a doubling are spread over the commits that use
    /// it.
    private static let zerosPerCommit: UInt64 = 512 << 10

    let directory: FilePath
    let disk: any Disk
    let segmentBytes: UInt64

    /// Nil while the next segment could not be made, or the log is parked.
    private(set) var file: (any DiskFile)?
    private(set) var segment: Segment
    /// Whether the segment before has been sealed and this one has to be made yet.
    private(set) var needsSegment: Bool
    /// The sealed segment's new name has not been forced yet.
    private var renameIsUnforced = false
    /// Bytes of the file that are durable.
    private(set) var durableEnd: UInt64
    /// Bytes that were forced, and a mark behind them that nothing has forced yet.
    private(set) var writtenEnd: UInt64
    /// Where the zeros that were written ahead end at most: the file is not longer, but for a batch
    /// that is being forced.
    private(set) var zeroedTo: UInt64
    private var zeroGoal: UInt64 = 0
    /// The last frame written is a mark.
    private(set) var endsInMark: Bool
    /// When a commit last found the segment in its place, monotonic nanoseconds.
    private var seenInPlace: UInt64?

    /// Without a file `segment` is sealed, and the next commit makes a new one.
    init(
        directory: FilePath, disk: any Disk, segmentBytes: Int, file: (any DiskFile)?,
        segment: Segment, end: UInt64, size: UInt64, endsInMark: Bool
    ) {
        self.directory = directory
        self.disk = disk
        self.segmentBytes = UInt64(segmentBytes)
        self.file = file
        self.segment = segment
        needsSegment = file == nil
        durableEnd = end
        writtenEnd = end
        zeroedTo = size
        self.endsInMark = endsInMark
        segment.keepFile(!needsSegment)
    }

    /// Position behind the last byte that is durable.
    var durablePosition: UInt64 { segment.base &+ durableEnd }

    /// Writes a batch, which is to be forced before anything else is written.
    mutating func write(_ batch: Batch) throws(Failure) {
        if batch.opensSegment {
            try seal(nextID: batch.firstID)
            try makeSegment(id: batch.firstID, timestamp: batch.timestamp)
        }
        guard let file else { preconditionFailure("a commit without a segment") }
        precondition(segment.base &+ writtenEnd == batch.position)
        do {
            try batch.write(to: file, at: writtenEnd)
        } catch {
            throw undo(error)
        }
    }

    /// Has the disk begin with a batch that was written, while there is something else to do.
    func startWriting(_ batch: Batch) throws(Failure) {
        do {
            try file?.startWriting(writtenEnd..<writtenEnd + UInt64(batch.byteCount))
        } catch {
            // A sync behind it would find nothing left to write, and prove nothing.
            throw .final(error)
        }
    }

    /// Forces a batch that was written.
    mutating func force(_ batch: Batch) throws(Failure) {
        guard let file else { preconditionFailure("a commit without a segment") }
        writeZerosAhead(file, behind: writtenEnd + UInt64(batch.byteCount))
        if Mutant.markBeforeSync.isOn { writeEarlyMark(behind: batch) }
        try force(file)
        writtenEnd += UInt64(batch.byteCount)
        durableEnd = writtenEnd
        zeroedTo = max(zeroedTo, writtenEnd)
        endsInMark = false
    }

    /// Writes a mark without forcing it: so that the last commit too has a witness.
    mutating func writeMark(id: UInt64, timestamp: UInt64) throws(Failure) {
        // Nothing is written to a segment that has been sealed.
        guard let file, !needsSegment else { return }
        var bytes = ByteBuffer(capacity: FrameLayout.smallestFrame)
        FrameEncoder.appendMark(
            at: .init(id: id, position: segment.base &+ writtenEnd, timestamp: timestamp),
            to: &bytes)
        do {
            try file.writeAll(bytes.bytes, at: writtenEnd)
        } catch {
            throw undo(error)
        }
        writtenEnd += UInt64(bytes.count)
        zeroedTo = max(zeroedTo, writtenEnd)
        endsInMark = true
    }

    /// Closing has nothing to write, nor to force.
    var isFinished: Bool { needsSegment || endsInMark && zeroedTo <= durableEnd }

    /// Cuts the file to its last frame and forces it, for a clean close. Whoever closes ten
    /// thousand logs is not to wait for those that have nothing unforced.
    mutating func finish() throws(Failure) {
        guard let file, !needsSegment, zeroedTo > durableEnd else { return }
        do {
            if zeroedTo > writtenEnd { try TailCut.cutZeros(file, to: writtenEnd) }
            try Force.file(file, .everything)
        } catch {
            throw .final(error)
        }
        zeroedTo = writtenEnd
        durableEnd = writtenEnd
    }

    /// A write failed: the file is cut back to its last durable byte, and that forced, before
    /// anything else is appended.
    private mutating func undo(_ cause: DiskError) -> Failure {
        guard let file else { return .final(cause) }
        if Mutant.failedWriteNotCut.isOn { return .notWritten(cause) }
        do {
            try TailCut.cut(file, to: durableEnd)
        } catch {
            return .final(error)
        }
        // A mark that nothing had forced went with it.
        if writtenEnd > durableEnd { endsInMark = false }
        writtenEnd = durableEnd
        zeroedTo = durableEnd
        zeroGoal = 0
        return .notWritten(cause)
    }

    private func force(_ file: any DiskFile) throws(Failure) {
        do {
            try Force.file(file, .data)
        } catch {
            if Mutant.failedSyncRetried.isOn, (try? Force.file(file, .data)) != nil { return }
            if Mutant.failedSyncForgotten.isOn { throw .notWritten(error) }
            throw .final(error)
        }
    }

    // MARK: Space ahead

    /// Overwriting zeros needs no change of metadata at the sync, a growing file does: about half
    /// as many commits per second. So the file is kept filled with zeros ahead of its end,
    /// doubling up to the segment size. They are forced together with the commit.
    private mutating func writeZerosAhead(_ file: any DiskFile, behind end: UInt64) {
        guard end >= SegmentWriter.busyBytes, end < segmentBytes else { return }
        if zeroGoal <= end + (zeroGoal >> 3) {
            zeroGoal = min(max(SegmentWriter.firstPreallocation, end * 2), segmentBytes)
        }
        let from = max(zeroedTo, end)
        guard from < zeroGoal, from < end + SegmentWriter.zerosPerCommit / 4 else { return }
        let count = Int(min(zeroGoal - from, SegmentWriter.zerosPerCommit))
        do {
            try Zeros.write(count, to: file, at: from)
            zeroedTo = from + UInt64(count)
        } catch {
            // An optimisation: without space for it the log does without. A part of them may have
            // been written, and must not be sealed in.
            zeroGoal = 0
            zeroedTo = from + UInt64(count)
        }
    }

    // MARK: Its place

    /// Whether the segment still stands where its name says. The lock and the descriptor go with
    /// the file, wherever rename(2) takes it or its directory, and outlive its last name: what is
    /// written to it then is gone when it is closed, or stands where nobody looks for it. One
    /// stat(2) of the whole path tells of all directories on the way, too.
    func isInPlace() throws(DiskError) -> Bool {
        try disk.status(segment.name.path(in: directory))?.identity == segment.identity
    }

    /// Looks for its place before a commit if none has for so long: each time it would cost a busy
    /// log more than the fault, which is somebody's mistake, is worth. Before the write, so that
    /// what is refused is not in the file that was moved.
    mutating func checkPlace(every nanoseconds: UInt64) throws(Failure) {
        let now = MonotonicClock.now()
        if let seenInPlace, now - seenInPlace < nanoseconds { return }
        try checkPlace()
        seenInPlace = now
    }

    /// Names go by the path, the lock does not: if the directory was moved, another log may be
    /// there.
    private func checkPlace() throws(Failure) {
        let isInPlace: Bool
        do {
            isInPlace = try self.isInPlace()
        } catch { throw .notWritten(error) }
        guard isInPlace else { throw .takenOver }
    }

    // MARK: Segments

    /// Seals the active segment: cut to its last frame, forced, renamed to its first id, the
    /// directory forced.
    private mutating func seal(nextID: UInt64) throws(Failure) {
        try checkPlace()
        guard !needsSegment else {
            try forceRename()
            return
        }
        guard let file else { preconditionFailure("sealing without a segment") }
        let sealed = SegmentName.sealed(first: segment.firstID)
        try checkFree(sealed)
        do {
            if zeroedTo > writtenEnd, !Mutant.sealedWithZeros.isOn {
                try TailCut.cutZeros(file, to: writtenEnd)
            }
        } catch {
            throw undo(error)
        }
        do {
            if !Mutant.sealNotSynced.isOn { try Force.file(file, .everything) }
        } catch {
            throw .final(error)
        }
        zeroedTo = writtenEnd
        durableEnd = writtenEnd
        do {
            try disk.rename(SegmentName.active.path(in: directory), to: sealed.path(in: directory))
        } catch {
            throw .notWritten(error)
        }
        segment.renamed(to: sealed)
        segment.keepFile(false)
        needsSegment = true
        renameIsUnforced = true
        try forceRename()
    }

    /// A rename would replace whatever has the name. Only an empty file holds nothing.
    private func checkFree(_ name: SegmentName) throws(Failure) {
        let path = name.path(in: directory)
        let there: FileStatus?
        do {
            there = try disk.status(path)
        } catch { throw .notWritten(error) }
        guard there == nil || there?.size == 0 else {
            throw .notWritten(DiskError(operation: .rename, path: path, errno: .fileExists))
        }
    }

    /// Forces the sealed segment's name, before the next segment takes the old one.
    private mutating func forceRename() throws(Failure) {
        guard renameIsUnforced, !Mutant.renameNotSynced.isOn else { return }
        do {
            try Force.names(in: directory, of: disk)
        } catch {
            // Without a descriptor no sync was tried, and it may be once there is one.
            throw error.isOutOfDescriptors ? .notWritten(error) : .final(error)
        }
        renameIsUnforced = false
    }

    private mutating func makeSegment(id: UInt64, timestamp: UInt64) throws(Failure) {
        let base = segment.base &+ durableEnd
        let made: (file: any DiskFile, identity: FileIdentity)
        do {
            made = try SegmentMaker.make(
                in: directory, of: disk, id: id, position: base, timestamp: timestamp,
                like: file?.status().access)
        } catch {
            if error.operation == .sync
                || error.operation == .syncDirectory && !error.isOutOfDescriptors
            {
                throw .final(error)
            }
            // Nothing relies on what was left of it: at most 38 bytes without a whole mark.
            throw .notWritten(error)
        }
        file = made.file
        segment = Segment(name: .active, firstID: id, base: base, identity: made.identity)
        segment.keepFile(true)
        needsSegment = false
        durableEnd = UInt64(FrameLayout.smallestFrame)
        writtenEnd = durableEnd
        zeroedTo = durableEnd
        zeroGoal = 0
        endsInMark = true
    }

    // MARK: Parking

    /// Gives up the descriptors of an idle log: the one that is given is to be closed.
    mutating func park() -> (any DiskFile)? {
        segment.keepFile(false)
        defer { file = nil }
        return file
    }

    /// Takes it up again.
    mutating func unpark(_ reopened: any DiskFile) {
        file = reopened
        segment.keepFile(!needsSegment)
    }
}
