/// Writes times as RFC 3339 in UTC with nanoseconds: `2026-11-23T04:09:00.123456789Z`.
///
/// The frames of a commit have one time, and those of a second one date: both are kept.
package struct TimestampText: Sendable {
    /// Bytes of the text, the same for every time below the year 10000.
    package static let count = 30

    /// The text of the last time that was asked for.
    package private(set) var text = [UInt8]("1970-01-01T00:00:00.000000000Z".utf8)
    private var nanoseconds: UInt64 = 0
    private var second: UInt64 = 0

    package init() {}

    /// Makes `text` that of a time, in nanoseconds since 1970. False if it was already.
    @inline(__always)
    package mutating func set(_ time: UInt64) -> Bool {
        if time == nanoseconds { return false }
        nanoseconds = time
        let (seconds, rest) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
        if seconds != second {
            second = seconds
            setDate(seconds)
        }
        put(rest, digits: 9, at: 20)
        return true
    }

    private mutating func setDate(_ seconds: UInt64) {
        let day = seconds / 86_400
        let time = seconds % 86_400
        let date = CivilDate(daysSince1970: Int64(day))
        put(UInt64(date.year), digits: 4, at: 0)
        put(UInt64(date.month), digits: 2, at: 5)
        put(UInt64(date.day), digits: 2, at: 8)
        put(time / 3600, digits: 2, at: 11)
        put(time / 60 % 60, digits: 2, at: 14)
        put(time % 60, digits: 2, at: 17)
    }

    private mutating func put(_ value: UInt64, digits: Int, at start: Int) {
        var rest = value
        for index in stride(from: start + digits - 1, through: start, by: -1) {
            text[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }

    /// The text of one time.
    package static func string(_ time: UInt64) -> String {
        var text = TimestampText()
        _ = text.set(time)
        return String(decoding: text.text, as: UTF8.self)
    }
}

/// A day of the proleptic Gregorian calendar. Counted in eras of 400 years that begin with 1 March,
/// so that the leap day is the last of its year (after H. Hinnant, "chrono-compatible low-level
/// date algorithms").
package struct CivilDate: Hashable, Sendable {
    package let year: Int64
    /// 1 to 12
    package let month: Int64
    /// 1 to 31
    package let day: Int64

    package init(year: Int64, month: Int64, day: Int64) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// A day from 1970 on.
    package init(daysSince1970 days: Int64) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Days since 1970; negative before. The year is from 0 to 9999.
    package var daysSince1970: Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        // Year -1 (for the first months of year 0) belongs to the era before.
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// Whether there is such a day.
    package var exists: Bool {
        guard (1...12).contains(month), day >= 1 else { return false }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths: [12 of Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return day <= lengths[Int(month - 1)]
    }
}
