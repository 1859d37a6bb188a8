package import WAL

/// Base64 of RFC 4648, with padding.
package enum Base64 {
    /// Appends the text of `bytes`.
    package static func append(_ bytes: RawSpan, to buffer: inout ByteBuffer) {
        buffer.reserve(buffer.count + (bytes.byteCount + 2) / 3 * 4)
        var offset = 0
        while offset <= bytes.byteCount - 3 {
            appendGroup(
                UInt32(bytes.u8(at: offset)) << 16 | UInt32(bytes.u8(at: offset + 1)) << 8
                    | UInt32(bytes.u8(at: offset + 2)), padding: 0, to: &buffer)
            offset += 3
        }
        switch bytes.byteCount - offset {
        case 1: appendGroup(UInt32(bytes.u8(at: offset)) << 16, padding: 2, to: &buffer)
        case 2:
            appendGroup(
                UInt32(bytes.u8(at: offset)) << 16 | UInt32(bytes.u8(at: offset + 1)) << 8,
                padding: 1, to: &buffer)
        default: break
        }
    }

    /// Four characters for 24 bits, the last ones replaced by padding.
    private static func appendGroup(_ bits: UInt32, padding: Int, to buffer: inout ByteBuffer) {
        var text: UInt32 = 0
        for index in 0..<4 {
            let character =
                index < 4 - padding
                ? character(UInt8(bits >> UInt32(18 - 6 * index) & 63)) : UInt8(ascii: "=")
            text |= UInt32(character) << UInt32(8 * index)
        }
        buffer.append(integer: text)
    }

    /// `A-Z a-z 0-9 + /`, by steps that need no branch: the values are as good as random.
    @inline(__always)
    private static func character(_ value: UInt8) -> UInt8 {
        var character = value &+ UInt8(ascii: "A")
        character &+= value > 25 ? 6 : 0
        character &-= value > 51 ? 75 : 0
        character &-= value > 61 ? 15 : 0
        character &+= value > 62 ? 3 : 0
        return character
    }
}
