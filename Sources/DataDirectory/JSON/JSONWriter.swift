package import WAL

/// Writes JSON into a buffer: commas, quotes and escapes are its business, the order of calls is
/// its caller's (a value where a value may stand; every `begin` has its `end`).
///
/// Built for one line per message: no intermediate strings, nothing allocated but the buffer.
package struct JSONWriter: ~Copyable {
    /// What was written so far; the caller may take it, append to it and reset it between values.
    package var buffer: ByteBuffer
    /// Whether a space stands behind commas and colons.
    private let isSpaced: Bool
    /// Bit d: something was written already in the list that is open at depth d.
    private var begun: UInt64 = 0
    private var depth = 0
    /// For strings that have to be made contiguous before they can be looked at.
    private var scratch = ByteBuffer()

    /// Lists may be nested at most this deep; more is a programmer's error.
    /// Invariant: more than JSONReader.depthLimit, so that what was read can be written, and at
    /// most 63, the bits of `begun` but for the outermost level.
    package static let depthLimit = 63

    /// A writer with room for `capacity` bytes at first.
    package init(capacity: Int = 0, spaced: Bool = false) {
        buffer = ByteBuffer(capacity: capacity)
        isSpaced = spaced
    }

    // MARK: Lists

    /// Writes `{`; members follow.
    package mutating func beginObject() { begin(UInt8(ascii: "{")) }
    /// Writes `}`.
    package mutating func endObject() { end(UInt8(ascii: "}")) }
    /// Writes `[`; values follow.
    package mutating func beginArray() { begin(UInt8(ascii: "[")) }
    /// Writes `]`.
    package mutating func endArray() { end(UInt8(ascii: "]")) }

    /// Begins a member whose name needs no escape; its value is written next.
    package mutating func name(_ name: StaticString) {
        separate()
        buffer.append(integer: UInt8(ascii: "\""))
        buffer.append(name)
        buffer.append(integer: UInt8(ascii: "\""))
        colon()
    }

    /// Begins a member of any name.
    package mutating func name(_ name: String) {
        string(name)
        colon()
    }

    // MARK: Values

    /// Writes `null`.
    package mutating func null() {
        separate()
        buffer.append("null")
    }

    /// Writes `true` or `false`.
    package mutating func bool(_ value: Bool) {
        separate()
        if value { buffer.append("true") } else { buffer.append("false") }
    }

    /// A number in full.
    package mutating func integer(_ value: UInt64) {
        separate()
        decimal(value)
    }

    /// A number in full.
    package mutating func integer(_ value: Int) {
        separate()
        if value < 0 { buffer.append(integer: UInt8(ascii: "-")) }
        decimal(UInt64(value.magnitude))
    }

    /// A string with any scalars.
    package mutating func string(_ text: String) {
        separate()
        scratch.reset(keepingAtMost: 65_536)
        scratch.append(text)
        JSONWriter.append(allOf: scratch, to: &buffer)
    }

    /// A string of bytes that are known to be UTF-8 (`RawSpan.firstInvalidUTF8`).
    package mutating func string(utf8 bytes: RawSpan) {
        separate()
        JSONWriter.append(bytes, to: &buffer)
    }

    /// A string of eight lower-case hexadecimal digits.
    package mutating func hexadecimal(_ value: UInt32) {
        separate()
        buffer.append(integer: UInt8(ascii: "\""))
        for shift in stride(from: 28, through: 0, by: -4) {
            buffer.append(integer: JSONWriter.hexadecimalDigit(UInt8(value >> UInt32(shift) & 15)))
        }
        buffer.append(integer: UInt8(ascii: "\""))
    }

    /// A string with the base64 (RFC 4648, padded) of any bytes.
    package mutating func base64(_ bytes: RawSpan) {
        separate()
        buffer.append(integer: UInt8(ascii: "\""))
        Base64.append(bytes, to: &buffer)
        buffer.append(integer: UInt8(ascii: "\""))
    }

    /// Any value that was read.
    package mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let value): bool(value)
        case .number(let text):
            separate()
            buffer.append(text)
        case .string(let text): string(text)
        case .array(let elements):
            beginArray()
            for element in elements { self.value(element) }
            endArray()
        case .object(let members):
            beginObject()
            for member in members {
                name(member.name)
                self.value(member.value)
            }
            endObject()
        }
    }

    /// Ends a line; a new value may begin.
    package mutating func newline() {
        precondition(depth == 0, "an object or array is still open")
        buffer.append(integer: UInt8(ascii: "\n"))
        begun = 0
    }

    /// Ends the writing and gives away the buffer.
    package consuming func finish() -> ByteBuffer { buffer }

    // MARK: Separators

    private mutating func begin(_ bracket: UInt8) {
        separate()
        buffer.append(integer: bracket)
        depth += 1
        precondition(depth <= JSONWriter.depthLimit)
        begun &= ~(1 << UInt64(depth))
    }

    private mutating func end(_ bracket: UInt8) {
        precondition(depth > 0)
        depth -= 1
        buffer.append(integer: bracket)
    }

    /// Puts a comma before all but the first of a list.
    private mutating func separate() {
        let bit: UInt64 = 1 << UInt64(depth)
        if begun & bit != 0 {
            buffer.append(integer: UInt8(ascii: ","))
            if isSpaced { buffer.append(integer: UInt8(ascii: " ")) }
        }
        begun |= bit
    }

    /// Behind a name; no comma comes before the value.
    private mutating func colon() {
        buffer.append(integer: UInt8(ascii: ":"))
        if isSpaced { buffer.append(integer: UInt8(ascii: " ")) }
        begun &= ~(1 << UInt64(depth))
    }

    private mutating func decimal(_ value: UInt64) {
        var digits: [20 of UInt8] = .init(repeating: 0)
        var first = 20
        var rest = value
        repeat {
            first -= 1
            digits[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        for index in first..<20 { buffer.append(integer: digits[index]) }
    }
}

// MARK: Escapes

extension JSONWriter {
    /// Appends a quoted string. Runs that need no escape, nearly all bytes, are copied as they are.
    private static func append(_ bytes: RawSpan, to buffer: inout ByteBuffer) {
        buffer.append(integer: UInt8(ascii: "\""))
        var start = 0
        var offset = 0
        while offset < bytes.byteCount {
            while offset <= bytes.byteCount - 8, !hasSpecial(bytes.u64(at: offset)) { offset += 8 }
            guard offset < bytes.byteCount else { break }
            let byte = bytes.u8(at: offset)
            if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                buffer.append(bytes.extracting(start..<offset))
                appendEscape(byte, to: &buffer)
                start = offset + 1
            }
            offset += 1
        }
        buffer.append(bytes.extracting(start..<bytes.byteCount))
        buffer.append(integer: UInt8(ascii: "\""))
    }

    private static func append(allOf source: borrowing ByteBuffer, to buffer: inout ByteBuffer) {
        append(source.bytes, to: &buffer)
    }

    /// Whether one of eight bytes is a quote, a backslash or below 0x20. (A byte b is zero if
    /// b - 1 borrows and its own high bit was not set, and so on for `less than 0x20`.)
    @inline(__always)
    private static func hasSpecial(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        let quote = word ^ ones &* UInt64(UInt8(ascii: "\""))
        let backslash = word ^ ones &* UInt64(UInt8(ascii: "\\"))
        let found =
            (word &- ones &* 0x20) & ~word | (quote &- ones) & ~quote
            | (backslash &- ones) & ~backslash
        return found & highs != 0
    }

    private static func appendEscape(_ byte: UInt8, to buffer: inout ByteBuffer) {
        switch byte {
        case UInt8(ascii: "\""): buffer.append("\\\"")
        case UInt8(ascii: "\\"): buffer.append("\\\\")
        case 0x08: buffer.append("\\b")
        case 0x0c: buffer.append("\\f")
        case 0x0a: buffer.append("\\n")
        case 0x0d: buffer.append("\\r")
        case 0x09: buffer.append("\\t")
        default:
            buffer.append("\\u00")
            buffer.append(integer: hexadecimalDigit(byte >> 4))
            buffer.append(integer: hexadecimalDigit(byte & 15))
        }
    }

    private static func hexadecimalDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
