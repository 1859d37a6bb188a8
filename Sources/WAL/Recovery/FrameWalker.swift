/// Why there is no valid frame in its place at P.
package enum PlaceFault: Hashable, Sendable {
    case length(UInt32?)
    case crc
    /// crc and position hold, an unknown presence bit is set.
    case newer(FrameFields)
    /// crc holds, the parts do not fit. `inPlace`: the position holds as well.
    case inner(InnerFault, FrameFields, inPlace: Bool)
    /// A valid frame with another id. `inPlace`: the position holds.
    case id(FrameFields, inPlace: Bool)
    /// A valid frame with the right id that was written for another place.
    case position(FrameFields)
    /// A valid frame where the segment's mark should be.
    case notAMark(FrameFields)

    /// Bytes of the frame at P when its crc and position hold: no crash leaves it, and nothing
    /// within is searched.
    package var wholeBytes: Int? {
        switch self {
        case .newer(let fields), .inner(_, let fields, inPlace: true),
            .id(let fields, inPlace: true):
            fields.frameBytes
        default: nil
        }
    }

    var findingKind: LogFinding.Kind {
        switch self {
        case .length: .badLength
        case .crc: .badCRC
        case .newer: .unknownField
        case .inner: .badInner
        case .id: .badID
        case .position, .notAMark: .badPosition
        }
    }

    /// What is wrong, for people; `id` and `position` are what the place asks for.
    func detail(id: UInt64, position: UInt64, bytesLeft: UInt64) -> String {
        switch self {
        case .length(nil): "only \(bytesLeft) bytes are left, too few for a length field"
        case .length(let value?):
            FrameLayout.lengths.contains(value)
                ? "length \(value) leads past the end, \(bytesLeft) bytes are left"
                : "length \(value) is not between \(FrameLayout.lengths.lowerBound) and "
                    + "\(FrameLayout.lengths.upperBound)"
        case .crc: "the checksum does not match"
        case .newer(let fields):
            "presence bits 0x\(String(fields.presence.rawValue, radix: 16)) "
                + "are not known to this version"
        case .inner(let fault, _, _): fault.rawValue
        case .id(let fields, _): "a whole frame with id \(fields.id) where \(id) belongs"
        case .position(let fields):
            "a whole frame with position \(fields.position) where \(position) belongs"
        case .notAMark: "a whole frame, but a segment begins with a mark"
        }
    }
}

/// Walks the frames of a segment in pieces of a bounded buffer: no length from the file makes the
/// buffer larger than one frame may be, nor larger than what the file holds.
package struct FrameWalker: ~Copyable {
    package enum Step {
        case frame(DecodedFrame)
        /// The bytes end exactly here.
        case end
        case broken(PlaceFault)
    }

    /// How much is read at once. Small enough that the crc finds the bytes in the cache.
    package static let chunkBytes = 256 << 10

    private let file: any DiskFile
    /// Reading stops here: the size of the file, or the durable end.
    package let end: UInt64
    var window: ByteBuffer
    private(set) var windowStart: UInt64
    /// The frame that `advance` gave last.
    package private(set) var frame = DecodedFrame.none
    /// The checksums of the frames from `offset` to here hold.
    var checkedEnd: UInt64 = 0
    /// Up to here a checksum of a run has failed: the frames are checked one by one.
    var distrustedEnd: UInt64 = 0
    private var frameStart = 0
    private var frameEnd = 0
    /// Where the next frame begins.
    package private(set) var offset: UInt64

    private let chunkBytes: Int
    /// The help of another thread; nil where it would not be worth it.
    let ahead: ReadAhead?
    /// Where that was asked to begin.
    var aheadStart: UInt64?

    /// - Parameter ahead: to be stopped before the file is closed.
    package init(
        _ file: any DiskFile, from offset: UInt64 = 0, to end: UInt64,
        chunkBytes: Int = FrameWalker.chunkBytes, ahead: ReadAhead? = nil
    ) {
        self.file = file
        self.ahead = ahead
        self.end = end
        self.chunkBytes = chunkBytes
        self.offset = offset
        self.windowStart = offset
        let left = end > offset ? end - offset : 0
        self.window = ByteBuffer(capacity: Int(min(left, UInt64(chunkBytes))))
    }

    /// The bytes of the frame that `next` or `advance` gave last.
    package var frameBytes: RawSpan {
        @_lifetime(borrow self)
        borrowing get { window.bytes.extracting(frameStart..<frameEnd) }
    }

    /// Where the bytes in the window end.
    var windowEnd: UInt64 { windowStart + UInt64(window.count) }

    /// Takes over the bytes that another thread has read and checked, if it began at `offset`.
    mutating func takeAhead() -> Bool {
        guard let ahead, offset == aheadStart else { return false }
        aheadStart = nil
        guard let checked = ahead.take(from: offset, into: &window) else { return false }
        windowStart = offset
        frameStart = 0
        frameEnd = 0
        checkedEnd = offset + UInt64(checked)
        return true
    }

    /// Goes on at another place.
    package mutating func seek(to offset: UInt64) {
        self.offset = offset
        checkedEnd = 0
        if offset < windowStart || offset > windowStart + UInt64(window.count) {
            window.reset()
            windowStart = offset
        }
    }

    /// Takes the frame at `offset` if it is valid and in its place, into `frame`. If this is false
    /// the walk has not moved, and `next` tells why.
    @inline(__always)
    package mutating func advance(id: UInt64, base: UInt64) throws(DiskError) -> Bool {
        if offset >= checkedEnd {
            guard try checkRun() else { return false }
        }
        let start = Int(offset - windowStart)
        var found = DecodedFrame.none
        guard
            FrameWalker.decode(
                window.bytes.extracting(start..<window.count), id, base &+ offset, &found)
        else { return false }
        frame = found
        frameStart = start
        frameEnd = start + found.bytes
        offset += UInt64(found.bytes)
        return true
    }

    /// Decodes the frame that begins `bytes` and is known to have its checksum.
    @inline(__always)
    private static func decode(
        _ bytes: RawSpan, _ id: UInt64, _ position: UInt64, _ frame: inout DecodedFrame
    ) -> Bool {
        let fields = FrameDecoder.fields(bytes)
        let own = bytes.extracting(0..<fields.frameBytes)
        frame = DecodedFrame(
            fields: fields, crc: own.u32(at: fields.frameBytes - FrameLayout.crcBytes))
        return fields.id == id && fields.position == position
            && FrameDecoder.check(own, &frame) == nil
    }

    /// The frame at `offset`, judged by what its place asks for: `id` (nil where any will do) and
    /// the position, `base` being that of offset 0 (nil where any will do).
    package mutating func next(id: UInt64?, base: UInt64?) throws(DiskError) -> Step {
        if offset >= end { return .end }
        guard try have(FrameLayout.lengthBytes) else { return .broken(.length(nil)) }
        let length = window.bytes.u32(at: Int(offset - windowStart) + FrameLayout.length)
        guard let size = FrameLayout.frameBytes(length: length), UInt64(size) <= end - offset
        else { return .broken(.length(length)) }
        // The file may have become shorter since its size was read.
        guard try have(size) else { return .broken(.length(length)) }
        frameStart = Int(offset - windowStart)
        frameEnd = frameStart + size
        let result = FrameDecoder.decode(window.bytes.extracting(frameStart..<frameEnd))
        let position = base.map { $0 &+ offset }
        switch result {
        case .success(let frame):
            let fields = frame.fields
            let inPlace = position == nil || fields.position == position
            if let id, fields.id != id { return .broken(.id(fields, inPlace: inPlace)) }
            guard inPlace else { return .broken(.position(fields)) }
            offset += UInt64(size)
            return .frame(frame)
        case .failure(let fault):
            return .broken(place(fault, id: id, position: position))
        }
    }

    private func place(_ fault: FrameFault, id: UInt64?, position: UInt64?) -> PlaceFault {
        switch fault {
        case .length(let value): return .length(value)
        case .crc: return .crc
        case .newer(let fields):
            if position == nil || fields.position == position { return .newer(fields) }
            if let id, fields.id != id { return .id(fields, inPlace: false) }
            return .position(fields)
        case .inner(let inner, let fields):
            return .inner(
                inner, fields, inPlace: position == nil || fields.position == position)
        }
    }

    /// Makes sure that `count` bytes from `offset` on are in the window.
    mutating func have(_ count: Int) throws(DiskError) -> Bool {
        let start = Int(offset - windowStart)
        if window.count - start >= count { return true }
        window.removeFirst(start)
        windowStart = offset
        frameStart = 0
        frameEnd = 0
        while window.count < count {
            let next = windowStart + UInt64(window.count)
            let wanted = max(chunkBytes, count) - window.count
            let left = end > next ? end - next : 0
            let limit = Int(min(UInt64(wanted), left))
            if limit == 0 { return false }
            if try file.read(at: next, upTo: limit, into: &window) == 0 { return false }
        }
        return true
    }
}
