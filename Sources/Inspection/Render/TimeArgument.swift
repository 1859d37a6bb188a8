/// A time as it is given on a command line: RFC 3339 (`2026-11-23T04:09:00Z`, a date alone is its
/// midnight in UTC), nanoseconds since 1970, or a duration before now (`10m`, `1h30m`).
package enum TimeArgument {
    /// Nanoseconds since 1970; nil if it is none of these or lies outside of what a frame can say.
    package static func parse(_ text: String, now: UInt64) -> UInt64? {
        let bytes = Array(text.utf8)
        guard let last = bytes.last else { return nil }
        if bytes.allSatisfy(isDigit) { return UInt64(text) }
        if bytes.count >= 10, bytes[4] == UInt8(ascii: "-") { return rfc3339(bytes) }
        guard !isDigit(last), let ago = duration(bytes) else { return nil }
        return now >= ago ? now - ago : 0
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    // MARK: Durations

    private static let units: [(name: String, nanoseconds: UInt64)] = [
        ("ns", 1), ("us", 1000), ("ms", 1_000_000), ("s", 1_000_000_000),
        ("m", 60_000_000_000), ("h", 3_600_000_000_000), ("d", 86_400_000_000_000),
        ("w", 604_800_000_000_000),
    ]

    private static func duration(_ bytes: [UInt8]) -> UInt64? {
        var total: UInt64 = 0
        var rest = bytes[...]
        while !rest.isEmpty {
            let digits = rest.prefix(while: isDigit)
            rest = rest.dropFirst(digits.count)
            let letters = rest.prefix { !isDigit($0) }
            rest = rest.dropFirst(letters.count)
            let name = String(decoding: letters, as: UTF8.self)
            guard let number = UInt64(String(decoding: digits, as: UTF8.self)),
                let unit = units.first(where: { $0.name == name })
            else { return nil }
            let part = number.multipliedReportingOverflow(by: unit.nanoseconds)
            let sum = total.addingReportingOverflow(part.partialValue)
            guard !part.overflow, !sum.overflow else { return nil }
            total = sum.partialValue
        }
        return total
    }

    // MARK: RFC 3339

    private static func rfc3339(_ bytes: [UInt8]) -> UInt64? {
        var cursor = Cursor(bytes)
        guard let year = cursor.number(4), cursor.take("-"), let month = cursor.number(2),
            cursor.take("-"), let day = cursor.number(2)
        else { return nil }
        let date = CivilDate(year: year, month: month, day: day)
        guard date.exists else { return nil }
        if cursor.isAtEnd { return time(date, 0, 0, 0, 0, 0) }
        guard cursor.take("T") || cursor.take("t") || cursor.take(" "),
            let hour = cursor.number(2), cursor.take(":"), let minute = cursor.number(2),
            cursor.take(":"), let second = cursor.number(2),
            // 60 is a leap second; our clock counts the one behind it twice.
            hour < 24, minute < 60, second <= 60
        else { return nil }
        var fraction: Int64 = 0
        if cursor.take(".") {
            guard let nanoseconds = cursor.fraction() else { return nil }
            fraction = nanoseconds
        }
        guard let shift = offset(&cursor), cursor.isAtEnd else { return nil }
        return time(date, hour, minute, second, fraction, shift)
    }

    /// Seconds that the local time is ahead of UTC.
    private static func offset(_ cursor: inout Cursor) -> Int64? {
        if cursor.take("Z") || cursor.take("z") { return 0 }
        let isAhead = cursor.take("+")
        guard isAhead || cursor.take("-"), let hour = cursor.number(2), cursor.take(":"),
            let minute = cursor.number(2), hour < 24, minute < 60
        else { return nil }
        let seconds = hour * 3600 + minute * 60
        return isAhead ? seconds : -seconds
    }

    private static func time(
        _ date: CivilDate, _ hour: Int64, _ minute: Int64, _ second: Int64, _ fraction: Int64,
        _ shift: Int64
    ) -> UInt64? {
        let seconds = date.daysSince1970 * 86_400 + hour * 3600 + minute * 60 + second - shift
        guard seconds >= 0 else { return nil }
        let whole = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let sum = whole.partialValue.addingReportingOverflow(UInt64(fraction))
        return whole.overflow || sum.overflow ? nil : sum.partialValue
    }

    private struct Cursor {
        private let bytes: [UInt8]
        private var index = 0

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { index == bytes.count }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard index < bytes.count, bytes[index] == UInt8(ascii: character) else {
                return false
            }
            index += 1
            return true
        }

        mutating func number(_ digits: Int) -> Int64? {
            guard bytes.count - index >= digits else { return nil }
            var value: Int64 = 0
            for byte in bytes[index..<index + digits] {
                guard isDigit(byte) else { return nil }
                value = value * 10 + Int64(byte - UInt8(ascii: "0"))
            }
            index += digits
            return value
        }

        /// Nanoseconds; digits behind the ninth are left out.
        mutating func fraction() -> Int64? {
            let digits = bytes[index...].prefix(while: isDigit)
            guard !digits.isEmpty else { return nil }
            index += digits.count
            var value: Int64 = 0
            for place in 0..<9 {
                let digit = place < digits.count ? digits[digits.startIndex + place] : 0x30
                value = value * 10 + Int64(digit - 0x30)
            }
            return value
        }
    }
}
