internal import SystemPackage
internal import WAL

/// Why the frame that belongs at a place is not there.
enum GoPlaceFault {
    /// There is no whole, valid frame.
    case frame(GoFrameFault)
    /// There is one, with an id that was there already.
    case stale(GoFrame)

    /// Bytes of the frame if its checksum holds: nothing within is searched then.
    var wholeBytes: Int? {
        switch self {
        case .stale(let frame): frame.frameBytes
        case .frame(.inner(_, let frameBytes)): frameBytes
        case .frame: nil
        }
    }

    var isStale: Bool { if case .stale = self { true } else { false } }

    /// Whether zeros may stand there: they read as a length of 0 or are too few for a length.
    var maybeZeros: Bool {
        switch self {
        case .frame(.length(nil)), .frame(.length(0)): true
        default: false
        }
    }

    var kind: LogFinding.Kind {
        switch self {
        case .frame(.length): .badLength
        case .frame(.crc): .badCRC
        case .frame(.inner): .badInner
        case .stale: .badID
        }
    }

    /// Why a tail is torn: one word of the contract (short, length, crc, id), then more.
    func tornReason(expected: UInt64?, bytesLeft: UInt64) -> String {
        let word =
            switch self {
            case .frame(.length(let value)):
                value.map(GoFrameLayout.lengths.contains) ?? true ? "short" : "length"
            case .frame(.crc): "crc"
            case .frame(.inner): "length"
            case .stale: "id"
            }
        return word + ": " + detail(expected: expected, bytesLeft: bytesLeft)
    }

    func detail(expected: UInt64?, bytesLeft: UInt64) -> String {
        switch self {
        case .frame(.length(nil)):
            "only \(bytesLeft) bytes are left, too few for a length field"
        case .frame(.length(let length?)):
            GoFrameLayout.lengths.contains(length)
                ? "length \(length) leads past the end, \(bytesLeft) bytes are left"
                : "length \(length) is not between 26 and 4194304"
        case .frame(.crc): "the checksum does not match"
        case .frame(.inner): "the checksum holds, but the parts do not fill the frame"
        case .stale(let frame):
            "a whole frame with id \(frame.id)" + (expected.map { " where \($0) belongs" } ?? "")
        }
    }
}

// What fits behind a bad place.
//
// Behind P, where id n belongs, a valid frame fits if its id is above n: n itself is what stands
// broken at P, and lower ids are copies of older frames, which the payload of a torn frame may
// well hold. In a later file n fits as well; it was begun anew after the break.
//
// A payload may also hold frames of another log, with any ids. So a frame is relied on at once
// only if there is room for the ids between (each takes 30 bytes at least), or if the frame right
// behind it continues it, or if the file ends there; else only if nothing better follows. And
// frame n is accepted behind P if frame n + 1 stands right behind it: then what is broken at P is
// not frame n, but something that got before it.
extension GoSegmentWalk {
    /// Where the walk goes on.
    private struct Goal {
        var segment: Int
        var offset: UInt64
        var id: UInt64
        var isSure: Bool
    }

    private enum Reliance {
        case none
        case unsure
        case sure
    }

    /// Judges the place at the cursor, tells what it finds and goes on behind it.
    mutating func passBadPlace(_ fault: GoPlaceFault) throws(DiskError) {
        let missing = expected ?? summary.nextID
        reader.isSuspect = true
        guard let goal = try goal(behind: fault, expected: missing) else {
            try tellTail(fault, expected: missing)
            enter(segments.count, at: 0)
            return
        }
        try tellDamage(fault, expected: missing, upTo: goal)
        enter(goal.segment, at: goal.offset)
        hasNoSureHit = hasNoSureHit || !goal.isSure
        expected = goal.id
    }

    // MARK: Searching

    /// The first frame to go on with, in this segment or a later one; nil if nothing fits.
    private mutating func goal(
        behind fault: GoPlaceFault, expected: UInt64?
    ) throws(DiskError) -> Goal? {
        if let goal = try goalInThisSegment(behind: fault, expected: expected) { return goal }
        var ahead = GoSegmentReader()
        for index in segmentIndex + 1..<max(segments.count, segmentIndex + 1) {
            try ahead.open(segments[index].path, on: disk)
            var unsure: Goal?
            var from: UInt64 = 0
            while let (offset, frame) = try ahead.search(from: from, id: expected) {
                let isContinued = try GoSegmentWalk.isContinued(offset, frame, in: &ahead)
                let endsFile = offset + UInt64(frame.frameBytes) == ahead.end
                let isSure = offset == 0 || isContinued || endsFile
                let goal = Goal(segment: index, offset: offset, id: frame.id, isSure: isSure)
                if isSure { return goal }
                unsure = unsure ?? goal
                from = offset + 1
            }
            if let unsure { return unsure }
        }
        return nil
    }

    private mutating func goalInThisSegment(
        behind fault: GoPlaceFault, expected: UInt64?
    ) throws(DiskError) -> Goal? {
        if let goal = try goalByLengths(behind: fault, expected: expected) { return goal }
        var unsure: Goal?
        var from = cursor + UInt64(fault.wholeBytes ?? 1)
        while let (offset, frame) = try reader.search(from: from, id: expected) {
            let reliance = try reliance(offset, frame, fault, expected)
            let goal = Goal(
                segment: segmentIndex, offset: offset, id: frame.id, isSure: reliance == .sure)
            if reliance == .sure || reliance == .unsure && hasNoSureHit { return goal }
            if reliance == .unsure, unsure == nil { unsure = goal }
            from = offset + 1
        }
        return unsure
    }

    /// The next frame, if one of the broken frame's lengths still leads to it. Asked before any
    /// search, which may find a frame inside the broken one's payload.
    private mutating func goalByLengths(
        behind fault: GoPlaceFault, expected: UInt64?
    ) throws(DiskError) -> Goal? {
        guard let expected, fault.wholeBytes == nil else { return nil }
        for size in try reader.possibleSizes(at: cursor) {
            let next = cursor + UInt64(size)
            guard next < reader.end, case .success(let frame) = try reader.frame(at: next),
                frame.id > 0, frame.id - 1 == expected
            else { continue }
            return Goal(segment: segmentIndex, offset: next, id: frame.id, isSure: true)
        }
        return nil
    }

    private mutating func reliance(
        _ offset: UInt64, _ frame: GoFrame, _ fault: GoPlaceFault, _ expected: UInt64?
    ) throws(DiskError) -> Reliance {
        let isContinued = try GoSegmentWalk.isContinued(offset, frame, in: &reader)
        if let expected {
            if frame.id < expected { return .none }
            if frame.id == expected, !fault.isStale { return isContinued ? .sure : .none }
            let room = (offset - cursor) / UInt64(GoFrameLayout.smallestFrame)
            if frame.id - expected <= room { return .sure }
        }
        let endsFile = offset + UInt64(frame.frameBytes) == reader.end
        return isContinued || endsFile ? .sure : .unsure
    }

    /// Whether the frame right behind this one is valid and has the next id.
    private static func isContinued(
        _ offset: UInt64, _ frame: GoFrame, in reader: inout GoSegmentReader
    ) throws(DiskError) -> Bool {
        let next = offset + UInt64(frame.frameBytes)
        guard next < reader.end, case .success(let follower) = try reader.frame(at: next) else {
            return false
        }
        return follower.id == frame.nextID
    }

    // MARK: Telling

    /// Findings for all bytes from the cursor to `goal`. The first of them has all ids that are
    /// lost between the two.
    private mutating func tellDamage(
        _ fault: GoPlaceFault, expected: UInt64?, upTo goal: Goal
    ) throws(DiskError) {
        var lost: ClosedRange<UInt64>?
        if let expected, goal.id > expected { lost = expected...goal.id - 1 }
        let evidence =
            "a valid frame with id \(goal.id) is behind it, in "
            + "\(segments[goal.segment].name) at offset \(goal.offset)"
        let end = goal.segment == segmentIndex ? goal.offset : reader.end
        let isHole = fault.maybeZeros ? try reader.isZero(cursor..<end) : false
        note(
            LogFinding(
                isHole ? .zeroHole : fault.kind, segment: segment.name, offset: cursor,
                length: end - cursor,
                detail: isHole
                    ? "nothing but zeros"
                    : fault.detail(expected: expected, bytesLeft: reader.end - cursor),
                lost: lost, evidence: evidence))
        guard goal.segment > segmentIndex else { return }
        var ahead = GoSegmentReader()
        for index in segmentIndex + 1...goal.segment {
            try ahead.open(segments[index].path, on: disk)
            let end = index == goal.segment ? goal.offset : ahead.end
            let name = segments[index].name
            if ahead.end == 0 { queue.append(emptySegment(name, bytes: 0)) }
            if end == 0 { continue }
            let fault = try placeFault(atStartOf: &ahead)
            let isHole = fault.maybeZeros ? try ahead.isZero(0..<end) : false
            note(
                LogFinding(
                    isHole ? .zeroHole : fault.kind, segment: name, offset: 0, length: end,
                    detail: isHole
                        ? "nothing but zeros"
                        : fault.detail(expected: expected, bytesLeft: ahead.end),
                    evidence: evidence))
        }
    }

    /// Findings for all bytes from the cursor to the end of the last segment: nothing behind fits.
    private mutating func tellTail(
        _ fault: GoPlaceFault, expected: UInt64?
    ) throws(DiskError) {
        let isZero = fault.maybeZeros ? try reader.isZero(cursor..<reader.end) : false
        tellTail(isZero ? nil : fault, segmentIndex, cursor..<reader.end, expected)
        var ahead = GoSegmentReader()
        for index in segmentIndex + 1..<max(segments.count, segmentIndex + 1) {
            try ahead.open(segments[index].path, on: disk)
            if ahead.end == 0 {
                queue.append(emptySegment(segments[index].name, bytes: 0))
                continue
            }
            let fault = try placeFault(atStartOf: &ahead)
            let isZero = fault.maybeZeros ? try ahead.isZero(0..<ahead.end) : false
            tellTail(isZero ? nil : fault, index, 0..<ahead.end, expected)
        }
    }

    /// The finding for one segment's part of the tail; zeros where there is no fault.
    private mutating func tellTail(
        _ fault: GoPlaceFault?, _ index: Int, _ range: Range<UInt64>, _ expected: UInt64?
    ) {
        let name = segments[index].name
        let length = range.upperBound - range.lowerBound
        if let fault {
            note(
                LogFinding(
                    .tornTail, segment: name, offset: range.lowerBound, length: length,
                    detail: fault.tornReason(expected: expected, bytesLeft: length),
                    evidence: "no valid frame that could follow is behind it"))
            return
        }
        summary.verdict = max(summary.verdict, .zeroTail)
        queue.append(
            LogFinding(
                .zeroTail, segment: name, offset: range.lowerBound, length: length,
                detail: "nothing but zeros up to the end",
                evidence: "every byte from here on was read, and no frame is behind it"))
        if range.lowerBound == 0 { queue.append(emptySegment(name, bytes: length)) }
    }

    /// Why there is no frame to go on with at offset 0 of a segment that is passed over.
    private func placeFault(
        atStartOf reader: inout GoSegmentReader
    ) throws(DiskError) -> GoPlaceFault {
        switch try reader.frame(at: 0) {
        case .success(let frame): .stale(frame)
        case .failure(let fault): .frame(fault)
        }
    }
}
