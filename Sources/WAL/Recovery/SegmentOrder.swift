internal import SystemPackage

/// In which order the segments of a log are examined, and as what.
///
/// A name is what a person may have changed; the mark of a file is what was written. Where a sealed
/// segment's own mark has another id than its name, and the frames go on from that mark, the name
/// is not its own: the segment is examined where its mark says, and reported under the name that it
/// has. No crash leaves such a name. docs/adr/0021 says why.
struct SegmentOrder {
    /// A file and the segment that it is.
    struct Entry {
        let file: SegmentName
        /// With its own first id if it is sealed.
        var place: SegmentName
        /// The id that it begins with; nil for an active one that does not tell.
        let firstID: UInt64?

        var isMisnamed: Bool { file != place }
    }

    private(set) var entries: [Entry] = []
    /// Every id below this was durable: a sealed segment has its name only once those are.
    private(set) var namesProve: UInt64 = 0

    /// - Parameter active: what `segment.log` begins with, should it be one that was made.
    init(
        _ sealed: [UInt64], active: (firstID: UInt64?, markID: UInt64?)?,
        told: (UInt64) throws(DiskError) -> UInt64?
    ) throws(DiskError) {
        var own: [(first: UInt64, name: UInt64)] = []
        for name in sealed {
            let first = try told(name) ?? name
            own.append((first, name))
            namesProve = max(namesProve, first)
            // Where nothing else says how far the log had come, the name is believed in this.
            if active?.markID == nil { namesProve = max(namesProve, name) }
        }
        let hasMisnamed = own.contains { $0.first != $0.name }
        if hasMisnamed { own.sort(by: Self.isBefore) }
        entries = own.map {
            Entry(
                file: .sealed(first: $0.name), place: .sealed(first: $0.first), firstID: $0.first)
        }
        guard let active else { return }
        entries.append(Entry(file: .active, place: .active, firstID: active.firstID))
        if hasMisnamed, let mark = active.markID { place(activeMark: mark) }
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
    /// The order of the segments of `listing`.
    func order(_ listing: SegmentListing, _ active: Active?) throws(DiskError) -> SegmentOrder {
        let made = active.flatMap { $0.isMade ? ($0.firstID, $0.mark?.id) : nil }
        return try SegmentOrder(listing.sealed, active: made) { first throws(DiskError) in
            try ownFirstID(of: first)
        }
    }

    /// The first id of a sealed segment by its own mark, where that is not the one of its name: the
    /// frame behind the mark goes on from it, and most of the file agrees where it stands.
    private func ownFirstID(of name: UInt64) throws(DiskError) -> UInt64? {
        let file = try disk.open(SegmentName.sealed(first: name).path(in: directory), .read)
        defer { file.close() }
        let mark = FrameLayout.smallestFrame
        // As a rule the first bytes tell, and no more is read.
        var header = ByteBuffer()
        guard try file.readFully(at: 0, count: mark, into: &header) == mark else { return nil }
        let fields = FrameDecoder.fields(header.bytes)
        guard fields.id != name, fields.presence == .mark else { return nil }
        let size = try file.status().size
        var walker = FrameWalker(file, to: size)
        guard case .frame(let first) = try walker.next(id: nil, base: nil), first.isMark,
            case .frame = try walker.next(id: fields.id, base: fields.position)
        else { return nil }
        var search = FrameSearch(file, to: size)
        return try search.commonBase()?.base == fields.position ? fields.id : nil
    }
}
