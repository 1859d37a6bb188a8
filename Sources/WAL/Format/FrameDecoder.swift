/// Why bytes are not a valid frame, wherever they stand.
package enum FrameFault: Error, Hashable, Sendable {
    /// The length field is not there, is out of bounds, or leads past the end.
    case length(UInt32?)
    /// The checksum does not match.
    case crc
    /// The checksum holds, but a presence bit is set that this version does not know.
    case newer(FrameFields)
    /// The checksum holds, but the parts do not fit.
    case inner(InnerFault, FrameFields)
}

/// Which rule a frame breaks whose checksum holds.
package enum InnerFault: String, Hashable, Sendable {
    case commitIndex = "the commit index is above the id"
    case identifier = "the id has no successor below 2^64"
    case mark = "a mark has another part, a payload or a commit index"
    case lost = "a lost frame has another part, a commit index, no ids or bytes that are not zero"
    case key = "the key is empty or longer than the frame"
    case headers = "the headers do not fill their length exactly"
    case headerCount = "the headers are there, but their count is 0"
    case headerName = "the name of a header is empty"
}

/// Bytes to frame or fault. A pure function: no length is used before it has been checked against
/// its bounds and against the bytes that are there.
package enum FrameDecoder {
    /// What the length field claims for the whole frame; nil if no frame may be that long.
    /// `bytes` must hold the length field.
    @inline(__always)
    package static func claimedBytes(_ bytes: RawSpan) -> Int? {
        FrameLayout.frameBytes(length: bytes.u32(at: FrameLayout.length))
    }

    /// The fixed fields. `bytes` must hold all of them; nothing is checked.
    @inline(__always)
    package static func fields(_ bytes: RawSpan) -> FrameFields {
        FrameFields(
            length: bytes.u32(at: FrameLayout.length), id: bytes.u64(at: FrameLayout.id),
            position: bytes.u64(at: FrameLayout.position),
            timestamp: bytes.u64(at: FrameLayout.timestamp),
            commitIndex: bytes.u32(at: FrameLayout.commitIndex),
            presence: Presence(rawValue: bytes.u16(at: FrameLayout.presence)))
    }

    /// Decodes the frame that begins `bytes` and ends within it.
    package static func decode(_ bytes: RawSpan) -> Result<DecodedFrame, FrameFault> {
        guard bytes.byteCount >= FrameLayout.lengthBytes else { return .failure(.length(nil)) }
        guard let size = claimedBytes(bytes), size <= bytes.byteCount else {
            return .failure(.length(bytes.u32(at: FrameLayout.length)))
        }
        let frame = bytes.extracting(0..<size)
        let end = size - FrameLayout.crcBytes
        let crc = frame.u32(at: end)
        guard CRC32.of(frame.extracting(0..<end)) == crc else { return .failure(.crc) }
        return parts(frame, crc)
    }

    /// Takes a frame apart whose length and checksum hold.
    package static func parts(_ frame: RawSpan, _ crc: UInt32) -> Result<DecodedFrame, FrameFault> {
        var decoded = DecodedFrame(fields: fields(frame), crc: crc)
        switch check(frame, &decoded) {
        case nil: return .success(decoded)
        case .newer: return .failure(.newer(decoded.fields))
        case .inner(let fault): return .failure(.inner(fault, decoded.fields))
        }
    }

    /// Why the parts of a frame are refused, in a byte: a scan asks for every frame.
    enum PartsFault {
        case newer
        case inner(InnerFault)
    }

    /// Checks the parts of a frame and notes in `decoded`, which has its fields, how long they are.
    @inline(__always)
    static func check(_ frame: RawSpan, _ decoded: inout DecodedFrame) -> PartsFault? {
        let presence = decoded.fields.presence
        if presence.isNewer { return .newer }
        guard UInt64(decoded.fields.commitIndex) <= decoded.fields.id else {
            return .inner(.commitIndex)
        }
        if presence.isDisjoint(with: [.mark, .lost]) {
            guard decoded.fields.id < .max else { return .inner(.identifier) }
            return presence.isEmpty ? nil : checkMessage(frame, &decoded)
        }
        return checkSpecial(frame, &decoded)
    }

    /// A mark or a lost frame.
    private static func checkSpecial(
        _ frame: RawSpan, _ decoded: inout DecodedFrame
    ) -> PartsFault? {
        let fields = decoded.fields
        let end = frame.byteCount - FrameLayout.crcBytes
        if fields.presence.contains(.mark) {
            let isMark =
                fields.presence == .mark && end == FrameLayout.fixedBytes
                && fields.commitIndex == 0
            return isMark ? nil : .inner(.mark)
        }
        guard let lost = lostIDs(frame, fields, end) else { return .inner(.lost) }
        guard !fields.id.addingReportingOverflow(lost).overflow else { return .inner(.identifier) }
        decoded.lostIDs = lost
        return nil
    }

    private static func checkMessage(
        _ frame: RawSpan, _ decoded: inout DecodedFrame
    ) -> PartsFault? {
        let end = frame.byteCount - FrameLayout.crcBytes
        var cursor = FrameLayout.fixedBytes
        if decoded.fields.presence.contains(.key) {
            guard end - cursor >= 2 else { return .inner(.key) }
            let length = Int(frame.u16(at: cursor))
            guard length > 0, length <= end - cursor - 2 else { return .inner(.key) }
            decoded.keyBytes = UInt16(length)
            cursor += 2 + length
        }
        if decoded.fields.presence.contains(.headers) {
            guard end - cursor >= 4 else { return .inner(.headers) }
            let length = Int(frame.u32(at: cursor))
            guard length <= end - cursor - 4 else { return .inner(.headers) }
            let block = frame.extracting(cursor + 4..<cursor + 4 + length)
            if let fault = headerFault(block) { return .inner(fault) }
            decoded.headerBytes = UInt32(length)
        }
        return nil
    }

    /// How many ids a lost frame stands for. Where there is no room for the count, it is one.
    private static func lostIDs(_ frame: RawSpan, _ fields: FrameFields, _ end: Int) -> UInt64? {
        guard fields.presence == .lost, fields.commitIndex == 0 else { return nil }
        let body = frame.extracting(FrameLayout.fixedBytes..<end)
        guard body.byteCount >= 8 else { return body.isZero ? 1 : nil }
        let count = body.u64(at: 0)
        guard count >= 1, body.extracting(8..<body.byteCount).isZero else { return nil }
        return count
    }

    /// What keeps `block` from being a count and that many names and values, to its last byte.
    private static func headerFault(_ block: RawSpan) -> InnerFault? {
        guard block.byteCount >= 2 else { return .headers }
        var left = Int(block.u16(at: 0))
        guard left >= 1 else { return .headerCount }
        var cursor = 2
        while left > 0 {
            guard block.byteCount - cursor >= 2 else { return .headers }
            let name = Int(block.u16(at: cursor))
            cursor += 2
            guard name > 0 else { return .headerName }
            guard name <= block.byteCount - cursor else { return .headers }
            cursor += name
            guard block.byteCount - cursor >= 4 else { return .headers }
            let value = Int(block.u32(at: cursor))
            cursor += 4
            guard value <= block.byteCount - cursor else { return .headers }
            cursor += value
            left -= 1
        }
        return cursor == block.byteCount ? nil : .headers
    }
}
