/// Examines one segment file: walks its frames, decides by the verdict table where the walk stops,
/// and goes on behind damage as long as there is anything to go on with.
struct SegmentExaminer: ~Copyable {
    private var log: LogExaminer
    private let name: SegmentName
    private let file: any DiskFile
    private var size: UInt64
    /// For a sealed segment: the id that the next one begins with, where that can be told.
    private let nextFirst: UInt64?

    private var walker: FrameWalker
    private var search: FrameSearch
    private var summary: SegmentSummary
    /// n: the id expected at the walker's offset.
    private var id: UInt64 = 0
    /// The position of offset 0; meaningless while nothing tells it.
    private var base: UInt64 = 0
    /// Where the next frame begins that the visitor wants to see, or later.
    private var visitDue: UInt64 = 0
    private var baseIsKnown = true
    /// What was found behind the first bad place; looked for only once, to the end of the file.
    private var behind: Behind?
    /// Ids that the segments before hold, should they overlap with this one: they are not lost.
    private let heldBelow: UInt64
    /// Where the segment once ended is not known, so nothing says where the next one begins.
    private var endIsUnknown = false

    private struct Behind {
        var newer: (offset: UInt64, fields: FrameFields)?
        /// What frames from an offset on prove, ascending by offset and descending by bound: the
        /// first entry behind a place tells the most. (Ids mostly ascend: hardly ever many.)
        private var proofs: [(offset: UInt64, bound: UInt64)] = []

        mutating func note(_ fields: FrameFields, at offset: UInt64) {
            guard let bound = fields.durableBelow else { return }
            while let last = proofs.last, last.bound <= bound { proofs.removeLast() }
            proofs.append((offset, bound))
        }

        /// The durable bound that the frames behind `offset` prove: a frame at the place itself
        /// is not behind it.
        func bound(behind offset: UInt64) -> UInt64 {
            proofs.first { $0.offset > offset }?.bound ?? 0
        }
    }

    /// D at the place where the walk stands.
    private var bound: UInt64 { max(provenBound, log.acknowledgedBelow ?? 0) }

    /// What the log itself proves there.
    private var provenBound: UInt64 {
        max(log.bound, behind?.bound(behind: walker.offset) ?? 0)
    }

    init(
        _ log: LogExaminer, _ name: SegmentName, _ file: any DiskFile, _ size: UInt64,
        nextFirst: UInt64?
    ) {
        self.log = log
        self.name = name
        self.file = file
        self.size = size
        self.nextFirst = nextFirst
        heldBelow = log.expectedID ?? 0
        walker = FrameWalker(file, to: size)
        search = FrameSearch(file, to: size)
        summary = SegmentSummary(name: name, size: size)
    }

    private var isSealed: Bool { name != .active }

    mutating func run() throws(DiskError) -> LogExaminer {
        if log.newerAt == nil { log.visitor?.begin(segment: name, size: size) }
        log.result.segments.append(summary)
        if case .sealed(let first) = name { join(firstID: first) }
        // An empty file under a sealed name is no segment: a rename may replace it.
        if !(isSealed && size == 0) {
            let begun = try begin()
            if begun { try walk() }
        } else if case .sealed(let first) = name {
            id = first
            summary.firstID = first
            baseIsKnown = false
        }
        return finish()
    }

    // MARK: The beginning

    /// Holds the first id of this segment against the end of the one before.
    private mutating func join(firstID: UInt64) {
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

    /// Finds the segment's first id and the position of offset 0. False if nothing tells them.
    private mutating func begin() throws(DiskError) -> Bool {
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
    private mutating func begin(with mark: DecodedFrame) throws(DiskError) -> Bool {
        let fields = mark.fields
        let expectedPosition = log.expectedPosition
        let fits = log.maySegmentBegin(at: fields.position)
        var expected = fields.id
        if case .sealed(let first) = name { expected = first }
        if name == .active, let before = log.expectedID {
            let isInPlace = expectedPosition == fields.position && !log.previousEndsInLost
            if before != fields.id, !isInPlace {
                join(firstID: fields.id)
            } else {
                expected = before
            }
        }
        id = expected
        // A mark that goes on where the segment before it ended needs no other witness.
        if expectedPosition != fields.position, try isContradicted(fields) {
            return try beginWithoutMark(.position(fields))
        }
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
    private mutating func acceptMark(_ mark: DecodedFrame) throws(DiskError) {
        walker.seek(to: 0)
        if case .frame = try walker.next(id: nil, base: nil) { accept(mark, at: 0) }
    }

    /// Whether the frame that belongs behind the mark stands there but says otherwise, and most of the file
    /// agrees with that: then it is the mark that does not belong here. Judged by it, every frame
    /// would be out of place, nothing would prove anything, and all of it would look torn.
    private mutating func isContradicted(_ mark: FrameFields) throws(DiskError) -> Bool {
        walker.seek(to: UInt64(FrameLayout.smallestFrame))
        guard case .frame(let frame) = try walker.next(id: mark.id, base: nil), !frame.isMark,
            frame.fields.position != mark.position &+ UInt64(FrameLayout.smallestFrame)
        else { return false }
        return try search.commonBase() != mark.position
    }

    /// Whether the frame behind the mark stands where it says if the mark does.
    private mutating func nextFrameAgrees(with base: UInt64) throws(DiskError) -> Bool {
        walker.seek(to: UInt64(FrameLayout.smallestFrame))
        if case .frame = try walker.next(id: nil, base: base) { return true }
        return false
    }

    /// The ids join up, the positions do not: frames without ids (marks) are gone from the end of
    /// the segment before, or stand twice.
    private mutating func reportGap(from expected: UInt64, to position: UInt64) {
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

    /// The mark is damaged or not this segment's. Its position follows from the frame behind it,
    /// else from the neighbours, else from any whole frame.
    private mutating func beginWithoutMark(_ fault: PlaceFault) throws(DiskError) -> Bool {
        let markBytes = UInt64(FrameLayout.smallestFrame)
        var found: UInt64?
        var frameAtMarkEnd: DecodedFrame?
        walker.seek(to: markBytes)
        if case .frame(let frame) = try walker.next(id: nil, base: nil) {
            found = frame.fields.position &- markBytes
            frameAtMarkEnd = frame
        }
        let neighbour = log.previousEndsInLost ? nil : log.expectedPosition
        // A neighbour's word counts if a frame in this file agrees: another segment may be missing
        // between them.
        if found == nil, let neighbour, try search.next(from: 0, base: neighbour, id: 0) != nil {
            found = neighbour
        }
        if found == nil { found = try search.commonBase() ?? neighbour }
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
        if case .sealed(let first) = name {
            id = first
        } else if let before = log.expectedID {
            id = before
        } else if case .notAMark(let fields) = fault, fields.position == base {
            id = fields.id
        } else if let frameAtMarkEnd {
            id = frameAtMarkEnd.fields.id
        } else {
            id = try firstIDByFrames()
        }
        summary.firstID = id
        if case .notAMark(let fields) = fault, fields.id != id {
            fault = .id(fields, inPlace: fields.position == base)
        }
        // Whatever the mark was, it said that every lower id was durable.
        log.bound = max(log.bound, id)
        var facts = StopFacts()
        facts.disjoint = true
        return try stop(fault, facts)
    }

    /// The first id of a log whose only segment has lost its beginning: that of the first whole
    /// frame, less as many as there was room for before it.
    private mutating func firstIDByFrames() throws(DiskError) -> UInt64 {
        guard let (offset, hit) = try search.next(from: 1, base: base, id: 0),
            case .valid(let frame) = hit
        else { return 0 }
        let smallest = UInt64(FrameLayout.smallestFrame)
        let room = offset > smallest ? (offset - smallest) / smallest : 0
        return frame.fields.id - min(frame.fields.id, room)
    }

    /// No frame in the file is whole.
    private mutating func loseAll(_ fault: PlaceFault) throws(DiskError) {
        if case .sealed(let first) = name { id = first } else { id = log.expectedID ?? 0 }
        log.bound = max(log.bound, id)
        endIsUnknown = true
        let limit = isSealed ? (nextFirst ?? id) : log.durableBelow
        try reportDamage(fault, at: 0, to: size, lostBelow: limit)
        if !isSealed, log.durableBelow > log.bound {
            log.reportBeyondEnd(at: 0, id: max(id, heldBelow), segment: name)
        }
        id = max(id, limit)
    }

    // MARK: The walk

    private mutating func walk() throws(DiskError) {
        while true {
            let offset = walker.offset
            if try walker.advance(id: id, base: base) {
                accept(walker.frame, at: offset)
                continue
            }
            switch try walker.next(id: id, base: base) {
            case .frame(let frame): accept(frame, at: offset)
            case .end:
                if try stop(nil, StopFacts()) { continue }
                return
            case .broken(let fault):
                if try stop(fault, StopFacts()) { continue }
                return
            }
        }
    }

    private mutating func accept(_ frame: DecodedFrame, at offset: UInt64) {
        let fields = frame.fields
        id = frame.nextID
        summary.frames += 1
        summary.end = offset + UInt64(frame.bytes)
        summary.endsInMark = frame.isMark
        summary.endsInLost = frame.lost != nil
        if let durable = fields.durableBelow { log.bound = max(log.bound, durable) }
        if name == .active {
            log.unproven.add(frame, at: offset)
            log.unproven.prove(below: log.durableBelow)
        }
        if frame.isMessage { summary.messages += 1 }
        if offset >= visitDue, log.newerAt == nil, let visitor = log.visitor {
            visitor.frame(frame, bytes: walker.frameBytes, segment: name, at: offset)
            visitDue = offset + visitor.strideBytes
        }
        if let lost = frame.lost {
            summary.lostFrames += 1
            log.report(
                LogFinding(
                    .lost, segment: name.fileName, offset: offset, length: UInt64(frame.bytes),
                    detail: "stands for \(lost) lost \(lost == 1 ? "message" : "messages")",
                    lost: fields.id...frame.nextID - 1,
                    evidence: "an earlier repair or an import wrote it"))
        }
        if let last = log.previousTimestamp, fields.timestamp < last {
            log.report(
                LogFinding(
                    .clockBack, segment: name.fileName, offset: offset,
                    length: UInt64(frame.bytes),
                    detail: "timestamp \(fields.timestamp) after \(last)"))
        }
        log.previousTimestamp = fields.timestamp
        log.result.lastTimestamp = max(log.result.lastTimestamp ?? 0, fields.timestamp)
    }

    // MARK: Where the walk stops

    /// Decides about the place where the walk stands (`fault` is nil at the end of the file). True
    /// if there is a frame behind to go on with: the walker stands before it then.
    private mutating func stop(
        _ fault: PlaceFault?, _ given: StopFacts
    ) throws(DiskError) -> Bool {
        var fault = fault
        let offset = walker.offset
        if behind == nil { try lookBehind(offset, fault) }
        if log.isLive, given == StopFacts() {
            // What was looked at may have been written meanwhile; evidence found since then makes
            // it durable now.
            size = max(size, try file.status().size)
            walker = FrameWalker(file, from: offset, to: size)
            switch try walker.next(id: id, base: base) {
            case .frame(let frame):
                accept(frame, at: offset)
                behind = nil
                search = FrameSearch(file, to: size)
                return true
            case .end: fault = nil
            case .broken(let now): fault = now
            }
        }
        var facts = given
        facts.newerFrame = behind?.newer != nil
        facts.atEnd = offset >= size
        facts.sealedTooShort = isSealed && !facts.atEnd
        facts.wholeButInvalid = fault?.wholeBytes != nil
        if !facts.atEnd { facts.zerosToEnd = try log.isZero(file, offset..<size) }
        // An overlapping segment may end early: what follows is in the segments before.
        let endsHere = facts.atEnd || facts.zerosToEnd
        facts.durableBeyond = bound > (endsHere ? max(id, heldBelow) : id)
        if isSealed, facts.atEnd { facts.durableBeyond = false }
        return try decide(facts, fault, offset)
    }

    private mutating func decide(
        _ facts: StopFacts, _ fault: PlaceFault?, _ offset: UInt64
    ) throws(DiskError) -> Bool {
        let verdict = VerdictTable.row(for: facts).verdict
        if verdict != .damaged { log.bound = provenBound }
        if log.isLive, verdict < .damaged { return false }
        switch verdict {
        case .newer:
            if let newer = behind?.newer { try stopNewer(at: newer.offset, newer.fields) }
            return false
        case .damaged:
            return try goOn(facts, fault, offset)
        case .torn:
            let left = size - offset
            log.report(
                LogFinding(
                    .tornTail, segment: name.fileName, offset: offset, length: left,
                    detail: fault?.tornReason(
                        id: id, position: base &+ offset, bytesLeft: left) ?? "",
                    durableBelow: bound,
                    evidence: "no id from \(id) on is known durable: nothing behind this place "
                        + "was acknowledged"))
        case .zeroTail:
            log.report(
                LogFinding(
                    .zeroTail, segment: name.fileName, offset: offset, length: size - offset,
                    detail: "\(size - offset) zero bytes: preallocated space"))
        case .clean, .error: break
        }
        log.settle(verdict)
        return false
    }

    /// Gathers the evidence behind the first bad place: newer frames, and durable ids.
    private mutating func lookBehind(_ offset: UInt64, _ fault: PlaceFault?) throws(DiskError) {
        var found = Behind()
        if case .newer(let fields)? = fault {
            found.newer = (offset, fields)
            if fields.id >= id { log.bound = max(log.bound, fields.durableBelow ?? 0) }
        }
        var from = offset + UInt64(fault?.wholeBytes ?? 1)
        while offset < size, let (at, hit) = try search.next(from: from, base: base, id: id) {
            switch hit {
            case .valid(let frame):
                found.note(frame.fields, at: at)
                from = at + UInt64(frame.bytes)
            case .newer(let fields):
                if found.newer == nil { found.newer = (at, fields) }
                if fields.id >= id { found.note(fields, at: at) }
                from = at + UInt64(fields.frameBytes)
            }
        }
        behind = found
    }

    private mutating func stopNewer(at offset: UInt64, _ fields: FrameFields) throws(DiskError) {
        log.report(
            LogFinding(
                .unknownField, segment: name.fileName, offset: offset,
                length: UInt64(fields.frameBytes),
                detail: PlaceFault.newer(fields).detail(
                    id: id, position: base &+ offset, bytesLeft: size - offset),
                durableBelow: bound,
                evidence: "its crc and its position hold: a later version wrote it"))
        log.settle(.newer)
        log.meetNewer(at: id)
        // What follows in this segment is not ours to judge; the next one says where it begins.
        endIsUnknown = true
        if isSealed { id = max(id, nextFirst ?? id) }
    }

    /// The place is damaged: reports it and finds the frame to go on with.
    private mutating func goOn(
        _ facts: StopFacts, _ fault: PlaceFault?, _ offset: UInt64
    ) throws(DiskError) -> Bool {
        log.settle(.damaged)
        if !isSealed, !facts.disjoint, facts.atEnd || facts.zerosToEnd {
            log.reportBeyondEnd(at: offset, id: max(id, heldBelow), segment: name)
            id = bound
            return false
        }
        guard let fault else { return false }
        if let whole = fault.wholeBytes, !facts.durableBeyond, !isSealed, !facts.disjoint {
            return try skipWhole(fault, at: offset, bytes: UInt64(whole))
        }
        let limit = isSealed ? (following ?? .max) : bound
        var from = offset + UInt64(fault.wholeBytes ?? 1)
        // A frame that stands where it says and only lacks the mark before it is kept.
        if case .notAMark(let fields) = fault, fields.id == id, fields.position == base {
            from = offset
        }
        var tornFrom: UInt64?
        while let (at, hit) = try search.next(from: from, base: base, id: id) {
            guard case .valid(let frame) = hit else { break }
            if frame.fields.id <= limit {
                try reportDamage(fault, at: offset, to: at, lostBelow: frame.fields.id)
                id = frame.fields.id
                walker.seek(to: at)
                return true
            }
            if tornFrom == nil { tornFrom = at }
            from = at + UInt64(frame.bytes)
        }
        return try loseRest(fault, offset, tornFrom: tornFrom)
    }

    /// Where the ids of a sealed segment end, if the next one says so and does not overlap.
    private var following: UInt64? { nextFirst.flatMap { $0 >= id ? $0 : nil } }

    /// Nothing behind the place can be kept: the gap is closed up to the durable bound, and what
    /// follows is part of a commit that was never finished.
    private mutating func loseRest(
        _ fault: PlaceFault, _ offset: UInt64, tornFrom: UInt64?
    ) throws(DiskError) -> Bool {
        let limit = isSealed ? (following ?? bound) : bound
        let torn = isSealed ? nil : tornFrom
        endIsUnknown = true
        try reportDamage(fault, at: offset, to: torn ?? size, lostBelow: limit)
        if !isSealed, bound > provenBound {
            log.reportBeyondEnd(at: offset, id: max(id, heldBelow), segment: name)
        }
        log.bound = max(log.bound, isSealed ? 0 : limit)
        id = max(id, limit)
        if let torn {
            log.report(
                LogFinding(
                    .tornTail, segment: name.fileName, offset: torn, length: size - torn,
                    detail: "id: frames of a commit whose first ones are gone",
                    durableBelow: bound,
                    evidence: "no id from \(id) on is known durable"))
        }
        return false
    }

    /// A frame that is whole and in its place but not valid, and that nothing proves durable: it
    /// is left out, and the walk goes on behind it.
    private mutating func skipWhole(
        _ fault: PlaceFault, at offset: UInt64, bytes: UInt64
    ) throws(DiskError) -> Bool {
        var lostBelow = id
        // A mark takes no id.
        if case .inner(_, let fields, _) = fault, fields.id == id, id < .max,
            !fields.presence.contains(.mark)
        {
            lostBelow = id + 1
        }
        try reportDamage(fault, at: offset, to: offset + bytes, lostBelow: lostBelow)
        id = lostBelow
        walker.seek(to: offset + bytes)
        return true
    }

    private mutating func reportDamage(
        _ fault: PlaceFault, at offset: UInt64, to end: UInt64, lostBelow: UInt64
    ) throws(DiskError) {
        var zeros = false
        if end > offset { zeros = try log.isZero(file, offset..<end) }
        let detail = fault.detail(id: id, position: base &+ offset, bytesLeft: size - offset)
        let why =
            isSealed
            ? "every message of a sealed segment was durable"
            : bound > id
                ? "every id below \(bound) is known durable"
                : "the crc of these bytes holds: no crash leaves them"
        log.report(
            LogFinding(
                zeros ? .zeroHole : fault.findingKind, segment: name.fileName, offset: offset,
                length: end - offset, detail: zeros ? "\(end - offset) zero bytes" : detail,
                lost: lostBelow > max(id, heldBelow)
                    ? max(id, heldBelow)...lostBelow - 1 : nil,
                durableBelow: bound,
                evidence: why))
        log.settle(.damaged)
    }

    // MARK: The end

    private mutating func finish() -> LogExaminer {
        summary.base = baseIsKnown ? base : nil
        summary.nextID = id
        let index = log.result.segments.count - 1
        summary.verdict = log.result.segments[index].verdict
        log.result.segments[index] = summary
        if isSealed { log.bound = max(log.bound, id) }
        let joins = !isSealed || (nextFirst.map { $0 <= id } ?? (size > 0))
        if summary.messages == 0, summary.lostFrames == 0, summary.verdict < .torn, joins,
            !log.isLive
        {
            log.report(
                LogFinding(
                    .emptySegment, segment: name.fileName, offset: 0, length: size,
                    detail: "no messages"))
        }
        log.expectedID = max(id, log.expectedID ?? 0)
        if size > 0 {
            log.expectedPosition = base &+ summary.end
            log.previousEndsInLost = summary.endsInLost || endIsUnknown
        }
        if name == .active, log.newerAt == nil {
            log.unproven.prove(below: log.durableBelow)
            log.result.unprovenFrom = log.unproven.first ?? summary.end
        }
        return log
    }
}

extension PlaceFault {
    /// Why a tail is torn: one word of the contract (short, length, crc, id, position), then more.
    func tornReason(id: UInt64, position: UInt64, bytesLeft: UInt64) -> String {
        let word: String =
            switch self {
            case .length(let value):
                value.map(FrameLayout.lengths.contains) ?? true ? "short" : "length"
            case .crc: "crc"
            case .id: "id"
            case .position: "position"
            case .newer, .inner, .notAMark: "id"
            }
        return word + ": " + detail(id: id, position: position, bytesLeft: bytesLeft)
    }
}
