import WAL

/// Makes mutated bytes plausible again, so that a mutation gets past the checksum and to the rules
/// behind it: lengths lead to the next frame, positions say where frames stand, checksums match.
package enum Mending {
    /// Mends some of what `seed` chooses; a part of all inputs stays as the mutation left it.
    package static func mend(_ bytes: inout [UInt8], for target: FuzzTarget, seed: UInt64) {
        if seed & 7 == 0 { return }
        switch target {
        case .frame: mendFrame(&bytes, at: 0, of: bytes.count, position: nil, seed: seed)
        case .segment, .salvage: mendSegment(&bytes, seed: seed)
        case .wire: break
        case .go: mendGo(&bytes, seed: seed)
        case .offsets: mendOffsets(&bytes)
        }
    }

    /// Makes `size` bytes at `start` a frame whose checksum holds.
    private static func mendFrame(
        _ bytes: inout [UInt8], at start: Int, of size: Int, position: UInt64?, seed: UInt64
    ) {
        guard size >= FrameLayout.smallestFrame, start + size <= bytes.count,
            size <= FrameLayout.largestFrame
        else { return }
        if seed & 8 == 0 { put(UInt32(size - 4), at: start, in: &bytes) }
        let claimed = Int(RawSpan(of: bytes).u32(at: start)) + 4
        guard (FrameLayout.smallestFrame...size).contains(claimed) else { return }
        if let position { put(position, at: start + FrameLayout.position, in: &bytes) }
        if seed & 48 == 0 {
            bytes[start + FrameLayout.presence] &= 0xF
            bytes[start + FrameLayout.presence + 1] = 0
        }
        let end = start + claimed - FrameLayout.crcBytes
        let crc = CRC32.of(RawSpan(of: bytes).extracting(start..<end))
        put(crc, at: end, in: &bytes)
    }

    /// Goes from frame to frame by their lengths; a length that leads nowhere becomes one that
    /// leads to the end.
    private static func mendSegment(_ bytes: inout [UInt8], seed: UInt64) {
        var offset = 4
        var base: UInt64?
        var id: UInt64?
        // One frame may stay broken: that is what makes damage, and tails.
        let spared = seed & 64 == 0 ? Int(seed >> 32 & 15) : -1
        var index = 0
        while bytes.count - offset >= FrameLayout.smallestFrame {
            var size = Int(RawSpan(of: bytes).u32(at: offset)) + 4
            if size < FrameLayout.smallestFrame || size > bytes.count - offset {
                if seed & 128 == 0 { return }
                size = bytes.count - offset
            }
            let here = UInt64(offset - 4)
            if base == nil { base = RawSpan(of: bytes).u64(at: offset + FrameLayout.position) }
            if index != spared {
                if let id, seed & 256 == 0 { put(id, at: offset + FrameLayout.id, in: &bytes) }
                let position = (base ?? 0) &+ here
                mendFrame(&bytes, at: offset, of: size, position: position, seed: seed | 8)
            }
            let span = RawSpan(of: bytes)
            let isMark = span.u16(at: offset + FrameLayout.presence) == Presence.mark.rawValue
            id = span.u64(at: offset + FrameLayout.id) &+ (isMark ? 0 : 1)
            offset += size
            index += 1
        }
    }

    /// The same for frames of the Go program, which have no position.
    private static func mendGo(_ bytes: inout [UInt8], seed: UInt64) {
        var offset = 2
        let spared = seed & 64 == 0 ? Int(seed >> 32 & 15) : -1
        var index = 0
        while bytes.count - offset >= 30 {
            var size = Int(RawSpan(of: bytes).u32(at: offset)) + 4
            if size < 30 || size > bytes.count - offset {
                if seed & 128 == 0 { return }
                size = bytes.count - offset
                put(UInt32(size - 4), at: offset, in: &bytes)
            }
            let key = Int(RawSpan(of: bytes).u16(at: offset + 20))
            if seed & 16 == 0, key <= size - 30 {
                put(UInt32(size - 30 - key), at: offset + 22 + key, in: &bytes)
            }
            if index != spared {
                let crc = CRC32.of(
                    RawSpan(of: bytes).extracting(offset + 4..<offset + size - 4))
                put(crc, at: offset + size - 4, in: &bytes)
            }
            offset += size
            index += 1
        }
    }

    /// Writes the checksum behind the last comma.
    private static func mendOffsets(_ bytes: inout [UInt8]) {
        let comma = bytes.lastIndex(of: UInt8(ascii: ",")) ?? bytes.count
        let body = Array(bytes[..<comma])
        let digits = String(CRC32.of(RawSpan(of: body)), radix: 16)
        let crc = String(repeating: "0", count: 8 - digits.count) + digits
        bytes = body + Array(", \"crc32\": \"\(crc)\"}\n".utf8)
    }

    private static func put<T: FixedWidthInteger>(
        _ value: T, at offset: Int, in bytes: inout [UInt8]
    ) {
        for index in 0..<T.bitWidth / 8 {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> T(index * 8))
        }
    }
}
