internal import WAL

/// Tells the segments of another log by their positions.
///
/// A log begins at a position chosen at random below 2^62, and grows by no more than a frame of the
/// largest size for each id. So two segments whose positions are further apart than their ids allow
/// are not of the same log, whatever their names. Which of the two belongs here nobody can say; of
/// three, the two that go together do.
enum Strangers {
    /// More bytes than marks and what a repair has put there ever take, and next to nothing of
    /// 2^62.
    private static let slack: UInt64 = 1 << 30

    /// The files of segments that are another log's; `sorted` are in the order of their ids.
    static func files(_ sorted: [SegmentFacts]) -> Set<SegmentName> {
        var families: [[SegmentFacts]] = []
        var last: Int?
        for segment in sorted where segment.base != nil && !segment.runs.isEmpty {
            let index: Int
            if let last, let before = families[last].last, goesOnBehindLost(before, segment) {
                index = last
            } else {
                index =
                    families.firstIndex { family in
                        family.last.map { isNear($0, segment) } ?? false
                    } ?? families.count
            }
            if index == families.count { families.append([]) }
            families[index].append(segment)
            last = index
        }
        guard families.count > 1 else { return [] }
        let ranked = families.sorted { weight($0) > weight($1) }
        guard ranked[0].count > ranked[1].count else {
            // One against one: they stay as long as they can be joined.
            return ranked.count == 2 ? overlapping(ranked) : []
        }
        return Set(ranked.dropFirst().joined().map(\.file))
    }

    /// `segment.log` if it has ids that a sealed segment of another log has as well.
    private static func overlapping(_ families: [[SegmentFacts]]) -> Set<SegmentName> {
        guard let own = families.first(where: { $0.allSatisfy(\.isSealed) }),
            let other = families.first(where: { !$0.allSatisfy(\.isSealed) }),
            other.count == 1, let active = other.first, let last = own.last,
            active.keptFirstID < last.keptNextID
        else { return [] }
        return [active.file]
    }

    private static func weight(_ family: [SegmentFacts]) -> (Int, UInt64) {
        (family.count, family.reduce(0) { $0 + $1.messages })
    }

    /// Whether both may be of one log: the first one has the lower ids.
    private static func isNear(_ segment: SegmentFacts, _ next: SegmentFacts) -> Bool {
        guard let from = segment.keptFrom, let start = next.keptFrom else { return true }
        if start < from { return from - start <= slack }
        let ids = next.keptFirstID - min(segment.keptFirstID, next.keptFirstID)
        let (most, isBeyond) = GapFill.mostBytes(forIDs: ids).addingReportingOverflow(slack)
        return isBeyond || start - from <= most
    }

    /// Behind a `lost` frame a segment may begin anywhere further on: so a repair may have joined
    /// two.
    private static func goesOnBehindLost(_ segment: SegmentFacts, _ next: SegmentFacts) -> Bool {
        guard let end = segment.keptEnd, let start = next.keptFrom else { return false }
        return segment.runs.last?.endsInLost == true && segment.keptNextID == next.keptFirstID
            && start >= end
    }
}
