package import SystemPackage

/// The only code that shortens a segment. What is cut was never acknowledged, and what might be
/// evidence is set aside, durably, before it goes.
package enum TailCut {
    /// Cuts `file` to `end` and forces that.
    package static func cut(_ file: any DiskFile, to end: UInt64) throws(DiskError) {
        try file.truncate(to: end)
        // The size has to shrink durably, too: fdatasync need not carry that.
        if !Mutant.cutNotSynced.isOn { try Force.file(file, .everything) }
    }

    /// Cuts the zeros that were written ahead off a segment that gets no more frames. Whoever seals
    /// or closes it forces all of it next.
    static func cutZeros(_ file: any DiskFile, to end: UInt64) throws(DiskError) {
        try file.truncate(to: end)
    }

    /// Copies the bytes of `segment` from `offset` to `size`, its end, into a file beside it and
    /// makes that durable: `segment.log.torn-<position>`, with `.2`, `.3` … behind if that holds
    /// other bytes. A copy that a crash left unfinished holds other bytes and is left alone.
    package static func setAside(
        _ segment: any DiskFile, from offset: UInt64, to size: UInt64, position: UInt64,
        directory: FilePath, disk: any Disk
    ) throws(DiskError) -> FilePath {
        let name = "\(SegmentName.activeName).torn-\(position)"
        var path = directory.appending(name)
        var number = 1
        while try !keep(segment, from: offset, to: size, at: path, disk) {
            number += 1
            path = directory.appending("\(name).\(number)")
        }
        try Force.names(in: directory, of: disk)
        return path
    }

    /// Makes the copy at `path`, durably; false if something else is there.
    private static func keep(
        _ segment: any DiskFile, from offset: UInt64, to end: UInt64, at path: FilePath,
        _ disk: any Disk
    ) throws(DiskError) -> Bool {
        let isNew = try disk.status(path) == nil
        // Whoever may read and write the segment, and nobody else, may do so with its end.
        let copy =
            try isNew
            ? disk.make(path, like: segment.status().access) : disk.open(path, .readWrite)
        defer { copy.close() }
        if !isNew, try !isSame(segment, from: offset, to: end, as: copy) { return false }
        do {
            // What is there already may be in the page cache only, even marked clean there after a
            // sync that failed: the same bytes again in the same place.
            try self.copy(segment, from: offset, to: end, into: copy)
            if !Mutant.evidenceNotSynced.isOn { try Force.file(copy, .everything) }
        } catch {
            // On a full disk each attempt to open would leave another piece.
            if isNew { try? disk.remove(path) }
            throw error
        }
        return true
    }

    private static let pieceBytes = 1 << 20

    private static func copy(
        _ source: any DiskFile, from offset: UInt64, to end: UInt64, into target: any DiskFile
    ) throws(DiskError) {
        var buffer = ByteBuffer()
        var at = offset
        while at < end {
            buffer.reset()
            let count = Int(min(UInt64(pieceBytes), end - at))
            let got = try source.readFully(at: at, count: count, into: &buffer)
            if got == 0 { break }
            // Zeros are left as a hole: a torn tail may carry megabytes of preallocated space.
            if !buffer.bytes.isZero { try target.writeAll(buffer.bytes, at: at - offset) }
            at += UInt64(got)
        }
        try target.truncate(to: at - offset)
    }

    private static func isSame(
        _ source: any DiskFile, from offset: UInt64, to end: UInt64, as copy: any DiskFile
    ) throws(DiskError) -> Bool {
        guard try copy.status().size == end - offset else { return false }
        var mine = ByteBuffer()
        var theirs = ByteBuffer()
        var at = offset
        while at < end {
            mine.reset()
            theirs.reset()
            let count = Int(min(UInt64(pieceBytes), end - at))
            let got = try source.readFully(at: at, count: count, into: &mine)
            _ = try copy.readFully(at: at - offset, count: count, into: &theirs)
            if got == 0 || !mine.bytes.hasSameBytes(as: theirs.bytes) { return false }
            at += UInt64(got)
        }
        return true
    }
}
