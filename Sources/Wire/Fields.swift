/// The fields of a line: what stands between runs of spaces.
struct Fields: ~Escapable {
    private let bytes: Span<UInt8>
    private var position: Int
    private let end: Int

    /// The fields of `bytes` from `start` to `end`, which is where the line's content ends.
    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) {
        self.bytes = bytes
        self.position = start
        self.end = end
    }

    /// The next field; nil at the end of the line.
    @_lifetime(self: copy self)
    mutating func next() -> Range<Int>? {
        while position < end, bytes[position] == UInt8(ascii: " ") { position += 1 }
        guard position < end else { return nil }
        let start = position
        while position < end, bytes[position] != UInt8(ascii: " ") { position += 1 }
        return start..<position
    }

    /// The same place in the same line.
    @_lifetime(copy self)
    borrowing func duplicate() -> Fields { Fields(bytes, position, end) }

    /// Whether there is no field left.
    @_lifetime(self: copy self)
    mutating func isAtEnd() -> Bool {
        while position < end, bytes[position] == UInt8(ascii: " ") { position += 1 }
        return position == end
    }
}

/// Where the first line of some bytes is.
enum LineScan {
    /// `content` without its end, and where the next line begins.
    case line(content: Range<Int>, next: Int)
    /// No end of a line yet.
    case incomplete
    /// Longer than the limit, whether it ends or not.
    case tooLong

    /// Looks for the end of the first line of `bytes`, of which `searched` hold none.
    static func first(_ bytes: Span<UInt8>, limit: Int, searched: Int) -> LineScan {
        // The content may be as long as the limit, and an end of two bytes follows it.
        let stop = min(bytes.count, limit + 2)
        var index = searched
        while index < stop, bytes[index] != UInt8(ascii: "\n") { index += 1 }
        guard index < stop else {
            let mayEnd = stop <= limit || stop == limit + 1 && bytes[limit] == UInt8(ascii: "\r")
            return mayEnd ? .incomplete : .tooLong
        }
        var end = index
        if end > 0, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
        return end > limit ? .tooLong : .line(content: 0..<end, next: index + 1)
    }
}

extension Span<UInt8> {
    /// Whether the bytes at `range` are `text`.
    func holds(_ text: StaticString, at range: Range<Int>) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        return text.withUTF8Buffer { letters in
            for index in 0..<letters.count
            where unsafe letters[index] != self[range.lowerBound + index] { return false }
            return true
        }
    }

    /// Whether the bytes at `range` begin with `text`.
    func begins(with text: StaticString, at range: Range<Int>) -> Bool {
        let count = text.utf8CodeUnitCount
        guard range.count >= count else { return false }
        return holds(text, at: range.lowerBound..<range.lowerBound + count)
    }

    /// The number written at `range`: 1 to 20 digits that fit 64 bits.
    func number(at range: Range<Int>) -> UInt64? {
        guard (1...20).contains(range.count) else { return nil }
        var value: UInt64 = 0
        for index in range {
            let byte = self[index]
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        return value
    }

    /// Where `byte` is first within `range`.
    func firstIndex(of byte: UInt8, in range: Range<Int>) -> Int? {
        for index in range where self[index] == byte { return index }
        return nil
    }

    /// A copy of the bytes at `range`.
    public func copied(_ range: Range<Int>) -> [UInt8] {
        var copy: [UInt8] = []
        copy.reserveCapacity(range.count)
        for index in range { copy.append(self[index]) }
        return copy
    }

    /// The text of the bytes at `range`; what is no UTF-8 is replaced.
    public func text(_ range: Range<Int>) -> String {
        String(decoding: copied(range), as: UTF8.self)
    }

    /// Whether the bytes at `range` are those of `other`.
    public func holds(_ other: [UInt8], at range: Range<Int>) -> Bool {
        guard range.count == other.count else { return false }
        for index in 0..<other.count where self[range.lowerBound + index] != other[index] {
            return false
        }
        return true
    }
}
