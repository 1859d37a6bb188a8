/// How the value of an option is written: `%` and two digits for what a field cannot hold.
public enum PercentEncoding {
    /// Whether a byte stands for itself: everything visible but the percent sign.
    static func isPlain(_ byte: UInt8) -> Bool {
        byte > UInt8(ascii: " ") && byte < 0x7F && byte != UInt8(ascii: "%")
    }

    /// How many bytes `value` takes when encoded.
    public static func length(_ value: [UInt8]) -> Int {
        var length = 0
        for byte in value { length += isPlain(byte) ? 1 : 3 }
        return length
    }

    /// Appends `value`, encoded.
    public static func append(_ value: [UInt8], to output: inout [UInt8]) {
        for byte in value {
            if isPlain(byte) {
                output.append(byte)
            } else {
                output.append(UInt8(ascii: "%"))
                output.append(digit(byte >> 4))
                output.append(digit(byte & 15))
            }
        }
    }

    /// The value that stands at `range`; nil if a percent sign is not followed by two digits.
    static func decode(_ bytes: Span<UInt8>, at range: Range<Int>) -> [UInt8]? {
        var value: [UInt8] = []
        value.reserveCapacity(range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            guard bytes[index] == UInt8(ascii: "%") else {
                value.append(bytes[index])
                index += 1
                continue
            }
            guard index + 2 < range.upperBound, let high = digit(of: bytes[index + 1]),
                let low = digit(of: bytes[index + 2])
            else { return nil }
            value.append(high << 4 | low)
            index += 3
        }
        return value
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }

    private static func digit(of byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
