/// The ids of messages, as ranges: memory grows with the places where none is, not with the log.
struct MessageIDs: Hashable, Sendable {
    /// Ascending and apart from each other once `sort` was called.
    private(set) var ranges: [ClosedRange<UInt64>] = []

    mutating func insert(_ id: UInt64) {
        if let last = ranges.last, last.upperBound < .max, last.upperBound + 1 == id {
            ranges[ranges.count - 1] = last.lowerBound...id
        } else {
            ranges.append(id...id)
        }
    }

    /// Puts the ranges in order and joins those that touch.
    mutating func sort() {
        var sorted: [ClosedRange<UInt64>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = sorted.last, range.lowerBound <= last.upperBound || last.touches(range) {
                sorted[sorted.count - 1] =
                    last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                sorted.append(range)
            }
        }
        ranges = sorted
    }

    /// The ranges of what is here and not there. Both are sorted.
    func subtracting(_ other: MessageIDs) -> [ClosedRange<UInt64>] {
        var left: [ClosedRange<UInt64>] = []
        var next = other.ranges[...]
        for range in ranges {
            var first = range.lowerBound
            while let taken = next.first, taken.upperBound < first { next.removeFirst() }
            var isUsedUp = false
            for taken in next {
                guard taken.lowerBound <= range.upperBound else { break }
                if taken.lowerBound > first { left.append(first...taken.lowerBound - 1) }
                guard taken.upperBound < range.upperBound else {
                    isUsedUp = true
                    break
                }
                first = max(first, taken.upperBound + 1)
            }
            if !isUsedUp { left.append(first...range.upperBound) }
        }
        return left
    }
}

extension ClosedRange<UInt64> {
    /// Whether no id is between two ranges.
    func touches(_ other: ClosedRange<UInt64>) -> Bool {
        if other.lowerBound > upperBound { return other.lowerBound - upperBound == 1 }
        if lowerBound > other.upperBound { return lowerBound - other.upperBound == 1 }
        return true
    }
}
