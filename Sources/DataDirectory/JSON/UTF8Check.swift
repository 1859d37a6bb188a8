internal import WAL

extension RawSpan {
    /// The offset of the first byte that does not belong to well-formed UTF-8 (RFC 3629: no
    /// overlong forms, no surrogates, nothing above U+10FFFF); nil if all bytes do.
    ///
    /// The standard library's check (`UTF8Span`) wants a `Span<UInt8>`, which cannot be had of a
    /// `RawSpan` without an unchecked view.
    package var firstInvalidUTF8: Int? {
        var offset = 0
        while offset < byteCount {
            // Eight ASCII bytes at a time.
            while offset <= byteCount - 8, u64(at: offset) & 0x8080_8080_8080_8080 == 0 {
                offset += 8
            }
            guard offset < byteCount else { return nil }
            guard let length = scalarBytes(at: offset) else { return offset }
            offset += length
        }
        return nil
    }

    /// How many bytes the scalar at `offset` has; nil if there is none.
    private func scalarBytes(at offset: Int) -> Int? {
        let lead = u8(at: offset)
        // What the second byte may be is what excludes overlong forms, surrogates and numbers
        // that are too large (Unicode, table 3-7).
        switch lead {
        case 0x00...0x7f: return 1
        case 0xc2...0xdf: return hasTail(1, second: 0x80...0xbf, offset) ? 2 : nil
        case 0xe0: return hasTail(2, second: 0xa0...0xbf, offset) ? 3 : nil
        case 0xed: return hasTail(2, second: 0x80...0x9f, offset) ? 3 : nil
        case 0xe1...0xef: return hasTail(2, second: 0x80...0xbf, offset) ? 3 : nil
        case 0xf0: return hasTail(3, second: 0x90...0xbf, offset) ? 4 : nil
        case 0xf1...0xf3: return hasTail(3, second: 0x80...0xbf, offset) ? 4 : nil
        case 0xf4: return hasTail(3, second: 0x80...0x8f, offset) ? 4 : nil
        default: return nil
        }
    }

    private func hasTail(_ count: Int, second: ClosedRange<UInt8>, _ offset: Int) -> Bool {
        guard byteCount - offset > count, second.contains(u8(at: offset + 1)) else { return false }
        for index in 1..<count where u8(at: offset + 1 + index) & 0xc0 != 0x80 { return false }
        return true
    }
}
