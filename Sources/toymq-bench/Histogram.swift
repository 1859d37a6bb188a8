import JSONText

/// Counts of durations in nanoseconds, in buckets at most 1.6 % wide: memory does not grow with
/// the number of messages.
struct Histogram: Sendable {
    /// Each power of two is divided into this many buckets.
    private static let steps: UInt64 = 64
    private static let stepBits = 6
    /// Durations of more than 2^42 ns, over an hour, all count as that.
    private static let highestBit = 42

    private var counts = [UInt64](
        repeating: 0, count: (Histogram.highestBit - Histogram.stepBits + 2) * 64)
    private(set) var count: UInt64 = 0
    /// The longest, exactly.
    private(set) var longest: UInt64 = 0

    mutating func record(_ nanoseconds: UInt64, times: Int = 1) {
        counts[Histogram.bucket(nanoseconds)] += UInt64(times)
        count += UInt64(times)
        longest = max(longest, nanoseconds)
    }

    mutating func add(_ other: Histogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
        count += other.count
        longest = max(longest, other.longest)
    }

    /// The duration that a `share` of all did not exceed; nil if there are none.
    func percentile(_ share: Double) -> UInt64? {
        guard count > 0 else { return nil }
        let wanted = UInt64((Double(count) * share).rounded(.up))
        var seen: UInt64 = 0
        for (index, number) in counts.enumerated() {
            seen += number
            if seen >= wanted { return min(Histogram.upperBound(index), longest) }
        }
        return longest
    }

    private static func bucket(_ value: UInt64) -> Int {
        guard value >= steps else { return Int(value) }
        let bit = min(63 - value.leadingZeroBitCount, highestBit)
        guard bit < highestBit else { return (highestBit - stepBits + 2) * Int(steps) - 1 }
        let step = value >> UInt64(bit - stepBits) & (steps - 1)
        return (bit - stepBits + 1) * Int(steps) + Int(step)
    }

    private static func upperBound(_ index: Int) -> UInt64 {
        guard index >= Int(steps) else { return UInt64(index) }
        let shift = index / Int(steps) - 1
        let step = UInt64(index % Int(steps))
        return (steps + step + 1) << UInt64(shift) - 1
    }
}

/// The middle of some figures, and how far they reach.
struct Spread: Sendable {
    let median: Double
    let least: Double
    let most: Double

    /// Of at least one figure.
    init(_ figures: [Double]) {
        precondition(!figures.isEmpty)
        let sorted = figures.sorted()
        let middle = sorted.count / 2
        median =
            sorted.count.isMultiple(of: 2)
            ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
        least = sorted[0]
        most = sorted[sorted.count - 1]
    }

    var json: JSON {
        .object([("median", .number(median)), ("min", .number(least)), ("max", .number(most))])
    }
}
