internal import SystemPackage
internal import WAL

/// One file of a Go log, read in pieces of a bounded buffer: what a frame claims is believed only
/// as far as a frame may be long and as the file goes on.
struct GoSegmentReader: ~Copyable {
    /// How much is read ahead.
    private static let chunkBytes = 256 << 10
    /// What stays in memory at least, so that it is moved to the front now and then only.
    private static let keptBytes = 1 << 20

    private var file: (any DiskFile)?
    /// Bytes of the file when it was opened; what is appended later is not looked at.
    private(set) var end: UInt64 = 0
    private var window = ByteBuffer()
    private var windowStart: UInt64 = 0
    private var checksums = PrefixChecksum()

    /// Whether the file was found to be bad somewhere. From then on its content is taken for a
    /// trap (see `PrefixChecksum`).
    var isSuspect = false

    /// Whether a file is open.
    var isOpen: Bool { file != nil }

    /// Goes on with the file at `path`, from its beginning.
    mutating func open(_ path: FilePath, on disk: any Disk) throws(DiskError) {
        close()
        let opened = try disk.open(path, .read)
        end = try opened.status().size
        file = opened
    }

    /// Lets go of the file and forgets what was read of it.
    mutating func close() {
        file?.close()
        file = nil
        end = 0
        drop(window.count)
        windowStart = 0
        isSuspect = false
    }

    /// The frame at `offset`, which is below `end`.
    mutating func frame(at offset: UInt64) throws(DiskError) -> Result<GoFrame, GoFrameFault> {
        guard try hold(GoFrameLayout.lengthBytes, at: offset) else {
            return .failure(.length(nil))
        }
        let length = window.bytes.u32(at: Int(offset - windowStart))
        guard let size = GoFrameLayout.frameBytes(length: length), try hold(size, at: offset) else {
            return .failure(.length(length))
        }
        let crc = checksum(frameAt: offset, size)
        return GoFrameDecoder.judge(bytes(at: offset, size), crc: crc)
    }

    /// The sizes that a broken frame at `offset` may have had: what its length field says, and
    /// what the lengths within add up to, without and with a delay. None need be true.
    mutating func possibleSizes(at offset: UInt64) throws(DiskError) -> [Int] {
        guard try hold(GoFrameLayout.smallestFrame, at: offset) else { return [] }
        let claimed = bytes(at: offset, 4).u32(at: 0)
        let outer = GoFrameLayout.frameBytes(length: claimed).map { [$0] } ?? []
        let keyBytes = bytes(at: offset, GoFrameLayout.key).u16(at: GoFrameLayout.keyLength)
        let keyEnd = GoFrameLayout.key + Int(keyBytes)
        let payloadStart = keyEnd + GoFrameLayout.payloadLengthBytes
        guard try hold(payloadStart, at: offset) else { return outer }
        let payloadBytes = bytes(at: offset, payloadStart).u32(at: keyEnd)
        let inner = payloadStart + Int(payloadBytes) + GoFrameLayout.crcBytes
        guard inner <= GoFrameLayout.largestFrame else { return outer }
        return outer + [inner, inner + GoFrameLayout.visibleAtBytes]
    }

    /// `count` bytes at `offset`, all of which are held.
    @_lifetime(borrow self)
    borrowing func bytes(at offset: UInt64, _ count: Int) -> RawSpan {
        let start = Int(offset - windowStart)
        return window.bytes.extracting(start..<start + count)
    }

    /// The first offset at or behind `start` with a whole frame whose id is at least `id` (any
    /// one where that is nil). The inner lengths have to add up before a checksum is computed.
    mutating func search(
        from start: UInt64, id: UInt64?
    ) throws(DiskError) -> (offset: UInt64, frame: GoFrame)? {
        isSuspect = true
        var offset = start
        while try hold(GoFrameLayout.smallestFrame, at: offset) {
            guard let place = firstPossibleLength(&offset) else { continue }
            offset = place + 1
            guard let size = try fittingFrame(at: place, id: id), try hold(size, at: place)
            else { continue }
            let crc = checksum(frameAt: place, size)
            if case .success(let frame) = GoFrameDecoder.judge(bytes(at: place, size), crc: crc) {
                return (place, frame)
            }
        }
        return nil
    }

    /// Whether every byte in `range` is zero. Reads past the window, which stays as it is.
    func isZero(_ range: Range<UInt64>) throws(DiskError) -> Bool {
        try file?.isZero(range) ?? range.isEmpty
    }

    // MARK: Search

    /// The first held offset, from `offset` on, at which a possible length stands. Moves `offset`
    /// to where the held bytes no longer suffice to look.
    private func firstPossibleLength(_ offset: inout UInt64) -> UInt64? {
        let bytes = window.bytes
        var cursor = Int(offset - windowStart)
        let last = bytes.byteCount - GoFrameLayout.smallestFrame
        while cursor <= last {
            if GoFrameLayout.lengths.contains(bytes.u32(at: cursor)) {
                return windowStart + UInt64(cursor)
            }
            cursor += 1
        }
        offset = windowStart + UInt64(cursor)
        return nil
    }

    /// The size of the frame at `offset` if its lengths add up and its id fits.
    private mutating func fittingFrame(
        at offset: UInt64, id: UInt64?
    ) throws(DiskError) -> Int? {
        guard let (size, head) = claim(at: offset, id: id), try hold(head, at: offset),
            GoFrameDecoder.parts(bytes(at: offset, head), size: size) != nil
        else { return nil }
        return size
    }

    /// What the fixed fields at `offset` claim, if that can be: bytes of the whole frame, and
    /// bytes up to the end of the payload's length.
    private func claim(at offset: UInt64, id: UInt64?) -> (size: Int, head: Int)? {
        let fixed = bytes(at: offset, GoFrameLayout.smallestFrame)
        guard let size = GoFrameLayout.frameBytes(length: fixed.u32(at: GoFrameLayout.length)),
            UInt64(size) <= end - offset, fixed.u64(at: GoFrameLayout.id) >= id ?? 0
        else { return nil }
        let head =
            GoFrameLayout.key + Int(fixed.u16(at: GoFrameLayout.keyLength))
            + GoFrameLayout.payloadLengthBytes
        return head <= size ? (size, head) : nil
    }

    /// The checksum that the frame at `offset` should have; all of it is held.
    private mutating func checksum(frameAt offset: UInt64, _ size: Int) -> UInt32 {
        let start = Int(offset - windowStart) + GoFrameLayout.lengthBytes
        let end = Int(offset - windowStart) + size - GoFrameLayout.crcBytes
        if !isSuspect { return CRC32.of(window.bytes.extracting(start..<end)) }
        return checksums.of(start..<end, in: window)
    }

    // MARK: The window

    /// Makes sure that `count` bytes at `offset` are in the window; false if the file ends before.
    ///
    /// What lies before `offset` is dropped only when the window would become larger than twice
    /// `count`. So it holds 16 MiB at most, and what is moved and summed up again with each move
    /// is no more than what was walked over since the last one.
    private mutating func hold(_ count: Int, at offset: UInt64) throws(DiskError) -> Bool {
        guard offset <= end, UInt64(count) <= end - offset else { return false }
        let heldEnd = windowStart + UInt64(window.count)
        if offset < windowStart || offset > heldEnd {
            drop(window.count)
            windowStart = offset
        }
        let start = Int(offset - windowStart)
        if start + count <= window.count { return true }
        if start + count > max(GoSegmentReader.keptBytes, 2 * count) {
            drop(start)
            windowStart = offset
        }
        return try fill(to: Int(offset - windowStart) + count)
    }

    private mutating func drop(_ count: Int) {
        window.removeFirst(count)
        checksums.reset()
    }

    private mutating func fill(to count: Int) throws(DiskError) -> Bool {
        while window.count < count {
            let next = windowStart + UInt64(window.count)
            let wanted = UInt64(count - window.count + GoSegmentReader.chunkBytes)
            let limit = Int(min(wanted, end - next))
            // The file may have become shorter since its size was read.
            guard let got = try file?.read(at: next, upTo: limit, into: &window), got > 0 else {
                return false
            }
        }
        return true
    }
}
