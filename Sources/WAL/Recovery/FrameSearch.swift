/// Looks for frames behind a damaged place.
///
/// A payload may hold copies of frames, so a frame counts only where it says that it stands: at
/// each offset Q the eight bytes of the position are compared with that of offset 0 plus Q, and
/// only then is anything else looked at. Linear in the file, whatever the file is made of.
package struct FrameSearch: ~Copyable {
    /// A frame that stands in its place.
    package enum Hit {
        case valid(DecodedFrame)
        case newer(FrameFields)
    }

    /// Bytes held at once: a candidate in the first half has its whole frame in the window.
    private static let windowBytes = 2 * FrameLayout.largestFrame

    private let file: any DiskFile
    private let end: UInt64
    private var window: ByteBuffer
    private var windowStart: UInt64
    private var checksums = PrefixChecksum()

    package init(_ file: any DiskFile, to end: UInt64) {
        self.file = file
        self.end = end
        self.window = ByteBuffer()
        self.windowStart = 0
    }

    /// The first frame at or behind `start` whose position fits `base` and whose id is at least
    /// `id`, with its offset.
    package mutating func next(
        from start: UInt64, base: UInt64, id: UInt64
    ) throws(DiskError) -> (offset: UInt64, hit: Hit)? {
        var offset = start
        while end >= UInt64(FrameLayout.smallestFrame),
            offset <= end - UInt64(FrameLayout.smallestFrame)
        {
            try load(offset)
            let limit = candidateLimit
            guard limit > offset else { return nil }
            guard let found = firstInPlace(from: offset, to: limit, base: base) else {
                offset = limit
                continue
            }
            if let hit = validate(found, base: base, id: id) { return (found, hit) }
            offset = found + 1
        }
        return nil
    }

    /// The first offset in `start..<limit` whose frame would have its position right.
    private func firstInPlace(from start: UInt64, to limit: UInt64, base: UInt64) -> UInt64? {
        if Mutant.positionIgnored.isOn { return start < limit ? start : nil }
        let bytes = window.bytes
        var cursor = Int(start - windowStart)
        let stop = Int(limit - windowStart)
        var expected = base &+ start
        while cursor < stop {
            if bytes.u64(at: cursor + FrameLayout.position) == expected {
                return windowStart + UInt64(cursor)
            }
            cursor += 1
            expected &+= 1
        }
        return nil
    }

    private mutating func validate(_ offset: UInt64, base: UInt64, id: UInt64) -> Hit? {
        let start = Int(offset - windowStart)
        guard let size = FrameSearch.wholeFrame(at: start, in: window, &checksums) else {
            return nil
        }
        let frame = window.bytes.extracting(start..<start + size)
        switch FrameDecoder.parts(frame, frame.u32(at: size - FrameLayout.crcBytes)) {
        case .success(let decoded): return decoded.fields.id >= id ? .valid(decoded) : nil
        case .failure(.newer(let fields)): return .newer(fields)
        case .failure: return nil
        }
    }

    /// The size of the frame at `start` in the window if all of it is there and its crc holds.
    private static func wholeFrame(
        at start: Int, in window: borrowing ByteBuffer, _ checksums: inout PrefixChecksum
    ) -> Int? {
        let bytes = window.bytes
        guard bytes.byteCount - start >= FrameLayout.smallestFrame,
            let size = FrameDecoder.claimedBytes(bytes.extracting(start..<bytes.byteCount)),
            size <= bytes.byteCount - start
        else { return nil }
        let crcAt = start + size - FrameLayout.crcBytes
        guard checksums.of(start..<crcAt, in: window) == bytes.u32(at: crcAt) else { return nil }
        return size
    }

    /// Candidates are looked for below this: behind it their frame may not be in the window.
    private var candidateLimit: UInt64 {
        let windowEnd = windowStart + UInt64(window.count)
        let reach = windowEnd >= end ? FrameLayout.smallestFrame - 1 : FrameLayout.largestFrame
        return windowEnd > UInt64(reach) ? windowEnd - UInt64(reach) : 0
    }

    /// Makes sure that the window covers a frame at `offset`.
    private mutating func load(_ offset: UInt64) throws(DiskError) {
        if window.count > 0, offset >= windowStart, offset < candidateLimit { return }
        if offset >= windowStart, offset < windowStart + UInt64(window.count) {
            window.removeFirst(Int(offset - windowStart))
        } else {
            window.reset()
        }
        windowStart = offset
        checksums.reset()
        let wanted = Int(min(UInt64(FrameSearch.windowBytes), end - offset))
        window.reserve(wanted)
        _ = try file.readFully(
            at: offset + UInt64(window.count), count: wanted - window.count, into: &window)
    }

    /// Below this a frame is read in no more time than the search takes to get there.
    private static let largeClaim = 4 << 10

    /// Whether a large frame is claimed at `offset`, and is all there, and its crc does not hold:
    /// in time that hardly depends on how large it claims to be.
    mutating func isBrokenClaim(at offset: UInt64) throws(DiskError) -> Bool {
        guard offset < end, end - offset >= UInt64(FrameSearch.largeClaim) else { return false }
        try load(offset)
        guard offset < candidateLimit else { return false }
        let start = Int(offset - windowStart)
        let claimed = FrameDecoder.claimedBytes(window.bytes.extracting(start..<window.count))
        guard let claimed, claimed >= FrameSearch.largeClaim, claimed <= window.count - start
        else { return false }
        return FrameSearch.wholeFrame(at: start, in: window, &checksums) == nil
    }

    /// All whole frames of the file that do not stand inside of another one.
    mutating func families() throws(DiskError) -> FrameFamilies {
        var families = FrameFamilies()
        var offset: UInt64 = 0
        while end >= UInt64(FrameLayout.smallestFrame),
            offset <= end - UInt64(FrameLayout.smallestFrame)
        {
            try load(offset)
            guard offset < candidateLimit else { break }
            let start = Int(offset - windowStart)
            let fields = FrameDecoder.fields(window.bytes.extracting(start..<window.count))
            // A commit index may be impossible, but not one of a later version.
            if fields.durableBelow != nil || fields.presence.isNewer,
                let size = FrameSearch.wholeFrame(at: start, in: window, &checksums)
            {
                families.add(fields, bytes: UInt64(size), at: offset)
                offset += UInt64(size)
            } else {
                offset += 1
            }
        }
        return families
    }

    /// What the whole frames of the file agree on; nil if there is none.
    mutating func commonBase() throws(DiskError) -> FrameFamilies.Common? {
        try families().common
    }

    /// Whether a whole frame is the copy of one that stands further on, where both say that they
    /// stand: a page was written over another one. That takes the word of most of the file. A
    /// payload with copies of all that was before it is no more than half of that.
    mutating func isCopy(_ frame: DecodedFrame, at offset: UInt64) throws(DiskError) -> Bool {
        guard let common = try commonBase() else { return false }
        let place = frame.fields.position &- common.base
        guard place > offset, place < end, common.bytes > common.end / 2,
            let (found, hit) = try next(from: place, base: common.base, id: frame.fields.id),
            found == place, case .valid(let original) = hit
        else { return false }
        return original.crc == frame.crc
    }
}
