/// Checking many frames with one checksum.
///
/// zlib takes two and a half times as long for a byte of a small frame as for one of a large
/// buffer, and the checksum is what a scan costs. So the frames of a run are checked with one call.
/// docs/adr/0005 says what that proves.
///
/// The register of a CRC is always the same behind data with its own CRC. Flipping the bits in
/// which that residue differs from the register's first value, in the first four bytes of the next
/// frame, is the same as starting anew there. So the checksum of frames back to back, flipped
/// where one joins the next, is the residue if each of them is whole.
extension FrameWalker {
    /// CRC-32 of any data followed by its own CRC-32.
    static let residue: UInt32 = 0x2144_DF1C

    /// How much a run may have. Small enough that little is checked again, frame by frame, when a
    /// run has a bad one.
    static let runBytes = 32 << 10

    /// Checks the frames from `offset` on: as many as are in the window and in a run, at least one.
    /// False if there is none, or if it takes looking at each of them.
    mutating func checkRun() throws(DiskError) -> Bool {
        guard offset < end, offset >= distrustedEnd, try have(FrameLayout.lengthBytes) else {
            return false
        }
        let length = window.bytes.u32(at: Int(offset - windowStart))
        guard let size = FrameLayout.frameBytes(length: length), UInt64(size) <= end - offset,
            try have(size)
        else { return false }
        let start = Int(offset - windowStart)
        let runEnd = joinFrames(from: start, size)
        let checksum = CRC32.of(window.bytes.extracting(start..<runEnd))
        partFrames(from: start, size, to: runEnd)
        guard checksum == FrameWalker.residue else {
            distrustedEnd = windowStart + UInt64(runEnd)
            return false
        }
        checkedEnd = windowStart + UInt64(runEnd)
        return true
    }

    /// Flips the beginnings of all frames of the run but the first; gives the end of the last.
    private mutating func joinFrames(from start: Int, _ firstBytes: Int) -> Int {
        let limit = min(window.count, start + FrameWalker.runBytes)
        var cursor = start + firstBytes
        while cursor <= limit - FrameLayout.lengthBytes {
            guard
                let size = FrameLayout.frameBytes(length: window.bytes.u32(at: cursor)),
                size <= limit - cursor
            else { break }
            window.flip(FrameWalker.residue, at: cursor)
            cursor += size
        }
        return cursor
    }

    /// Undoes what `joinFrames` did.
    private mutating func partFrames(from start: Int, _ firstBytes: Int, to runEnd: Int) {
        var cursor = start + firstBytes
        while cursor < runEnd {
            window.flip(FrameWalker.residue, at: cursor)
            cursor += Int(window.bytes.u32(at: cursor)) + FrameLayout.lengthBytes
        }
    }
}
