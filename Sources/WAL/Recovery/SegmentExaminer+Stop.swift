/// Where the walk stops, what that means, and with which frame it goes on.
extension SegmentExaminer {
    /// Decides about the place where the walk stands (`fault` is nil at the end of the file). True
    /// if there is a frame behind to go on with: the walker stands before it then.
    mutating func stop(
        _ fault: PlaceFault?, _ given: StopFacts
    ) throws(DiskError) -> Bool {
        var fault = fault
        let offset = walker.offset
        if behind == nil { try lookBehind(offset, fault) }
        if log.isLive, given == StopFacts() {
            switch try lookAgain(offset) {
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
        if !facts.atEnd { facts.zerosToEnd = try file.isZero(offset..<size) }
        // An overlapping segment may end early: what follows is in the segments before.
        let endsHere = facts.atEnd || facts.zerosToEnd
        facts.durableBeyond = bound > (endsHere ? max(id, heldBelow) : id)
        if isSealed, facts.atEnd { facts.durableBeyond = false }
        return try decide(facts, fault, offset)
    }

    /// How much is read where only one place is looked at again.
    private static let placeBytes = 64

    /// What stands at `offset` now. What was read may have been written since; evidence found since
    /// then makes it durable. The walker has passed the frame if there is one.
    private mutating func lookAgain(_ offset: UInt64) throws(DiskError) -> FrameWalker.Step {
        let now = max(size, try file.status().size)
        let hasGrown = now > size
        size = now
        // A file may have any number of bad places, and at most of them nothing has changed.
        var place = FrameWalker(file, from: offset, to: size, chunkBytes: Self.placeBytes)
        let step = try place.next(id: id, base: base)
        if case .frame = step {
            walker = FrameWalker(file, from: offset, to: size)
            return try walker.next(id: id, base: base)
        }
        if hasGrown { walker = FrameWalker(file, from: offset, to: size) }
        return step
    }

    mutating func decide(
        _ facts: StopFacts, _ fault: PlaceFault?, _ offset: UInt64
    ) throws(DiskError) -> Bool {
        let verdict = VerdictTable.row(for: facts).verdict
        if verdict != .damaged { log.bound = provenBound }
        if verdict == .damaged { log.meetDamage(at: id) }
        if log.isLive, verdict < .damaged { return false }
        switch verdict {
        case .newer:
            // What ended before this segment is known, whoever wrote it.
            log.reportEmptyBefore()
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
                    detail: "\(size - offset) zero bytes: preallocated space",
                    evidence: "nothing but zeros up to the end of the file, and no id from "
                        + "\(id) on is known durable"))
        case .clean, .error: break
        }
        log.settle(verdict)
        return false
    }

    /// Gathers the evidence behind the first bad place: newer frames, and durable ids.
    mutating func lookBehind(_ offset: UInt64, _ fault: PlaceFault?) throws(DiskError) {
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
                found.framesBelow = max(found.framesBelow, frame.nextID)
                from = at + UInt64(frame.bytes)
            case .newer(let fields):
                if found.newer == nil { found.newer = (at, fields) }
                if fields.id >= id { found.note(fields, at: at) }
                from = at + UInt64(fields.frameBytes)
            }
        }
        behind = found
    }

    mutating func stopNewer(at offset: UInt64, _ fields: FrameFields) throws(DiskError) {
        log.report(
            LogFinding(
                .unknownField, segment: name.fileName, offset: offset,
                length: UInt64(fields.frameBytes),
                detail: PlaceFault.newer(fields).detail(
                    id: id, position: base &+ offset, bytesLeft: size - offset),
                durableBelow: bound,
                evidence: "its crc and its position hold: a later version wrote it"))
        log.settle(.newer)
        log.meetNewer(at: id, in: name)
        // What follows in this segment is not ours to judge; the next one says where it begins.
        endIsUnknown = true
        if isSealed {
            id = max(id, nextFirst ?? id)
            // Whatever the segment holds was durable before it was sealed.
            log.bound = max(log.bound, behind?.framesBelow ?? 0)
        }
    }

    /// The place is damaged: reports it and finds the frame to go on with.
    mutating func goOn(
        _ facts: StopFacts, _ fault: PlaceFault?, _ offset: UInt64
    ) throws(DiskError) -> Bool {
        log.settle(.damaged)
        if !isSealed, !facts.disjoint, facts.atEnd || facts.zerosToEnd {
            let end = max(id, heldBelow)
            log.reportBelowName(at: offset, id: end, segment: name)
            log.reportBeyondEnd(at: offset, id: max(end, log.bound), segment: name)
            id = bound
            return false
        }
        guard let fault else { return false }
        if let whole = fault.wholeBytes, !facts.durableBeyond, !isSealed, !facts.disjoint {
            return try skipWhole(fault, at: offset, bytes: UInt64(whole))
        }
        let limit = isSealed ? (try following() ?? .max) : bound
        var from = offset + UInt64(fault.wholeBytes ?? 1)
        if lacksOnlyItsMark, offset == 0 { from = offset }
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
    mutating func following() throws(DiskError) -> UInt64? {
        var first = nextFirst
        if nextName == .active, baseIsKnown, let told = log.activeBase, told != base &+ size {
            if endOfIDs == nil { endOfIDs = .some(try activeFirst(at: told)) }
            first = endOfIDs ?? nil
        }
        return first.flatMap { $0 >= id ? $0 : nil }
    }

    /// The id that `segment.log` begins with, if it does not begin where this file ends but says
    /// that it does at `told`; nil if it does not tell.
    private mutating func activeFirst(at told: UInt64) throws(DiskError) -> UInt64? {
        let end = base &+ size
        // Bytes may have been put into this file or taken out of it.
        if let mark = log.activeMark, mark.id >= id, FrameLayout.mayBeNeighbours(told, end) {
            return nextFirst
        }
        let next = try log.disk.open(SegmentName.active.path(in: log.directory), .read)
        defer { next.close() }
        var behind = FrameSearch(next, to: try next.status().size)
        if let (_, hit) = try behind.next(from: 0, base: end, id: id),
            case .valid(let frame) = hit
        {
            return frame.fields.durableBelow
        }
        // A page of this segment has got there if frames of this one stand behind it.
        if log.activeMark == nil, told &- base < size,
            try search.next(from: told &- base, base: base, id: id) != nil
        {
            return nil
        }
        return nextFirst
    }

    /// Nothing behind the place can be kept: the gap is closed up to the durable bound, and what
    /// follows is part of a commit that was never finished.
    mutating func loseRest(
        _ fault: PlaceFault, _ offset: UInt64, tornFrom: UInt64?
    ) throws(DiskError) -> Bool {
        var limit = bound
        if isSealed {
            limit = try endOfSealed(lostFrom: offset)
        }
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

    /// The first id behind a sealed segment whose end is damaged. Where no later segment tells, as
    /// many are taken for lost as the length fields lead through, and behind the place where they
    /// lead nowhere as many as there is room for: rather too many than one that is given out again.
    mutating func endOfSealed(lostFrom offset: UInt64) throws(DiskError) -> UInt64 {
        if let following = try following() { return following }
        // Another sealed one that begins lower is a copy, or overlaps: the ids are in that.
        guard nextFirst == nil || nextName == .active else { return bound }
        let smallest = UInt64(FrameLayout.smallestFrame)
        // The mark that it begins with takes no id, and it was sealed with a message.
        var at = max(offset, smallest)
        var lost: UInt64 = at < size ? 0 : 1
        var header = ByteBuffer()
        while at < size {
            let left = size - at
            header.reset()
            _ = try file.readFully(
                at: at, count: Int(min(left, smallest)), into: &header)
            guard header.count == FrameLayout.smallestFrame,
                let bytes = FrameDecoder.claimedBytes(header.bytes), bytes <= left
            else {
                lost += max(1, left / smallest)
                break
            }
            if !FrameDecoder.fields(header.bytes).presence.contains(.mark) { lost += 1 }
            at += UInt64(bytes)
        }
        let (end, isBeyond) = id.addingReportingOverflow(lost)
        return max(bound, isBeyond ? .max : end)
    }

    /// A frame that is whole and in its place but not valid, and that nothing proves durable: it
    /// is left out, and the walk goes on behind it.
    mutating func skipWhole(
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

    mutating func reportDamage(
        _ fault: PlaceFault, at offset: UInt64, to end: UInt64, lostBelow: UInt64
    ) throws(DiskError) {
        var zeros = false
        if end > offset { zeros = try file.isZero(offset..<end) }
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
