internal import DataDirectory
internal import WAL

/// Bytes from a disk as text that a terminal can be trusted with: whatever is not printable is
/// escaped, and what is too long is cut with a note of the length.
package enum Printable {
    /// A name in a message: without quotes if it is plain.
    package static func text(_ name: String) -> String {
        // Nearly all are plain, and asking for the properties of each scalar takes long.
        if name.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) { return name }
        var line = LineBuffer()
        for scalar in name.unicodeScalars {
            // Without quotes around it, neither these nor a backslash mean anything.
            if scalar == "\"" || scalar == "\\" {
                line.append(UInt8(ascii: scalar))
            } else {
                append(scalar, to: &line)
            }
        }
        return String(decoding: line.bytes, as: UTF8.self)
    }

    /// Appends `bytes` in quotes, at most `limit` of them.
    static func append(_ bytes: RawSpan, limit: Int, to line: inout LineBuffer) {
        line.append(UInt8(ascii: "\""))
        let end = cut(bytes, limit)
        var offset = 0
        while offset < end {
            let byte = bytes.u8(at: offset)
            if byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                line.append(byte)
                offset += 1
            } else if byte < 0x80 {
                append(Unicode.Scalar(byte), to: &line)
                offset += 1
            } else if let length = scalarBytes(bytes, at: offset, end: end) {
                appendScalar(bytes.extracting(offset..<offset + length), to: &line)
                offset += length
            } else {
                line.append("\\x")
                appendHexadecimal(byte, to: &line)
                offset += 1
            }
        }
        line.append(UInt8(ascii: "\""))
        noteLength(bytes, shown: end, &line)
    }

    /// Appends `bytes` as pairs of hexadecimal digits, at most `limit` bytes.
    static func appendHexadecimal(_ bytes: RawSpan, limit: Int, to line: inout LineBuffer) {
        let end = min(bytes.byteCount, limit)
        for offset in 0..<end { appendHexadecimal(bytes.u8(at: offset), to: &line) }
        noteLength(bytes, shown: end, &line)
    }

    /// Appends `bytes` as base64, at most `limit` bytes.
    static func appendBase64(_ bytes: RawSpan, limit: Int, to line: inout LineBuffer) {
        let end = min(bytes.byteCount, limit)
        var text = ByteBuffer()
        Base64.append(bytes.extracting(0..<end), to: &text)
        line.append(text.bytes.copied())
        noteLength(bytes, shown: end, &line)
    }

    private static func noteLength(_ bytes: RawSpan, shown: Int, _ line: inout LineBuffer) {
        guard shown < bytes.byteCount else { return }
        line.append("… (")
        line.append(decimal: UInt64(bytes.byteCount))
        line.append(" bytes)")
    }

    /// Where to cut: not inside of a scalar.
    private static func cut(_ bytes: RawSpan, _ limit: Int) -> Int {
        guard bytes.byteCount > limit else { return bytes.byteCount }
        var end = limit
        while end > limit - 4, end > 0, bytes.u8(at: end) & 0xc0 == 0x80 { end -= 1 }
        return end
    }

    /// Bytes of the scalar that begins at `offset`; nil if none does.
    private static func scalarBytes(_ bytes: RawSpan, at offset: Int, end: Int) -> Int? {
        let lead = bytes.u8(at: offset)
        let length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2
        guard lead >= 0xc2, lead < 0xf5, offset + length <= end,
            bytes.extracting(offset..<offset + length).firstInvalidUTF8 == nil
        else { return nil }
        return length
    }

    private static func appendScalar(_ bytes: RawSpan, to line: inout LineBuffer) {
        for scalar in String(decoding: bytes.copied(), as: UTF8.self).unicodeScalars {
            append(scalar, to: &line)
        }
    }

    private static func append(_ scalar: Unicode.Scalar, to line: inout LineBuffer) {
        switch scalar {
        case "\n": line.append("\\n")
        case "\r": line.append("\\r")
        case "\t": line.append("\\t")
        case "\"": line.append("\\\"")
        case "\\": line.append("\\\\")
        case _ where isPrintable(scalar): line.append(String(Character(scalar)))
        default:
            if scalar.value < 0x80 {
                line.append("\\x")
                appendHexadecimal(UInt8(scalar.value), to: &line)
            } else {
                line.append("\\u{" + String(scalar.value, radix: 16) + "}")
            }
        }
    }

    /// Control characters, and those that change the direction or are not seen, are not.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
            .paragraphSeparator:
            false
        default: true
        }
    }

    private static func appendHexadecimal(_ byte: UInt8, to line: inout LineBuffer) {
        line.append(digit(byte >> 4))
        line.append(digit(byte & 15))
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
