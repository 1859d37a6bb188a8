internal import SystemPackage
internal import WAL

/// What one segment becomes: its kept frames where they are, and frames for what is gone.
struct SegmentPlan {
    /// What stands behind the segment.
    enum End {
        /// A segment that begins with this id, and at this position if that is known; else not
        /// beyond another one.
        case joins(id: UInt64, position: UInt64?, limit: UInt64?)
        /// Nothing that was made. The log does not end below this id.
        case open(nextID: UInt64)
    }

    /// It cannot be made to fit what stands behind it.
    struct DoesNotJoin: Error {}

    private let facts: SegmentFacts
    private let content: PlannedContent
    private let disk: any Disk
    private let path: FilePath

    private(set) var pieces: [Piece] = []
    /// Position of offset 0 in the file that is planned.
    let base: UInt64
    /// The id expected next, where the plan stands.
    private(set) var nextID: UInt64
    /// Bytes planned so far.
    private(set) var bytes: UInt64 = 0
    private(set) var timestamp: UInt64
    private(set) var endsInLost = false
    private(set) var endsInMark = false
    /// How many whole messages had to give way: nothing else would have fitted. Only bytes that
    /// somebody made up on purpose come to this.
    private(set) var givenUp: UInt64 = 0
    /// What is kept and not planned yet; taken from the front, of which there may be very many.
    private var runs: ArraySlice<KeptRun>
    /// The end of the last kept bytes in the source.
    private var sourceEnd: UInt64 = 0

    var endPosition: UInt64 { base &+ bytes }

    /// - Parameters:
    ///   - start: where the file to be begins; its base is known.
    ///   - timestamp: that of the frame before, nanoseconds.
    init(
        _ facts: SegmentFacts, _ content: PlannedContent, start: SegmentStart, timestamp: UInt64,
        on disk: any Disk, path: FilePath
    ) {
        self.facts = facts
        self.content = content
        self.disk = disk
        self.path = path
        base = start.base ?? 0
        self.timestamp = timestamp
        nextID = start.firstID
        runs = facts.runs[...]
    }

    /// Whether the file stays as it is.
    var isUnchanged: Bool { pieces == [.kept(offset: 0, bytes: facts.size)] }

    private var place: FrameEncoder.Place {
        .init(id: nextID, position: endPosition, timestamp: timestamp)
    }

    mutating func build(_ end: End) throws {
        try begin()
        while !runs.isEmpty {
            try closeGap()
            if runs.isEmpty { break }
            keep(runs.removeFirst())
        }
        switch end {
        case .joins(let id, let position, let limit): try join(id, position, limit: limit)
        case .open(let floor):
            loseTail(upTo: max(facts.nextID, nextID, floor))
            if !facts.isSealed { addClosingMark() }
        }
    }

    // MARK: The beginning

    private mutating func begin() throws {
        if let first = runs.first, first.beginsWithMark, position(of: first.start) == base {
            sourceEnd = first.start
            return
        }
        pieces.append(.marks(count: 1, at: place))
        bytes = UInt64(FrameLayout.smallestFrame)
        endsInMark = true
        sourceEnd = min(bytes, facts.size)
    }

    /// Position of what is at an offset of the source.
    private func position(of offset: UInt64) -> UInt64 { (facts.base ?? base) &+ offset }

    private mutating func keep(_ run: KeptRun) {
        if case .kept(let offset, let count)? = pieces.last, offset + count == run.start {
            pieces[pieces.count - 1] = .kept(offset: offset, bytes: count + run.end - run.start)
        } else {
            pieces.append(.kept(offset: run.start, bytes: run.end - run.start))
        }
        bytes += run.end - run.start
        sourceEnd = run.end
        nextID = run.nextID
        timestamp = run.lastTimestamp
        endsInLost = run.endsInLost
        endsInMark = run.endsInMark
    }

    // MARK: Gaps

    /// Fills what is before the next run. Frames beside it give way where nothing else fits: marks
    /// if that helps, else those of the run.
    private mutating func closeGap() throws {
        while let run = runs.first {
            if let filling = filling(before: run, more: 0) {
                add(filling)
                return
            }
            if !run.beginsWithMark, try takeBackMark(before: run) { continue }
            let (first, rest) = try withoutFirstFrame(run)
            if let first, first.isMessage { givenUp += 1 }
            if let rest { runs[runs.startIndex] = rest } else { runs.removeFirst() }
        }
    }

    /// What the gap before a run takes, with so many bytes before it; nil if nothing fits.
    private func filling(before run: KeptRun, more: UInt64) -> [Piece]? {
        guard run.firstID >= nextID,
            let room = SegmentStart.room(
                before: position(of: run.start), from: endPosition, in: facts)
        else { return nil }
        return GapFill.pieces(bytes: room + more, ids: run.firstID - nextID, at: place)
    }

    /// Takes back a mark that stands before the gap, if the gap can be filled then.
    private mutating func takeBackMark(before run: KeptRun) throws -> Bool {
        let mark = UInt64(FrameLayout.smallestFrame)
        guard endsInMark, bytes > mark, case .kept? = pieces.last,
            filling(before: run, more: mark) != nil
        else { return false }
        try dropLastFrame()
        return true
    }

    private mutating func add(_ filling: [Piece]) {
        for piece in filling {
            pieces.append(piece)
            bytes += piece.bytes
            switch piece {
            case .lost(let ids, _, _):
                nextID += ids
                endsInLost = true
                endsInMark = false
            case .marks:
                endsInLost = false
                endsInMark = true
            case .kept: break
            }
        }
    }

    /// The first frame of a run, and the run without it; nil if there is no more in it.
    private func withoutFirstFrame(
        _ run: KeptRun
    ) throws(DiskError) -> (first: DecodedFrame?, rest: KeptRun?) {
        let file = try content.open(on: disk, as: path)
        defer { file.close() }
        var walker = FrameWalker(file, from: run.start, to: run.end)
        guard case .frame(let first) = try walker.next(id: nil, base: nil) else {
            return (nil, nil)
        }
        let start = walker.offset
        guard case .frame(let second) = try walker.next(id: nil, base: nil) else {
            return (first, nil)
        }
        var rest = run
        rest.start = start
        rest.firstID = second.fields.id
        rest.firstTimestamp = second.fields.timestamp
        rest.leadingMarks = run.leadingMarks > 1 ? run.leadingMarks - 1 : second.isMark ? 1 : 0
        return (first, rest)
    }

    // MARK: The end

    /// Nothing stands behind: what is lost takes the bytes that it had, as far as so many messages
    /// may have had them.
    private mutating func loseTail(upTo id: UInt64) {
        let ids = id - nextID
        let fewest = GapFill.fewestBytes(forIDs: ids)
        let there = min(damagedBytes, GapFill.mostBytes(forIDs: ids))
        if let filling = GapFill.pieces(bytes: max(there, fewest), ids: ids, at: place), ids > 0 {
            add(filling)
        }
    }

    /// Bytes of the damaged place that the segment ends in.
    private var damagedBytes: UInt64 {
        guard facts.runs.isEmpty else { return facts.damage[sourceEnd] ?? 0 }
        // The mark that is written anew takes its share of a place that begins with it.
        let damage = facts.damage[0] ?? 0
        return damage > sourceEnd ? damage - sourceEnd : 0
    }

    private mutating func addClosingMark() {
        if endsInMark { return }
        add([.marks(count: 1, at: place)])
    }

    /// Makes the segment end where the next one begins, or in a `lost` frame before that.
    private mutating func join(_ id: UInt64, _ position: UInt64?, limit: UInt64?) throws {
        while true {
            guard id >= nextID else { throw DoesNotJoin() }
            let ids = id - nextID
            let most = position ?? limit
            guard let room = most.map({ SegmentStart.room(from: endPosition, to: $0) }) ?? .max
            else { throw DoesNotJoin() }
            if ids == 0 {
                if room == 0 || position == nil || endsInLost { return }
                if room <= UInt64(FrameLayout.largestFrame),
                    let marks = GapFill.pieces(bytes: room, ids: 0, at: place)
                {
                    add(marks)
                    return
                }
            } else if GapFill.fewestBytes(forIDs: ids) <= room {
                lose(ids, room: room)
                return
            }
            try dropLastFrame()
        }
    }

    private mutating func lose(_ ids: UInt64, room: UInt64) {
        let fewest = GapFill.fewestBytes(forIDs: ids)
        let tail = facts.size > sourceEnd ? facts.size - sourceEnd : 0
        let wanted = min(max(tail, fewest), room, GapFill.mostBytes(forIDs: ids))
        guard let filling = GapFill.pieces(bytes: wanted, ids: ids, at: place) else { return }
        add(filling)
    }

    /// Takes back the last frame so that a `lost` frame can stand there.
    private mutating func dropLastFrame() throws {
        guard case .kept(let offset, let count)? = pieces.last else { throw DoesNotJoin() }
        let file = try content.open(on: disk, as: path)
        defer { file.close() }
        var walker = FrameWalker(file, from: offset, to: offset + count)
        var last: (offset: UInt64, frame: DecodedFrame)?
        var before: DecodedFrame?
        while case .frame(let frame) = try walker.next(id: nil, base: nil) {
            before = last?.frame
            last = (walker.offset - UInt64(frame.bytes), frame)
        }
        // The mark at the beginning has to stay.
        guard let last, bytes > UInt64(last.frame.bytes) else { throw DoesNotJoin() }
        pieces.removeLast()
        if last.offset > offset {
            pieces.append(.kept(offset: offset, bytes: last.offset - offset))
        }
        bytes -= UInt64(last.frame.bytes)
        nextID = last.frame.fields.id
        if last.frame.isMessage { givenUp += 1 }
        timestamp = before?.fields.timestamp ?? timestamp
        sourceEnd = last.offset
        if let before {
            endsInLost = before.lost != nil
            endsInMark = before.isMark
        } else {
            // It was the only frame of its piece: now the segment ends in what was put before it.
            if case .lost? = pieces.last { endsInLost = true } else { endsInLost = false }
            if case .marks? = pieces.last { endsInMark = true } else { endsInMark = false }
        }
    }
}
