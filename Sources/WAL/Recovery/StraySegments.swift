/// Files under a sealed name that belong to no place of the log, and hide none of it.
///
/// A name above the id that the mark of `segment.log` has is that of no segment: the log went on in
/// `segment.log` there. Where such a file holds messages they are held against those; where it is
/// empty, or holds marks only, there is nothing to hold against anything. It stands apart then:
/// taken for the segment before `segment.log`, it would make messages of that one look lost.
extension LogExaminer {
    /// The first ids by their names, ascending. As a rule no name is above, and nothing is read.
    func strays(among sealed: [UInt64], _ active: Active?) throws(DiskError) -> [UInt64] {
        guard let mark = active?.mark else { return [] }
        var strays: [UInt64] = []
        for first in sealed where first > mark.id {
            if try holdsNoMessage(.sealed(first: first)) { strays.append(first) }
        }
        return strays
    }

    /// Whether a file is empty, or a mark and more of the same.
    private func holdsNoMessage(_ name: SegmentName) throws(DiskError) -> Bool {
        let file = try disk.open(name.path(in: directory), .read)
        defer { file.close() }
        let size = try file.status().size
        if size == 0 { return true }
        var walker = FrameWalker(file, to: size)
        guard case .frame(let mark) = try walker.next(id: nil, base: nil), mark.isMark else {
            return false
        }
        while walker.offset < size {
            guard
                case .frame(let frame) = try walker.next(
                    id: mark.fields.id, base: mark.fields.position), frame.isMark
            else { return false }
        }
        return true
    }

    /// Reports it, once all segments have been examined. The log cannot be opened beside it, but
    /// nothing is lost: all ids below its name are in the other files, or lost there.
    mutating func report(stray first: UInt64, activeID: UInt64) throws(DiskError) {
        let name = SegmentName.sealed(first: first)
        let file = try disk.open(name.path(in: directory), .read)
        defer { file.close() }
        var summary = SegmentSummary(name: name, size: try file.status().size)
        summary.firstID = first
        summary.nextID = first
        if !isSilent {
            visitor?.begin(segment: name, size: summary.size)
            report(
                LogFinding(
                    .segmentOverlap, segment: name.fileName, offset: 0, length: summary.size,
                    detail: "it holds no message, and \(SegmentName.activeName) begins with id "
                        + "\(activeID), so no segment begins with \(first)",
                    durableBelow: durableBelow, evidence: "no id is ever given out twice"))
            summary.verdict = .damaged
            result.verdict = max(result.verdict, .damaged)
        }
        // In the order of the names, as if it were a segment.
        let index = result.segments.lastIndex { $0.name == .active } ?? result.segments.endIndex
        result.segments.insert(summary, at: index)
    }
}
