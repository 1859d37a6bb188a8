/// Counts of sizes in buckets whose width is at most a sixteenth of the size.
struct SizeHistogram {
    private var counts = [UInt64](repeating: 0, count: 16 * 61)
    private var total: UInt64 = 0
    private(set) var smallest: Int?
    private(set) var largest: Int?

    mutating func add(_ size: Int) {
        counts[SizeHistogram.bucket(size)] += 1
        total += 1
        smallest = min(smallest ?? size, size)
        largest = max(largest ?? size, size)
    }

    /// A size that so large a part of all does not exceed; nil without any.
    func quantile(_ part: Double) -> Int? {
        guard let smallest, let largest else { return nil }
        let wanted = (Double(total) * part).rounded(.up)
        var seen: UInt64 = 0
        for (bucket, count) in counts.enumerated() {
            seen += count
            if Double(seen) >= wanted, count > 0 {
                return min(max(SizeHistogram.upperBound(bucket), smallest), largest)
            }
        }
        return largest
    }

    private static func bucket(_ size: Int) -> Int {
        if size < 16 { return size }
        let exponent = Int.bitWidth - 1 - size.leadingZeroBitCount
        return (exponent - 3) * 16 + (size >> (exponent - 4)) - 16
    }

    private static func upperBound(_ bucket: Int) -> Int {
        if bucket < 16 { return bucket }
        let exponent = bucket / 16 + 3
        return ((bucket % 16 + 17) << (exponent - 4)) - 1
    }
}
