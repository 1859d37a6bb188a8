internal import WAL

/// One line being made: an array, since appending single bytes to it is cheaper than to anything
/// across a module's border. It goes into the output as a whole.
struct LineBuffer {
    private(set) var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(512) }

    var count: Int { bytes.count }

    @inline(__always)
    mutating func append(_ byte: UInt8) { bytes.append(byte) }

    @inline(__always)
    mutating func append(_ text: [UInt8]) { bytes.append(contentsOf: text) }

    mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    mutating func cut(to count: Int) { bytes.removeSubrange(count...) }

    @inline(__always)
    mutating func set(_ index: Int, _ byte: UInt8) { bytes[index] = byte }

    /// Appends a number.
    mutating func append(decimal value: UInt64) {
        var digits: [20 of UInt8] = .init(repeating: 0)
        var first = 20
        var rest = value
        repeat {
            first -= 1
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            digits[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit)
            rest = quotient
        } while rest > 0
        for index in first..<20 { bytes.append(digits[index]) }
    }

    /// Writes a number over the `width` bytes before `end`, flush right. False if it does not fit.
    @inline(__always)
    mutating func put(_ value: UInt64, width: Int, endingAt end: Int) -> Bool {
        var index = end - 1
        var rest = value
        repeat {
            if index < end - width { return false }
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit)
            rest = quotient
            index -= 1
        } while rest > 0
        while index >= end - width {
            bytes[index] = UInt8(ascii: " ")
            index -= 1
        }
        return true
    }
}
