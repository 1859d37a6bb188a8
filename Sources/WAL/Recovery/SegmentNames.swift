internal import SystemPackage

/// Whether the name or the mark is right, of a sealed segment whose mark has another id than its
/// name.
///
/// A page that was written over the first one of a file has brought the mark of another segment;
/// what a person has renamed has another's name. What stands beside the file tells them apart: the
/// position where it has to begin for the one behind it, and behind the one before it; and a mark
/// with the id of its name, wherever that is. If one of its frames stands where that says, or two
/// of them say the same, the name is right. Else the mark is, if the frame behind it goes on from
/// it and most of the file agrees.
struct SegmentNames {
    /// What is known of segments whose mark and name do not go together.
    struct Told {
        /// First ids of sealed segments that have another one's name, by that name.
        var firstIDs: [UInt64: UInt64] = [:]
        /// Positions of offset 0 of sealed segments that have another one's mark, by their name.
        var bases: [UInt64: UInt64] = [:]
        /// Position of offset 0 of `segment.log` if its mark is another segment's.
        var activeBase: UInt64?

        /// Whether a sealed segment whose name is right begins with an id or behind it.
        func reaches(_ id: UInt64) -> Bool { bases.keys.contains { $0 >= id } }
    }

    /// What the first bytes of a file say.
    private struct Head {
        let name: SegmentName
        /// The whole mark that it begins with.
        let mark: FrameFields?

        /// The id that its name says.
        var first: UInt64? { if case .sealed(let first) = name { first } else { nil } }
        /// The mark, should it have another id than the name.
        var otherMark: FrameFields? {
            guard let first, let mark, mark.id != first else { return nil }
            return mark
        }
    }

    private struct Segment {
        private let head: Head
        /// Of the file, in bytes.
        let size: UInt64
        /// Position of offset 0, as far as that is known.
        var base: UInt64?
        /// It is known, and the mark does not say so.
        var isOverruled = false
        /// The places at which no frame of it stands.
        var refused: Set<UInt64> = []

        init(_ head: Head, size: UInt64) {
            self.head = head
            self.size = size
            base = head.otherMark == nil ? head.mark?.position : nil
        }

        var name: SegmentName { head.name }
        var mark: FrameFields? { head.mark }
        var first: UInt64? { head.first }
        var otherMark: FrameFields? { head.otherMark }
        var end: UInt64? { base.map { $0 &+ size } }
    }

    private let disk: any Disk
    private let directory: FilePath
    private var heads: [Head] = []
    /// Only if one of them is misnamed.
    private var segments: [Segment] = []

    /// - Parameters:
    ///   - sealed: the names, ascending.
    ///   - active: the whole mark that `segment.log` begins with.
    init(
        _ sealed: [UInt64], active: FrameFields?, in directory: FilePath, on disk: any Disk
    ) throws(DiskError) {
        self.disk = disk
        self.directory = directory
        for first in sealed {
            let name = SegmentName.sealed(first: first)
            heads.append(Head(name: name, mark: try mark(of: name)))
        }
        if let active { heads.append(Head(name: .active, mark: active)) }
    }

    /// As a rule no mark has another id than its name, and nothing more is read.
    func told() throws(DiskError) -> Told {
        guard heads.contains(where: { $0.otherMark != nil }) else { return Told() }
        var judged = self
        try judged.measure()
        try judged.askActive()
        // One that is known may tell of those beside it.
        while try judged.askNeighbours() {}
        return try judged.result()
    }

    // MARK: What is known

    private mutating func measure() throws(DiskError) {
        for head in heads {
            let file = try open(head.name)
            defer { file.close() }
            segments.append(Segment(head, size: try file.status().size))
        }
    }

    /// The mark of `segment.log` is not believed if it belongs before a sealed segment and frames
    /// stand where that one ends, or where a mark says that has got into another file, or if most
    /// of the file stands elsewhere.
    private mutating func askActive() throws(DiskError) {
        guard let active = segments.last, active.name == .active, let mark = active.mark,
            let before = segments.dropLast().last, let last = before.first, mark.id <= last
        else { return }
        let others = segments.compactMap(\.otherMark).filter { $0.id > last }.map(\.position)
        let places = (before.end.map { [$0] } ?? []) + others
        let index = segments.count - 1
        if let place = try place(active, among: places, from: last, below: nil) {
            segments[index].base = place
        } else {
            segments[index].base = try commonBase(of: active)
        }
        segments[index].isOverruled = segments[index].base.map { $0 != mark.position } ?? false
    }

    /// Asks the neighbours of those that are not known; false if that told nothing new.
    private mutating func askNeighbours() throws(DiskError) -> Bool {
        var hasLearned = false
        for index in segments.indices.reversed() where segments[index].base == nil {
            guard let mark = segments[index].otherMark else { continue }
            let beside = beside(index)
            if beside.contains(mark.position) {
                segments[index].base = mark.position
            } else if let base = try base(of: index, beside) {
                segments[index].base = base
                segments[index].isOverruled = true
            } else {
                continue
            }
            hasLearned = true
        }
        return hasLearned
    }

    /// Where a segment begins by those beside it.
    private func beside(_ index: Int) -> [UInt64] {
        var places: [UInt64] = []
        if index + 1 < segments.count, let next = segments[index + 1].base {
            places.append(next &- segments[index].size)
        }
        if index > 0, let end = segments[index - 1].end { places.append(end) }
        return places
    }

    /// The position of offset 0 if the name is right.
    private mutating func base(
        of index: Int, _ beside: [UInt64]
    ) throws(DiskError) -> UInt64? {
        let first = segments[index].first
        // It fits between them, and the segment that its mark speaks of is elsewhere. Were it not,
        // two of the same size may have changed their names.
        if beside.count == 2, beside[0] == beside[1], isElsewhere(segments[index].mark) {
            return beside[0]
        }
        var places = beside
        for other in segments where other.name != segments[index].name {
            guard let mark = other.mark, mark.id == first else { continue }
            // It has got into another file: there it says what it said here.
            if other.isOverruled, beside.contains(mark.position) { return mark.position }
            places.append(mark.position)
        }
        places.removeAll { segments[index].refused.contains($0) }
        guard let first, !places.isEmpty else { return nil }
        let limit = index + 1 < segments.count ? segments[index + 1].first : nil
        let place = try place(segments[index], among: places, from: first, below: limit)
        if place == nil { segments[index].refused.formUnion(places) }
        return place
    }

    /// Whether the segment of a mark is known to be in another file.
    private func isElsewhere(_ mark: FrameFields?) -> Bool {
        guard let mark else { return false }
        return segments.contains {
            $0.base != nil && ($0.first == mark.id || $0.base == mark.position)
        }
    }

    // MARK: What is told

    private func result() throws(DiskError) -> Told {
        var told = Told()
        var sizes: [UInt64: UInt64] = [:]
        for segment in segments where segment.base != nil {
            if segment.isOverruled {
                if let first = segment.first {
                    told.bases[first] = segment.base
                } else {
                    told.activeBase = segment.base
                }
            }
            let id = segment.isOverruled ? segment.first : segment.mark?.id
            if let id { sizes[id] = segment.size }
        }
        let known = segments.compactMap(\.base)
        for segment in segments where !segment.isOverruled {
            guard let name = segment.first, let mark = segment.otherMark else { continue }
            // Where the segment of that id is, a file that is not as long is no copy of it.
            guard sizes[mark.id] ?? segment.size == segment.size, isNear(mark.position, known),
                try goesOnFromMark(segment)
            else { continue }
            told.firstIDs[name] = mark.id
        }
        return told
    }

    /// Whether `position` can be one of this log, by those that are known. Where there are none,
    /// nothing speaks against it.
    private func isNear(_ position: UInt64, _ known: [UInt64]) -> Bool {
        known.isEmpty
            || known.contains { FrameLayout.mayBeNeighbours($0, position) }
    }

    // MARK: Files

    private func open(_ name: SegmentName) throws(DiskError) -> any DiskFile {
        try disk.open(name.path(in: directory), .read)
    }

    /// The whole mark that a file begins with.
    private func mark(of name: SegmentName) throws(DiskError) -> FrameFields? {
        let file = try open(name)
        defer { file.close() }
        let bytes = FrameLayout.smallestFrame
        var header = ByteBuffer()
        guard try file.readFully(at: 0, count: bytes, into: &header) == bytes,
            case .success(let frame) = FrameDecoder.decode(header.bytes), frame.isMark
        else { return nil }
        return frame.fields
    }

    private func commonBase(of segment: Segment) throws(DiskError) -> UInt64? {
        let file = try open(segment.name)
        defer { file.close() }
        var search = FrameSearch(file, to: segment.size)
        return try search.commonBase()?.base
    }

    /// Whether the frame behind the mark goes on from it, and most of the file agrees.
    private func goesOnFromMark(_ segment: Segment) throws(DiskError) -> Bool {
        guard let mark = segment.mark else { return false }
        let file = try open(segment.name)
        defer { file.close() }
        var walker = FrameWalker(
            file, from: UInt64(FrameLayout.smallestFrame), to: segment.size)
        guard case .frame = try walker.next(id: mark.id, base: mark.position) else { return false }
        return try commonBase(of: segment) == mark.position
    }

    /// The one of `places` at which a frame with an id of that segment stands.
    private func place(
        _ segment: Segment, among places: [UInt64], from first: UInt64, below limit: UInt64?
    ) throws(DiskError) -> UInt64? {
        let file = try open(segment.name)
        defer { file.close() }
        var search = FrameSearch(file, to: segment.size)
        // A payload may have copies of frames.
        let families = try search.families()
        for place in places where families[place] != nil {
            guard let (_, hit) = try search.next(from: 0, base: place, id: first),
                case .valid(let frame) = hit
            else { continue }
            if let limit, frame.nextID > limit { continue }
            return place
        }
        return nil
    }
}
