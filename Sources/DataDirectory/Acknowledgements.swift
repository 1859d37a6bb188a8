public import WAL

/// Which messages of a topic one consumer is done with.
///
/// Nearly always that is everything up to some id, and a few ranges above it. Each operation costs
/// a binary search and, inside the ranges, moving those behind; advancing over the lowest range
/// costs nothing for the others.
public struct Acknowledgements: Hashable, Sendable {
    /// The highest id such that it and all before it are acknowledged; nil if id 0 is not.
    public private(set) var acked: MessageID?

    /// Invariant: ascending, each begins at least two above the end of the one before it, the
    /// first at least two above `acked` (at least 1 where that is nil), none ends in 2^64 - 1.
    private var ranges: ArraySlice<ClosedRange<MessageID>> = []

    /// Nothing is acknowledged.
    public init() {}

    /// The acknowledged ranges beyond `acked`: ascending, apart.
    public var above: [ClosedRange<MessageID>] { Array(ranges) }

    /// The lowest id that is not acknowledged.
    public var firstUnacknowledged: MessageID { acked.map(\.successor) ?? MessageID(0) }

    /// The highest acknowledged id; nil if there is none.
    public var highest: MessageID? { ranges.last?.upperBound ?? acked }

    /// How many ids below `end` are not acknowledged.
    public func unacknowledged(below end: MessageID) -> UInt64 {
        guard firstUnacknowledged < end else { return 0 }
        var count = end.rawValue - firstUnacknowledged.rawValue
        for range in ranges where range.lowerBound < end {
            count -= min(range.upperBound.successor, end).rawValue - range.lowerBound.rawValue
        }
        return count
    }

    /// Whether `id` is acknowledged.
    public func isAcknowledged(_ id: MessageID) -> Bool {
        if let acked, id <= acked { return true }
        let index = firstRange(endingAtOrAbove: id)
        return index < ranges.endIndex && ranges[index].contains(id)
    }

    /// The lowest id that is at least `id` and not acknowledged.
    public func firstUnacknowledged(from id: MessageID) -> MessageID {
        let start = max(id, firstUnacknowledged)
        let index = firstRange(endingAtOrAbove: start)
        guard index < ranges.endIndex, ranges[index].contains(start) else { return start }
        return ranges[index].upperBound.successor
    }

    /// Acknowledges one id; false if it was acknowledged already. 2^64 - 1 is no message's id.
    @discardableResult
    public mutating func acknowledge(_ id: MessageID) -> Bool {
        if isAcknowledged(id) { return false }
        acknowledge(id...id)
        return true
    }

    /// Acknowledges a whole range, whatever of it was acknowledged already: also for ids that are
    /// lost or were dropped, which nobody can be asked to acknowledge. It may not end in 2^64 - 1.
    public mutating func acknowledge(_ ids: ClosedRange<MessageID>) {
        precondition(ids.upperBound.rawValue < .max, "2^64 - 1 is no message's id")
        let start = max(ids.lowerBound, firstUnacknowledged)
        guard start <= ids.upperBound else { return }
        if start == firstUnacknowledged {
            advance(to: ids.upperBound)
        } else {
            insert(start...ids.upperBound)
        }
    }

    /// Acknowledges every id below `id`, as when a log begins there.
    public mutating func acknowledge(below id: MessageID) {
        guard id.rawValue > 0 else { return }
        acknowledge(MessageID(0)...MessageID(id.rawValue - 1))
    }

    /// Moves `acked` to `id` or, where ranges join up with it, beyond.
    private mutating func advance(to id: MessageID) {
        var end = id
        while let range = ranges.first, range.lowerBound <= end.successor {
            end = max(end, range.upperBound)
            // Constant: a slice forgets its first element and moves nothing.
            ranges.removeFirst()
        }
        acked = end
    }

    /// Puts a range beyond `acked` in its place, in one with all that it touches.
    private mutating func insert(_ ids: ClosedRange<MessageID>) {
        // The one before it is touched if it ends right before the first id, which is above 0.
        let first = firstRange(endingAtOrAbove: MessageID(ids.lowerBound.rawValue - 1))
        var (low, high) = (ids.lowerBound, ids.upperBound)
        var end = first
        while end < ranges.endIndex, ranges[end].lowerBound <= ids.upperBound.successor {
            low = min(low, ranges[end].lowerBound)
            high = max(high, ranges[end].upperBound)
            end += 1
        }
        ranges.replaceSubrange(first..<end, with: CollectionOfOne(low...high))
    }

    /// Appends a range as it was read; false if it is not beyond all before it and apart.
    package mutating func append(_ ids: ClosedRange<MessageID>) -> Bool {
        guard ids.upperBound.rawValue < .max else { return false }
        // Apart: one id at least is missing between.
        guard let end = highest else {
            guard ids.lowerBound.rawValue > 0 else { return false }
            ranges.append(ids)
            return true
        }
        guard ids.lowerBound > end.successor else { return false }
        ranges.append(ids)
        return true
    }

    private func firstRange(endingAtOrAbove id: MessageID) -> Int {
        var low = ranges.startIndex
        var high = ranges.endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if ranges[middle].upperBound < id { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension MessageID {
    /// The next id. Only for ids of messages: 2^64 - 1 is none.
    fileprivate var successor: MessageID { MessageID(rawValue + 1) }
}
