internal import SystemPackage

/// In which order the segments of a log are examined, and as what.
///
/// A name is what a person may have changed; the mark of a file is what was written. Where a sealed
/// segment's own mark has another id than its name, and the name is wrong (`SegmentNames` tells),
/// the segment is examined where its mark says, and reported under the name that it has. No crash
/// leaves such a name. docs/adr/0021 and 0022 say why.
struct SegmentOrder {
    /// A file and the segment that it is.
    struct Entry {
        let file: SegmentName
        /// With its own first id if it is sealed.
        var place: SegmentName
        /// The id that it begins with; nil for an active one that does not tell.
        let firstID: UInt64?
        /// Position of offset 0 by its name and what stands beside it, should its mark be another
        /// segment's.
        var base: UInt64?

        var isMisnamed: Bool { file != place }
    }

    private(set) var entries: [Entry] = []
    /// Every id below this was durable: a sealed segment has its name only once those are.
    private(set) var namesProve: UInt64 = 0

    /// - Parameters:
    ///   - active: what `segment.log` begins with, should it be one that was made.
    ///   - told: what is known of sealed segments whose mark and name are not the same.
    init(
        _ sealed: [UInt64], active: (firstID: UInt64?, mark: FrameFields?)?, told: SegmentNames.Told
    ) {
        // A mark that came from another segment says nothing of how far the log had come.
        let activeMark = told.activeBase == nil ? active?.mark?.id : nil
        var own: [(first: UInt64, name: UInt64)] = []
        for name in sealed {
            let first = told.firstIDs[name] ?? name
            own.append((first, name))
            namesProve = max(namesProve, first)
            // Where nothing else says how far the log had come, the name is believed in this.
            if activeMark == nil { namesProve = max(namesProve, name) }
        }
        let hasMisnamed = own.contains { $0.first != $0.name }
        if hasMisnamed { own.sort(by: Self.isBefore) }
        entries = own.map {
            Entry(
                file: .sealed(first: $0.name), place: .sealed(first: $0.first), firstID: $0.first,
                base: told.bases[$0.name])
        }
        guard let active else { return }
        // The segment that is appended to begins behind those that are sealed, or says nothing.
        let firstID = active.firstID.flatMap { told.reaches($0) ? nil : $0 }
        entries.append(
            Entry(file: .active, place: .active, firstID: firstID, base: told.activeBase))
        if hasMisnamed, firstID != nil, let activeMark { place(activeMark: activeMark) }
    }

    /// Of two with the same ids the one whose name is right comes first.
    private static func isBefore(
        _ one: (first: UInt64, name: UInt64), _ other: (first: UInt64, name: UInt64)
    ) -> Bool {
        if one.first != other.first { return one.first < other.first }
        if (one.name == one.first) != (other.name == other.first) { return one.name == one.first }
        return one.name < other.name
    }

    /// `segment.log` may have the bytes of a sealed segment. One of those that have another's name
    /// has been the active one, then.
    private mutating func place(activeMark: UInt64) {
        let last = entries.count - 1
        let isBehind = { (entry: Entry) in entry.firstID.map { $0 > activeMark } ?? false }
        guard let index = entries.firstIndex(where: isBehind) else { return }
        if entries[last - 1].isMisnamed { entries[last - 1].place = .active }
        var active = entries.removeLast()
        active.place = .sealed(first: activeMark)
        entries.insert(active, at: index)
    }
}

extension LogExaminer {
    /// The order of the segments of these names and of `segment.log`.
    func order(_ sealed: [UInt64], _ active: Active?) throws(DiskError) -> SegmentOrder {
        let made = active.flatMap { $0.isMade ? ($0.firstID, $0.mark) : nil }
        let names = try SegmentNames(sealed, active: active?.mark, in: directory, on: disk)
        return SegmentOrder(sealed, active: made, told: try names.told())
    }
}
