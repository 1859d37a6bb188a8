internal import WAL

/// Where everything stands in a frame of the Go program. All integers are little-endian.
///
///     u32 length, u64 id, u64 timestamp, u16 key length, key, u32 payload length, payload,
///     [u64 visible-at,] u32 crc
///
/// `length` counts the bytes behind itself; the crc is that of the bytes between the two. There
/// is no presence field: a delay is there if exactly its eight bytes are left before the crc.
package enum GoFrameLayout {
    // Offsets of the fixed fields, from the first byte of the frame.
    package static let length = 0
    package static let id = 4
    package static let timestamp = 12
    package static let keyLength = 20
    package static let key = 22

    /// Bytes of the length field, which it does not count itself.
    package static let lengthBytes = 4
    /// Bytes of the checksum at the end.
    package static let crcBytes = 4
    /// Bytes of the payload's length field.
    package static let payloadLengthBytes = 4
    /// Bytes of the time until which a message is held back.
    package static let visibleAtBytes = 8

    /// The smallest whole frame: no key, no payload, no delay.
    package static let smallestFrame = 30
    /// The values that the length field may have.
    package static let lengths: ClosedRange<UInt32> = 26...4_194_304
    /// The largest whole frame.
    package static let largestFrame = 4_194_308

    // Invariant: the bounds of `lengths` are those of a frame less its length field, the smallest
    // frame is the fixed fields, an empty payload's length and the crc. GoFrameTests holds these
    // numbers against each other.

    /// The size of a frame whose length field has this value; nil if no frame may be that long.
    @inline(__always)
    package static func frameBytes(length: UInt32) -> Int? {
        lengths.contains(length) ? Int(length) + lengthBytes : nil
    }
}

/// A whole frame, taken apart. The ranges count from the first byte of the frame.
package struct GoFrame: Hashable, Sendable {
    /// Bytes behind the length field.
    package var length: UInt32
    /// The number of the message. Invariant: below 2^64 - 1, the decoder has checked it.
    package var id: UInt64
    /// Nanoseconds since 1970-01-01 UTC.
    package var timestamp: UInt64
    /// Nil where there is none, which the frame says with a length of 0.
    package var key: Range<Int>?
    /// May be empty.
    package var payload: Range<Int>
    /// Not delivered before, nanoseconds since 1970-01-01 UTC (0: at once); nil where the frame
    /// has no such field.
    package var visibleAt: UInt64?
    /// The stored checksum, which matches.
    package var crc: UInt32

    /// Bytes of the whole frame.
    package var frameBytes: Int { Int(length) + GoFrameLayout.lengthBytes }
    /// The id of the next message, at most 2^64 - 1.
    package var nextID: UInt64 { id + 1 }
}

/// Why bytes are not a frame of the Go program, wherever they stand.
package enum GoFrameFault: Error, Hashable, Sendable {
    /// The length field is not there, is out of bounds, or leads past the end.
    case length(UInt32?)
    /// The checksum does not match. `frameBytes` is what the length field claims.
    case crc(frameBytes: Int)
    /// The checksum holds, but the parts do not fill the frame exactly, or the id has no
    /// successor below 2^64.
    case inner(id: UInt64, frameBytes: Int)
}

/// Bytes to frame or fault. A pure function: no length is used before it has been checked against
/// its bounds and against the bytes that are there.
package enum GoFrameDecoder {
    /// Decodes the frame that begins `bytes` and ends within it.
    package static func decode(_ bytes: RawSpan) -> Result<GoFrame, GoFrameFault> {
        guard bytes.byteCount >= GoFrameLayout.lengthBytes else { return .failure(.length(nil)) }
        let length = bytes.u32(at: GoFrameLayout.length)
        guard let size = GoFrameLayout.frameBytes(length: length), size <= bytes.byteCount else {
            return .failure(.length(length))
        }
        let frame = bytes.extracting(0..<size)
        return judge(frame, crc: CRC32.of(frame.extracting(4..<size - GoFrameLayout.crcBytes)))
    }

    /// Judges a frame that is there from its first byte to its last, when `crc` is the checksum
    /// that its bytes have.
    static func judge(_ frame: RawSpan, crc: UInt32) -> Result<GoFrame, GoFrameFault> {
        let size = frame.byteCount
        guard frame.u32(at: size - GoFrameLayout.crcBytes) == crc else {
            return .failure(.crc(frameBytes: size))
        }
        let id = frame.u64(at: GoFrameLayout.id)
        guard let parts = parts(frame, size: size), id < .max else {
            return .failure(.inner(id: id, frameBytes: size))
        }
        return .success(
            GoFrame(
                length: frame.u32(at: GoFrameLayout.length), id: id,
                timestamp: frame.u64(at: GoFrameLayout.timestamp), key: parts.key,
                payload: parts.payload, visibleAt: parts.visibleAt.map { frame.u64(at: $0) },
                crc: crc))
    }

    /// Where the parts of a frame of `size` bytes are.
    struct Parts {
        var key: Range<Int>?
        var payload: Range<Int>
        var visibleAt: Int?
    }

    /// Takes apart a frame of `size` bytes, at least the smallest, of which `head` holds as many
    /// as are needed: up to the payload's length. Nil if the inner lengths do not add up to the
    /// outer one, or if `head` ends too early.
    static func parts(_ head: RawSpan, size: Int) -> Parts? {
        let end = size - GoFrameLayout.crcBytes
        let keyBytes = Int(head.u16(at: GoFrameLayout.keyLength))
        let keyEnd = GoFrameLayout.key + keyBytes
        let payloadStart = keyEnd + GoFrameLayout.payloadLengthBytes
        guard payloadStart <= end, payloadStart <= head.byteCount else { return nil }
        // A u32 and an Int below 2^23: the sum cannot overflow.
        let payloadEnd = payloadStart + Int(head.u32(at: keyEnd))
        guard payloadEnd == end || payloadEnd + GoFrameLayout.visibleAtBytes == end else {
            return nil
        }
        return Parts(
            key: keyBytes > 0 ? GoFrameLayout.key..<keyEnd : nil,
            payload: payloadStart..<payloadEnd, visibleAt: payloadEnd == end ? nil : payloadEnd)
    }
}

/// A message of a Go log where it stands. It borrows the reader's buffer and is valid inside the
/// closure only.
package struct GoMessage: ~Escapable {
    /// File name of the segment.
    package let segment: String
    /// Where its frame begins in the file, in bytes.
    package let offset: UInt64
    /// The frame, taken apart.
    package let frame: GoFrame
    /// The bytes of the whole frame.
    package let bytes: RawSpan

    @_lifetime(copy bytes)
    init(_ frame: GoFrame, in bytes: RawSpan, segment: String, offset: UInt64) {
        self.segment = segment
        self.offset = offset
        self.frame = frame
        self.bytes = bytes
    }

    /// The number of the message.
    package var id: UInt64 { frame.id }
    /// Nanoseconds since 1970-01-01 UTC.
    package var timestamp: UInt64 { frame.timestamp }
    /// As in `GoFrame`; nil where the frame has no such field.
    package var visibleAt: UInt64? { frame.visibleAt }
    /// The stored checksum, which matches.
    package var crc: UInt32 { frame.crc }

    /// The dedupe key; nil where there is none.
    package var key: RawSpan? {
        @_lifetime(copy self)
        get {
            guard let range = frame.key else { return nil }
            return bytes.extracting(range)
        }
    }

    /// The payload.
    package var payload: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(frame.payload) }
    }
}
