internal import WAL

/// Reads JSON piece by piece, as its caller expects it: nothing is built that was not asked for.
///
/// Strict: RFC 8259, valid UTF-8 throughout, no duplicate members (compared by their bytes), no
/// lone surrogates, no nesting deeper than `depthLimit`, nothing behind the value.
package struct JSONReader: ~Escapable {
    /// How deep objects and arrays may be nested, the outermost included.
    package static let depthLimit = 32

    /// An object or array that was begun.
    private struct Level {
        var isFirst = true
        /// The names so far; nil for an array.
        var names: Set<[UInt8]>?
    }

    private let bytes: RawSpan
    private var levels: [Level] = []
    /// Where the next byte is read.
    package private(set) var offset = 0
    /// Where the last member or element began that `nextMember` or `nextElement` found.
    package private(set) var itemOffset = 0

    /// Begins to read `bytes`, after all of them were checked to be UTF-8.
    @_lifetime(copy bytes)
    package init(_ bytes: RawSpan) throws(JSONError) {
        self.bytes = bytes
        if let invalid = bytes.firstInvalidUTF8 {
            throw JSONError(offset: invalid, reason: .syntax("not valid UTF-8"))
        }
    }

    // MARK: Objects and arrays

    /// Reads `{`.
    @_lifetime(self: copy self)
    package mutating func beginObject() throws(JSONError) {
        try begin(UInt8(ascii: "{"), "an object", Level(names: []))
    }

    /// Reads `[`.
    @_lifetime(self: copy self)
    package mutating func beginArray() throws(JSONError) {
        try begin(UInt8(ascii: "["), "an array", Level(names: nil))
    }

    /// Reads up to the value of the next member and gives its name; nil where the object ends.
    @_lifetime(self: copy self)
    package mutating func nextMember() throws(JSONError) -> String? {
        guard try nextItem(UInt8(ascii: "}")) else { return nil }
        let start = itemOffset
        let name = try string()
        guard levels[levels.count - 1].names?.insert(Array(name.utf8)).inserted == true else {
            throw JSONError(offset: start, reason: .syntax("a member that was there already"))
        }
        skipSpace()
        try expect(UInt8(ascii: ":"), "a colon")
        skipSpace()
        return name
    }

    /// Reads up to the next element; false where the array ends.
    @_lifetime(self: copy self)
    package mutating func nextElement() throws(JSONError) -> Bool {
        try nextItem(UInt8(ascii: "]"))
    }

    /// Makes sure that nothing but white space follows.
    @_lifetime(self: copy self)
    package mutating func end() throws(JSONError) {
        precondition(levels.isEmpty)
        skipSpace()
        guard offset == bytes.byteCount else { throw syntax("something behind the value") }
    }

    @_lifetime(self: copy self)
    private mutating func begin(
        _ bracket: UInt8, _ what: String, _ level: Level
    ) throws(JSONError) {
        skipSpace()
        guard levels.count < JSONReader.depthLimit else {
            throw syntax("nested deeper than \(JSONReader.depthLimit)")
        }
        guard next == bracket else { throw wrong(what) }
        offset += 1
        levels.append(level)
    }

    @_lifetime(self: copy self)
    private mutating func nextItem(_ bracket: UInt8) throws(JSONError) -> Bool {
        skipSpace()
        if next == bracket {
            offset += 1
            levels.removeLast()
            return false
        }
        if levels[levels.count - 1].isFirst {
            levels[levels.count - 1].isFirst = false
        } else {
            try expect(UInt8(ascii: ","), "a comma or the end of the list")
            skipSpace()
        }
        itemOffset = offset
        return true
    }

    // MARK: Values

    /// Reads any value.
    @_lifetime(self: copy self)
    package mutating func value() throws(JSONError) -> JSONValue {
        skipSpace()
        switch next {
        case UInt8(ascii: "{"):
            var members: [JSONMember] = []
            try beginObject()
            while let name = try nextMember() {
                members.append(JSONMember(name: name, value: try value()))
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            try beginArray()
            while try nextElement() { elements.append(try value()) }
            return .array(elements)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool(try bool())
        case UInt8(ascii: "n"):
            guard skip("null") else { throw syntax("not a value") }
            return .null
        default: return .number(try number())
        }
    }

    /// Reads `null` if it is what follows.
    @_lifetime(self: copy self)
    package mutating func null() -> Bool {
        skipSpace()
        return skip("null")
    }

    /// Reads `true` or `false`.
    @_lifetime(self: copy self)
    package mutating func bool() throws(JSONError) -> Bool {
        skipSpace()
        if skip("true") { return true }
        if skip("false") { return false }
        throw wrong("true or false")
    }

    /// Reads an integer from 0 to 2^64 - 1, exactly.
    @_lifetime(self: copy self)
    package mutating func integer() throws(JSONError) -> UInt64 {
        skipSpace()
        let start = offset
        var value: UInt64 = 0
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            let (tens, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            if over || carry { break }
            value = sum
            offset += 1
        }
        // What a number may still go on with makes it another one than those digits say.
        let isLonger = next.map { JSONReader.isPartOfNumber($0) } ?? false
        let isPadded = offset - start > 1 && bytes.u8(at: start) == UInt8(ascii: "0")
        guard offset > start, !isLonger, !isPadded else {
            offset = start
            throw wrong("an integer from 0 to 2^64 - 1")
        }
        return value
    }

    private static func isPartOfNumber(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "e"),
            UInt8(ascii: "E"):
            true
        default: false
        }
    }

    /// Reads a number as its text.
    @_lifetime(self: copy self)
    package mutating func number() throws(JSONError) -> String {
        let start = offset
        if next == UInt8(ascii: "-") { offset += 1 }
        if next == UInt8(ascii: "0") {
            offset += 1
        } else {
            try digits("a value")
        }
        if next == UInt8(ascii: ".") {
            offset += 1
            try digits("a digit")
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            offset += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
            try digits("a digit")
        }
        return text(start..<offset)
    }

    @_lifetime(self: copy self)
    private mutating func digits(_ what: String) throws(JSONError) {
        let start = offset
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            offset += 1
        }
        if offset == start { throw syntax("not \(what)") }
    }
}

// MARK: Strings

extension JSONReader {
    /// Reads a string.
    @_lifetime(self: copy self)
    package mutating func string() throws(JSONError) -> String {
        guard next == UInt8(ascii: "\"") else { throw wrong("a string") }
        offset += 1
        var start = offset
        var scalars = String.UnicodeScalarView()
        var isPlain = true
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                let tail = text(start..<offset)
                offset += 1
                if isPlain { return tail }
                scalars.append(contentsOf: tail.unicodeScalars)
                return String(scalars)
            case UInt8(ascii: "\\"):
                scalars.append(contentsOf: text(start..<offset).unicodeScalars)
                isPlain = false
                offset += 1
                scalars.append(try escaped())
                start = offset
            case 0..<0x20: throw syntax("a control character in a string")
            default: offset += 1
            }
        }
        throw syntax("the end inside a string")
    }

    /// Reads what follows a backslash.
    @_lifetime(self: copy self)
    private mutating func escaped() throws(JSONError) -> Unicode.Scalar {
        guard let byte = next else { throw syntax("the end inside a string") }
        let scalar: Unicode.Scalar
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"):
            scalar = Unicode.Scalar(byte)
        case UInt8(ascii: "b"): scalar = "\u{8}"
        case UInt8(ascii: "f"): scalar = "\u{c}"
        case UInt8(ascii: "n"): scalar = "\n"
        case UInt8(ascii: "r"): scalar = "\r"
        case UInt8(ascii: "t"): scalar = "\t"
        case UInt8(ascii: "u"): return try escapedScalar()
        default: throw syntax("an escape that JSON does not have")
        }
        offset += 1
        return scalar
    }

    /// Reads `u` and four digits, twice where they are the halves of one scalar.
    @_lifetime(self: copy self)
    private mutating func escapedScalar() throws(JSONError) -> Unicode.Scalar {
        let start = offset - 1
        let first = try codeUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        let lone = JSONError(offset: start, reason: .syntax("half a surrogate pair"))
        guard (0xd800...0xdbff).contains(first), next == UInt8(ascii: "\\") else { throw lone }
        offset += 1
        guard next == UInt8(ascii: "u") else { throw lone }
        let second = try codeUnit()
        guard (0xdc00...0xdfff).contains(second) else { throw lone }
        let number = 0x10000 + (UInt32(first) - 0xd800) << 10 + (UInt32(second) - 0xdc00)
        guard let scalar = Unicode.Scalar(number) else { throw lone }
        return scalar
    }

    @_lifetime(self: copy self)
    private mutating func codeUnit() throws(JSONError) -> UInt16 {
        offset += 1
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue,
                byte < 0x80
            else { throw syntax("not four hexadecimal digits") }
            value = value << 4 | UInt16(digit)
            offset += 1
        }
        return value
    }
}

// MARK: Bytes

extension JSONReader {
    /// The next byte; nil at the end.
    private var next: UInt8? { offset < bytes.byteCount ? bytes.u8(at: offset) : nil }

    @_lifetime(self: copy self)
    private mutating func skipSpace() {
        while let byte = next,
            byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09
        {
            offset += 1
        }
    }

    @_lifetime(self: copy self)
    private mutating func expect(_ byte: UInt8, _ what: String) throws(JSONError) {
        guard next == byte else { throw syntax("not \(what)") }
        offset += 1
    }

    @_lifetime(self: copy self)
    private mutating func skip(_ word: String) -> Bool {
        let utf8 = word.utf8
        guard bytes.byteCount - offset >= utf8.count else { return false }
        var cursor = offset
        for byte in utf8 {
            guard bytes.u8(at: cursor) == byte else { return false }
            cursor += 1
        }
        offset = cursor
        return true
    }

    /// Bytes that are known to be UTF-8 and to begin and end between scalars.
    private func text(_ range: Range<Int>) -> String {
        String(decoding: bytes.extracting(range).copied(), as: UTF8.self)
    }

    private func syntax(_ text: String) -> JSONError {
        JSONError(
            offset: offset, reason: .syntax(next == nil ? "the end too early (\(text))" : text))
    }

    /// What follows may be JSON, but it is not what the reader asks for.
    private func wrong(_ what: String) -> JSONError {
        next == nil
            ? syntax("not \(what)") : JSONError(offset: offset, reason: .meaning("not \(what)"))
    }
}
