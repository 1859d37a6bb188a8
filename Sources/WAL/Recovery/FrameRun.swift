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
enum FrameRun {
    /// CRC-32 of any data followed by its own CRC-32.
    static let residue: UInt32 = 0x2144_DF1C

    /// How much a run may have. Small enough that little is checked again, frame by frame, when a
    /// run has a bad one.
    static let bytes = 32 << 10

    /// Checks the frames from `start` on: as many as are whole in the window and fit a run, at
    /// least one. Gives where they end and whether all checksums hold; nil if there is none.
    static func check(
        _ window: inout ByteBuffer, from start: Int
    ) -> (end: Int, holds: Bool)? {
        guard let size = frameBytes(in: window, at: start) else { return nil }
        let end = join(&window, from: start, size)
        let checksum = CRC32.of(window.bytes.extracting(start..<end))
        part(&window, from: start, size, to: end)
        return (end, checksum == residue)
    }

    /// Where the last frame ends that is whole in the window, by the lengths alone.
    static func wholeEnd(in window: borrowing ByteBuffer, from start: Int) -> Int {
        var cursor = start
        while let size = frameBytes(in: window, at: cursor) { cursor += size }
        return cursor
    }

    /// How many bytes the frame at `offset` has, by its length, if they are all there.
    @inline(__always)
    private static func frameBytes(in window: borrowing ByteBuffer, at offset: Int) -> Int? {
        guard window.count - offset >= FrameLayout.lengthBytes,
            let size = FrameLayout.frameBytes(length: window.bytes.u32(at: offset)),
            size <= window.count - offset
        else { return nil }
        return size
    }

    /// Flips the beginnings of all frames of the run but the first; gives the end of the last.
    private static func join(
        _ window: inout ByteBuffer, from start: Int, _ firstBytes: Int
    ) -> Int {
        let limit = start + bytes
        var cursor = start + firstBytes
        while let size = frameBytes(in: window, at: cursor), size <= limit - cursor {
            window.flip(residue, at: cursor)
            cursor += size
        }
        return cursor
    }

    /// Undoes what `join` did.
    private static func part(
        _ window: inout ByteBuffer, from start: Int, _ firstBytes: Int, to runEnd: Int
    ) {
        var cursor = start + firstBytes
        while cursor < runEnd {
            window.flip(residue, at: cursor)
            cursor += Int(window.bytes.u32(at: cursor)) + FrameLayout.lengthBytes
        }
    }
}

extension FrameWalker {
    /// Checks the frames from `offset` on: as many as are in the window and in a run, at least one,
    /// or as many as another thread has checked. False if there is none, or if it takes looking at
    /// each of them.
    mutating func checkRun() throws(DiskError) -> Bool {
        guard offset < end, offset >= distrustedEnd else { return false }
        if takeAhead() { return true }
        let before = windowEnd
        guard try have(FrameLayout.lengthBytes) else { return false }
        let length = window.bytes.u32(at: Int(offset - windowStart))
        guard let size = FrameLayout.frameBytes(length: length), UInt64(size) <= end - offset,
            try have(size)
        else { return false }
        let start = Int(offset - windowStart)
        if let ahead, windowEnd != before {
            let next = windowStart + UInt64(FrameRun.wholeEnd(in: window, from: start))
            ahead.ask(from: next)
            aheadStart = next
        }
        guard let (runEnd, holds) = FrameRun.check(&window, from: start) else { return false }
        guard holds else {
            distrustedEnd = windowStart + UInt64(runEnd)
            return false
        }
        checkedEnd = windowStart + UInt64(runEnd)
        return true
    }
}
