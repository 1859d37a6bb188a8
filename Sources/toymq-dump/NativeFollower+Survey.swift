import Inspection
import WAL

/// By what a finding is told from another one.
struct ToldFinding: Hashable {
    var kind: FindingKind
    var segment: String
    var offset: UInt64

    init(_ finding: Finding) {
        kind = finding.kind
        segment = finding.segment
        offset = finding.offset
    }
}

/// What the file was when the walk stood still in it.
struct StandStill: Hashable {
    var offset: UInt64
    var identity: FileIdentity
    var size: UInt64
    var modified: Int64
}

/// What shows that a place is damaged, by positions in the life of the log.
struct Evidence: Hashable {
    var place: UInt64
    /// The frame behind it that proves it; the place itself, or the end, where it tells by itself.
    var proof: UInt64
}

// MARK: What is damaged

extension NativeFollower {
    /// Shows what a dump would show of what was not shown yet, as far as it is known durable, and
    /// finds the place to go on at.
    func survey() throws(DiskError) {
        noteShown()
        place?.file.close()
        place = nil
        let survey = TopicSurvey(topic, on: Storage(disk), keeping: .none)
        // Once to find out what is known durable, and once to show it: no frame tells by itself.
        let first = survey.run()
        if let error = first.error { throw error }
        durableBelow = max(durableBelow, first.durableBelow ?? 0)
        printer.durableBelow = durableBelow
        defer { printer.durableBelow = nil }
        let visitor = FollowSurvey(
            printer, below: durableBelow, shownTo: shownTo, known: known)
        let report = survey.run(visitor: visitor)
        if let error = report.error { throw error }
        known = visitor.known
        endsInNewer = report.verdict == .newer
        // Another survey may follow before a segment could be attached to.
        if let end = visitor.end { shownTo = end.position }
        var start = visitor.next ?? visitor.end
        // What is lost at the end has no frame behind it to tell the id.
        if visitor.next == nil, topic.onlyFile == nil, let id = report.nextID {
            start?.id = max(id, visitor.end?.id ?? 0)
        }
        self.start = start
        if let start {
            nextID = start.id
        } else if durableBelow > 0 {
            nextID = durableBelow
        }
    }

    /// Whether something shows that the place where the walk stands still is damaged: it may as
    /// well be the end of what was written so far. Each evidence counts once.
    func meetsDamage(isSealed: Bool) throws(DiskError) -> Bool {
        guard let here = place, !printer.isDone else { return false }
        let status = try here.file.status()
        guard here.offset < status.size, isNew(status, at: here.offset) else { return false }
        let proof = isSealed ? status.size : try self.proof(here, status.size)
        guard let proof else { return false }
        // It may have been written between the walk and the search. A proof that was found is
        // true from then on.
        let again = try walk(here, try here.file.status().size)
        guard again.end == here.offset else {
            lastLook = nil
            return false
        }
        return isNew(
            Evidence(place: here.base &+ here.offset, proof: here.base &+ proof))
    }

    /// Whether there are bytes that look like no segment, and are not those of one being made.
    func meetsUnreadable() throws(DiskError) -> Bool {
        guard let status = try disk.status(unreadable), status.kind == .file,
            status.size > UInt64(FrameLayout.smallestFrame)
        else { return false }
        return isNew(status, at: 0)
    }

    private func isNew(_ status: FileStatus, at offset: UInt64) -> Bool {
        let look = StandStill(
            offset: offset, identity: status.identity, size: status.size, modified: status.modified)
        defer { lastLook = look }
        return look != lastLook
    }

    private func isNew(_ evidence: Evidence) -> Bool {
        defer { judged = evidence }
        return evidence != judged
    }

    /// The first frame that a survey would go on with behind the place where the walk stands, or
    /// the place itself if it holds a frame that was written as it is and is none; nil if it may be
    /// the end.
    private func proof(_ here: FollowedSegment, _ size: UInt64) throws(DiskError) -> UInt64? {
        var walker = FrameWalker(here.file, from: here.offset, to: size)
        guard case .broken(let fault) = try walker.next(id: here.nextID, base: here.base)
        else { return nil }
        let whole = fault.wholeBytes
        var search = FrameSearch(here.file, to: size)
        var from = here.offset + UInt64(whole ?? 1)
        while let (at, hit) = try search.next(from: from, base: here.base, id: here.nextID) {
            guard case .valid(let frame) = hit else { return at }
            let bound = max(durableBelow, frame.fields.durableBelow ?? 0)
            if whole != nil || bound > here.nextID { return at }
            from = at + UInt64(frame.bytes)
        }
        return whole == nil ? nil : here.offset
    }
}

/// Shows what a survey meets behind what was shown already, up to what is known durable.
private final class FollowSurvey: SurveyVisitor {
    private let printer: Printer
    private let durableBelow: UInt64
    private let shownTo: UInt64?
    /// What is met was shown already.
    private var isBehind: Bool
    private(set) var known: Set<ToldFinding>
    /// The first frame that nothing proves durable; nil if there is none.
    private(set) var next: FollowStart?
    /// Where the last frame before that ends; nil if there is none.
    private(set) var end: FollowStart?

    init(
        _ printer: Printer, below durableBelow: UInt64, shownTo: UInt64?, known: Set<ToldFinding>
    ) {
        self.printer = printer
        self.durableBelow = durableBelow
        self.shownTo = shownTo
        self.known = known
        isBehind = shownTo != nil
    }

    func frame(_ frame: DecodedFrame, bytes: RawSpan, file: String, at offset: UInt64) {
        guard next == nil, !printer.isDone else { return }
        let facts = FrameFacts(frame, at: offset)
        let here = FollowStart(
            file: file, base: frame.fields.position &- offset, offset: offset,
            id: frame.fields.id)
        if let shownTo, here.position >= shownTo { isBehind = false }
        if !isBehind, !facts.isBelow(durableBelow) {
            next = here
            return
        }
        var end = here
        end.offset += UInt64(frame.bytes)
        end.id = frame.nextID
        self.end = end
        if isBehind {
            // A finding at the place where it ends is the first that is new.
            if let shownTo, end.position >= shownTo { isBehind = false }
        } else {
            printer.show(facts, bytes: bytes, file: file)
        }
    }

    func frame(go message: borrowing GoMessage) {}

    func finding(_ finding: Finding) {
        guard !isBehind, known.insert(ToldFinding(finding)).inserted else { return }
        printer.finding(finding)
    }
}
