/// Where a segment begins: its first id, and the position of offset 0. Its mark says both; where
/// that is damaged or another segment's, what stands behind it and beside it does.
extension SegmentExaminer {
    /// Holds the first id of this segment against the end of the one before.
    mutating func join(firstID: UInt64) {
        guard let expected = log.expectedID, expected != firstID else { return }
        if firstID > expected {
            let before = log.result.segments.dropLast().last
            log.report(
                LogFinding(
                    .segmentMissing, segment: before?.name.fileName ?? name.fileName,
                    offset: before?.size ?? 0, length: 0,
                    detail: "it ends before id \(expected), \(name.fileName) begins with "
                        + "\(firstID)",
                    lost: expected...firstID - 1, durableBelow: log.durableBelow,
                    evidence: "every id below the beginning of a segment was durable"))
            log.settlePrevious(.damaged)
        } else {
            log.report(
                LogFinding(
                    .segmentOverlap, segment: name.fileName, offset: 0, length: size,
                    detail: "it begins with id \(firstID), but the segments before it end at "
                        + "\(expected)",
                    durableBelow: log.durableBelow, evidence: "no id is ever given out twice"))
            log.settle(.damaged)
        }
    }

    /// The file has the name of another segment; its mark has the id `id`.
    mutating func reportName(_ id: UInt64) {
        log.report(
            LogFinding(
                .badID, segment: name.fileName, offset: 0, length: 0,
                detail: "its mark has id \(id): it has the name of another segment",
                durableBelow: log.durableBelow,
                evidence: "its frames go on from its mark, and say where they stand"))
        log.meetDamage(at: log.expectedID ?? id)
        log.settle(.damaged)
    }

    /// Finds the segment's first id and the position of offset 0. False if nothing tells them.
    mutating func begin() throws(DiskError) -> Bool {
        let step = try walker.next(id: nil, base: nil)
        if case .frame(let mark) = step, mark.isMark {
            base = mark.fields.position
            return try begin(with: mark)
        }
        var fault = PlaceFault.length(nil)
        switch step {
        case .frame(let frame): fault = .notAMark(frame.fields)
        case .broken(let broken): fault = broken
        case .end: break
        }
        if case .newer(let fields) = fault {
            // Nothing says where the first segment of a log begins: its word is all there is.
            if log.maySegmentBegin(at: fields.position) {
                base = fields.position
                id = log.expectedID ?? fields.id
                return try stop(fault, StopFacts())
            }
        }
        return try beginWithoutMark(fault)
    }

    /// A whole mark stands at offset 0; it may be another segment's.
    mutating func begin(with mark: DecodedFrame) throws(DiskError) -> Bool {
        let fields = mark.fields
        let expectedPosition = log.expectedPosition
        let fits = log.maySegmentBegin(at: fields.position)
        var expected = fields.id
        if case .sealed(let first) = place { expected = first }
        id = log.expectedID ?? expected
        var told = toldBase
        // A mark that goes on where the segment before it ended needs no other witness.
        if told == nil, expectedPosition != fields.position { told = try baseAgainst(fields) }
        if let told {
            let due = isSealed ? expected : id
            return try beginWithoutMark(
                fields.id == due ? .position(fields) : .id(fields, inPlace: false), base: told)
        }
        if place == .active, let before = log.expectedID {
            let isInPlace = expectedPosition == fields.position && !log.previousEndsInLost
            // Where a segment before it has more ids than there were, it is that one's word against
            // this one's: those that follow say which of the two is the stranger.
            var isOverlapped = fields.id < before
            if isOverlapped {
                isOverlapped = try nextFrameAgrees(with: fields.position, id: fields.id)
            }
            if before != fields.id, !isInPlace || isOverlapped {
                join(firstID: fields.id)
            } else {
                expected = before
            }
        }
        id = expected
        if fields.id == expected, fits || (log.expectedID != expected) {
            summary.firstID = expected
            try acceptMark(mark)
            return true
        }
        if fields.id != expected {
            return try beginWithoutMark(.id(fields, inPlace: fits))
        }
        if let expectedPosition, try nextFrameAgrees(with: fields.position) {
            reportGap(from: expectedPosition, to: fields.position)
            summary.firstID = expected
            try acceptMark(mark)
            return true
        }
        return try beginWithoutMark(.position(fields))
    }

    /// The walker may have looked ahead since it gave the mark.
    mutating func acceptMark(_ mark: DecodedFrame) throws(DiskError) {
        walker.seek(to: 0)
        if case .frame = try walker.next(id: nil, base: nil) { accept(mark, at: 0) }
    }

    /// The position of offset 0 if it is the mark that does not belong here. Judged by such a mark
    /// every frame would be out of place, nothing would prove anything, and all would look torn.
    private mutating func baseAgainst(_ mark: FrameFields) throws(DiskError) -> UInt64? {
        let markBytes = UInt64(FrameLayout.smallestFrame)
        walker.seek(to: markBytes)
        var behind: FrameFields?
        if case .frame(let frame) = try walker.next(id: nil, base: nil) { behind = frame.fields }
        if let behind {
            let told = behind.position &- markBytes
            if try isDisplaced(mark, by: told) { return told }
        }
        return try baseByNeighbours(against: mark)
    }

    /// Whether the mark has changed places with another frame: a whole frame stands behind it and
    /// says otherwise, most of the file agrees with that, and by it this segment goes on where the
    /// one before ended, or the mark is one of this file's own from further on. In any other case
    /// it is the frames that do not belong here: what an earlier life of the space has left.
    private mutating func isDisplaced(
        _ mark: FrameFields, by told: UInt64
    ) throws(DiskError) -> Bool {
        guard told != mark.position else { return false }
        let isOurs =
            told == log.expectedPosition || told == log.fileEnd
            || mark.position > told && mark.position - told < size
        guard isOurs else { return false }
        return try search.commonBase()?.base == told
    }

    /// The position of offset 0 that a neighbour tells, if the mark came with a page that was
    /// written over the first one: frames of this file agree with the neighbour, and those that
    /// agree with the mark stand before them all, or are less than they. No crash leaves that: a
    /// segment goes on where the one before ended, and one that is sealed has nothing behind its
    /// end.
    private mutating func baseByNeighbours(
        against mark: FrameFields
    ) throws(DiskError) -> UInt64? {
        var told: [UInt64?] = []
        var firstID = log.expectedID
        if case .sealed(let first) = place { firstID = first }
        // Behind the end of one whose end is open, a mark with the right id is believed.
        if mark.id != firstID || !log.maySegmentBegin(at: mark.position) {
            told = [log.expectedPosition, log.fileEnd]
        }
        if let next = try baseByNextSegment() {
            if next == mark.position { return nil }
            // What the one behind tells of is where this file ends: had bytes been put into it or
            // taken out of it, it is the mark that has kept its place.
            if mark.id != firstID || !FrameLayout.mayBeNeighbours(mark.position, next) {
                told.append(next)
            }
        }
        for case let told? in told where told != mark.position {
            guard try search.next(from: 0, base: told, id: firstID ?? 0) != nil else { continue }
            let families = try search.families()
            guard let ours = families[told] else { continue }
            guard let others = families[mark.position] else { return told }
            if ours.first >= others.end || ours.bytes > others.bytes { return told }
        }
        return nil
    }

    /// Whether the frame behind the mark stands where it says if the mark does, and has that id.
    mutating func nextFrameAgrees(
        with base: UInt64, id: UInt64? = nil
    ) throws(DiskError) -> Bool {
        walker.seek(to: UInt64(FrameLayout.smallestFrame))
        if case .frame = try walker.next(id: id, base: base) { return true }
        return false
    }

    /// The ids join up, the positions do not: frames without ids (marks) are gone from the end of
    /// the segment before, or stand twice.
    mutating func reportGap(from expected: UInt64, to position: UInt64) {
        let before = log.result.segments.dropLast().last
        let missing = position > expected
        log.report(
            LogFinding(
                missing ? .segmentMissing : .segmentOverlap,
                segment: missing ? before?.name.fileName ?? name.fileName : name.fileName,
                offset: missing ? before?.size ?? 0 : 0, length: 0,
                detail: "the segments before \(name.fileName) end at position \(expected), it "
                    + "begins at \(position)",
                durableBelow: log.durableBelow, evidence: "positions go on from segment to segment")
        )
        if missing { log.settlePrevious(.damaged) } else { log.settle(.damaged) }
    }

    /// The mark is damaged or not this segment's. `told` is the position of offset 0 if it is
    /// known.
    mutating func beginWithoutMark(
        _ fault: PlaceFault, base told: UInt64? = nil
    ) throws(DiskError) -> Bool {
        var behindMark = try frameBehindMark()
        if let told, behindMark?.fields.position != told &+ UInt64(FrameLayout.smallestFrame) {
            behindMark = nil
        }
        let found = if let told { told } else { try findBase(behindMark) }
        walker.seek(to: 0)
        var fault = fault
        // A later version's frame counts where its position holds.
        if case .newer(let fields) = fault, fields.position != found { fault = .position(fields) }
        guard let found else {
            baseIsKnown = false
            try loseAll(fault)
            return false
        }
        base = found
        id = try findFirstID(fault, behindMark)
        summary.firstID = id
        if case .notAMark(let fields) = fault {
            if fields.id != id, isSealed || log.expectedID != nil {
                fault = .id(fields, inPlace: fields.position == base)
            } else if fields.id == id, fields.position == base {
                lacksOnlyItsMark = try !standsForMark(fields)
            }
        }
        // Whatever the mark was, it said that every lower id was durable.
        log.bound = max(log.bound, id)
        var facts = StopFacts()
        facts.disjoint = true
        return try stop(fault, facts)
    }

    /// The whole frame that stands where the mark ends and belongs there.
    private mutating func frameBehindMark() throws(DiskError) -> DecodedFrame? {
        let markBytes = UInt64(FrameLayout.smallestFrame)
        walker.seek(to: markBytes)
        guard case .frame(let frame) = try walker.next(id: nil, base: nil) else { return nil }
        // A sealed segment is named after its first id.
        if case .sealed(let first) = place, frame.fields.id != first { return nil }
        return try isStray(frame, at: markBytes) ? nil : frame
    }

    /// The position of offset 0: it follows from the frame behind the mark, else from the
    /// neighbours, else from any whole frame.
    private mutating func findBase(_ behindMark: DecodedFrame?) throws(DiskError) -> UInt64? {
        if let behindMark {
            return behindMark.fields.position &- UInt64(FrameLayout.smallestFrame)
        }
        // A neighbour's word counts if a frame in this file agrees: another segment may be missing
        // between them, or the end of that one.
        let neighbours = [log.expectedPosition, log.fileEnd, try baseByNextSegment()]
        for case let told? in neighbours where try search.next(from: 0, base: told, id: 0) != nil {
            return told
        }
        return try baseByFrames(log.previousEndsInLost ? nil : log.expectedPosition)
    }

    /// The first id where `base` is known: it follows from the name, else from the segment before,
    /// else from the frame that stands for the mark or behind it, else from any whole frame.
    private mutating func findFirstID(
        _ fault: PlaceFault, _ behindMark: DecodedFrame?
    ) throws(DiskError) -> UInt64 {
        if case .sealed(let first) = place { return first }
        if let before = log.expectedID { return before }
        if case .notAMark(let fields) = fault, fields.position == base { return fields.id }
        if let behindMark { return behindMark.fields.id }
        return try firstIDByFrames()
    }

    /// Whether the frame at offset 0 stands in the very place of the mark, by the end of the
    /// segment before or by the frame behind it: then the mark was not cut off, but written over.
    private mutating func standsForMark(_ fields: FrameFields) throws(DiskError) -> Bool {
        if log.expectedPosition == base { return true }
        walker.seek(to: UInt64(fields.frameBytes))
        let step = try walker.next(id: fields.id, base: base)
        walker.seek(to: 0)
        if case .frame = step { return true }
        return false
    }

    /// The position that whole frames agree on. Where they say that the segment begins before the
    /// one before it ended, they have to be the most of the file, or of what stands behind its own
    /// mark: what little is left may be a copy in a payload, and copies are of what stood before.
    private mutating func baseByFrames(_ neighbour: UInt64?) throws(DiskError) -> UInt64? {
        guard let common = try search.commonBase(), try hasOwnIDs(at: common.base) else {
            return neighbour
        }
        guard let neighbour, common.base < neighbour else { return common.base }
        let ahead = neighbour - common.base
        guard ahead < size, common.bytes <= size / 2 else {
            return common.bytes > size / 2 ? common.base : neighbour
        }
        walker.seek(to: ahead)
        if case .frame(let frame) = try walker.next(id: nil, base: common.base), frame.isMark,
            common.bytes > (size - ahead) / 2
        {
            return common.base
        }
        return neighbour
    }

    /// Whether a frame of that base has an id that this segment can have: a file may be the copy of
    /// what is in the next one.
    private mutating func hasOwnIDs(at base: UInt64) throws(DiskError) -> Bool {
        guard case .sealed(let first) = place, let nextFirst, nextFirst > first else { return true }
        guard let (_, hit) = try search.next(from: 0, base: base, id: first),
            case .valid(let frame) = hit
        else { return true }
        return frame.fields.id < nextFirst
    }

    /// Whether the frame that the walker has just passed does not belong there: the next one is
    /// whole and says otherwise, and so does most of the file (two frames that changed places),
    /// unless another log begins there; or it is a copy of one that stands further on.
    private mutating func isStray(
        _ frame: DecodedFrame, at offset: UInt64
    ) throws(DiskError) -> Bool {
        let told = frame.fields.position &- offset
        let end = walker.offset
        if case .frame(let next) = try walker.next(id: nil, base: nil),
            next.fields.position &- end != told
        {
            return try search.commonBase()?.base != told
        }
        return try search.isCopy(frame, at: offset)
    }

    /// The position of offset 0 by the mark of the segment behind: that one begins where this ends.
    private func baseByNextSegment() throws(DiskError) -> UInt64? {
        guard let nextName else { return nil }
        // While somebody is appending, the file of that name may be another one by now.
        if nextName == .active { return log.activeMark.map { $0.position &- size } }
        let file = try log.disk.open(nextName.path(in: log.directory), .read)
        defer { file.close() }
        var walker = FrameWalker(file, to: try file.status().size)
        guard case .frame(let frame) = try walker.next(id: nil, base: nil), frame.isMark else {
            return nil
        }
        return frame.fields.position &- size
    }

    /// The first id of a log whose only segment has lost its beginning: that of its mark, should it
    /// have changed places with a frame; else that of the first whole frame, less as many as there
    /// was room for before it.
    mutating func firstIDByFrames() throws(DiskError) -> UInt64 {
        if let common = try search.commonBase(), common.base == base, let first = common.firstID {
            return first
        }
        guard let (offset, hit) = try search.next(from: 1, base: base, id: 0),
            case .valid(let frame) = hit
        else { return 0 }
        let smallest = UInt64(FrameLayout.smallestFrame)
        let room = offset > smallest ? (offset - smallest) / smallest : 0
        return frame.fields.id - min(frame.fields.id, room)
    }

    /// No frame in the file is whole.
    mutating func loseAll(_ fault: PlaceFault) throws(DiskError) {
        if case .sealed(let first) = place { id = first } else { id = log.expectedID ?? 0 }
        log.bound = max(log.bound, id)
        log.meetDamage(at: id)
        endIsUnknown = true
        var limit = max(id, log.durableBelow)
        if isSealed { limit = try endOfSealed(lostFrom: 0) }
        try reportDamage(fault, at: 0, to: size, lostBelow: limit)
        if !isSealed, log.durableBelow > log.bound {
            log.reportBeyondEnd(at: 0, id: max(id, heldBelow), segment: name)
        }
        id = max(id, limit)
    }
}
