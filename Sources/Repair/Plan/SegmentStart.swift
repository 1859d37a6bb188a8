internal import WAL

/// Where a file begins that a repair makes: the position of its offset 0, and its first id.
///
/// A segment whose mark is whole begins with it. One that has lost its mark, or has bytes before
/// it, says only where its frames stand; its beginning has to be chosen so that the segment before
/// reaches it, and so that a mark and what is lost fit before the first frame that is kept.
struct SegmentStart: Hashable, Sendable {
    /// Position of offset 0; nil where nothing tells it.
    var base: UInt64?
    var firstID: UInt64

    /// Where the segment before ends as far as it is kept.
    struct Before {
        var position: UInt64
        var nextID: UInt64
        var endsInLost: Bool
    }

    private static let mark = UInt64(FrameLayout.smallestFrame)
    /// More bytes between two segments are not filled.
    private static let largestRoom = UInt64(FrameLayout.largestFrame)

    /// - Parameter before: nil for the first segment, or if nothing tells where the one before
    ///   ends.
    init(_ facts: SegmentFacts, after before: Before?) {
        self.init(base: facts.base, firstID: facts.firstID)
        guard let first = facts.runs.first else {
            // Nothing is kept that would have to stay where it is.
            if !isReached(from: before) { base = nil }
            return
        }
        guard let base = facts.base, !facts.hasMark, first.firstID >= facts.firstID else { return }
        let candidates = SegmentStart.candidates(facts, base, first, before)
        let fitting = candidates.first {
            $0.hasRoom(before: first, of: facts, at: base &+ first.start)
                && $0.isReached(from: before)
        }
        // Where nothing fits, frames have to give way: those of this segment alone.
        if let start = fitting ?? candidates.last { self = start }
    }

    init(base: UInt64?, firstID: UInt64) {
        self.base = base
        self.firstID = firstID
    }

    /// Of a segment of which nothing is kept: begins so that it ends where the next one begins, as
    /// long as it was, and with room for a mark and for what is lost.
    mutating func suit(_ next: SegmentFacts, size: UInt64, after before: Before?) {
        guard next.hasMark, let end = next.base, next.firstID >= firstID else { return }
        let fewest =
            SegmentStart.mark + GapFill.fewestBytes(forIDs: next.firstID - firstID)
        if let base, let room = SegmentStart.room(from: base, to: end), room >= fewest { return }
        for room in [max(size, fewest), fewest] where end >= room {
            base = end - room
            if isReached(from: before) { return }
        }
        base = nil
    }

    /// The best first: every frame keeps its offset, then as few ids as possible change hands.
    private static func candidates(
        _ facts: SegmentFacts, _ base: UInt64, _ first: KeptRun, _ before: Before?
    ) -> [SegmentStart] {
        let position = base &+ first.start
        let lost = first.firstID - facts.firstID
        var starts = [SegmentStart(base: base, firstID: facts.firstID)]
        // Nothing but its mark or its name says which of the lost ids were in this segment: without
        // them they may be of the one before as well.
        let isFree = !facts.nameTells && (before?.nextID ?? .max) <= facts.firstID
        if isFree, lost > 0 { starts.append(SegmentStart(base: base, firstID: facts.firstID + 1)) }
        if lost == 0 || isFree {
            if first.beginsWithMark {
                starts.append(SegmentStart(base: position, firstID: first.firstID))
            }
            starts.append(SegmentStart(base: position &- mark, firstID: first.firstID))
        }
        let fewest = mark + GapFill.fewestBytes(forIDs: lost)
        starts.append(SegmentStart(base: position &- fewest, firstID: facts.firstID))
        // The room to be filled is bounded; where more is missing, positions just go on further on.
        if let before, before.nextID <= facts.firstID,
            (SegmentStart.room(from: before.position, to: position) ?? 0) <= largestRoom
        {
            let lostBefore = GapFill.fewestBytes(forIDs: facts.firstID - before.nextID)
            starts.append(
                SegmentStart(base: before.position &+ lostBefore, firstID: facts.firstID))
            if isFree {
                starts.append(SegmentStart(base: before.position, firstID: before.nextID))
            }
        }
        return starts
    }

    /// Whether a mark and frames for what is lost are as long as what is before `first`.
    private func hasRoom(before first: KeptRun, of facts: SegmentFacts, at position: UInt64) -> Bool
    {
        guard let base, first.firstID >= firstID,
            let room = SegmentStart.room(before: position, from: base, in: facts)
        else { return false }
        let lost = first.firstID - firstID
        if room == 0 { return first.beginsWithMark && lost == 0 }
        guard room >= SegmentStart.mark else { return false }
        let anywhere = FrameEncoder.Place(id: firstID, position: base, timestamp: 0)
        return GapFill.pieces(bytes: room - SegmentStart.mark, ids: lost, at: anywhere) != nil
    }

    /// Bytes to fill within a segment; nil if there are none such, or more than a segment of this
    /// size can have had there.
    static func room(
        before position: UInt64, from end: UInt64, in facts: SegmentFacts
    ) -> UInt64? {
        let room = position &- end
        return room <= max(facts.size, largestRoom) ? room : nil
    }

    /// Whether the segment before can be made to end here, with all of its frames.
    private func isReached(from before: Before?) -> Bool {
        guard let before, let base else { return true }
        guard firstID >= before.nextID,
            let room = SegmentStart.room(from: before.position, to: base)
        else { return false }
        let lost = firstID - before.nextID
        if lost > 0 { return room >= GapFill.fewestBytes(forIDs: lost) }
        return room == 0 || before.endsInLost
            || room <= SegmentStart.largestRoom && room % SegmentStart.mark == 0
    }

    /// Bytes from the end of a segment to where the next one begins; nil if that is before.
    static func room(from end: UInt64, to position: UInt64) -> UInt64? {
        position >= end ? position - end : nil
    }
}
