/// Examines one segment file: walks its frames, decides by the verdict table where the walk stops,
/// and goes on behind damage as long as there is anything to go on with.
struct SegmentExaminer: ~Copyable {
    var log: LogExaminer
    /// The name of its file.
    let name: SegmentName
    /// The segment that it is.
    let place: SegmentName
    let file: any DiskFile
    var size: UInt64
    /// The id that it begins with, should that be known before it is walked.
    let ownFirst: UInt64?
    /// The position of offset 0 if that was told before it is walked.
    let toldBase: UInt64?
    /// For a sealed segment: the id that the next one begins with, where that can be told.
    let nextFirst: UInt64?
    /// The segment behind this one.
    let nextName: SegmentName?

    var walker: FrameWalker
    var search: FrameSearch
    var summary: SegmentSummary
    /// n: the id expected at the walker's offset.
    var id: UInt64 = 0
    /// The position of offset 0; meaningless while nothing tells it.
    var base: UInt64 = 0
    /// Where the next frame begins that the visitor wants to see, or later.
    var visitDue: UInt64 = 0
    var baseIsKnown = true
    /// What was found behind the first bad place; looked for only once, to the end of the file.
    var behind: Behind?
    /// Ids that the segments before hold, should they overlap with this one: they are not lost.
    let heldBelow: UInt64
    /// The frame at offset 0 stands where it says, and only lacks the mark before it.
    var lacksOnlyItsMark = false
    /// What `segment.log` says of where the ids of this one end; nil until it was asked.
    var endOfIDs: UInt64??
    /// Where the segment once ended is not known, so nothing says where the next one begins.
    var endIsUnknown = false

    struct Behind {
        var newer: (offset: UInt64, fields: FrameFields)?
        /// The ids of all whole frames are below this.
        var framesBelow: UInt64 = 0
        /// What frames from an offset on prove, ascending by offset and descending by bound: the
        /// first entry behind a place tells the most. Ids mostly ascend, so they are hardly ever
        /// many; in a file that somebody made to be slow they are.
        private var proofs: [(offset: UInt64, bound: UInt64)] = []

        mutating func note(_ fields: FrameFields, at offset: UInt64) {
            guard let bound = fields.durableBelow else { return }
            while let last = proofs.last, last.bound <= bound { proofs.removeLast() }
            proofs.append((offset, bound))
        }

        /// The durable bound that the frames behind `offset` prove: a frame at the place itself
        /// is not behind it.
        func bound(behind offset: UInt64) -> UInt64 {
            let first = proofs.partitionPoint { $0.offset <= offset }
            return first < proofs.count ? proofs[first].bound : 0
        }
    }

    /// D at the place where the walk stands.
    var bound: UInt64 { max(provenBound, log.acknowledgedBelow ?? 0) }

    /// What the log itself proves there.
    var provenBound: UInt64 {
        max(log.bound, behind?.bound(behind: walker.offset) ?? 0)
    }

    init(
        _ log: LogExaminer, _ entry: SegmentOrder.Entry, _ file: any DiskFile, _ size: UInt64,
        next: SegmentOrder.Entry?, ahead: ReadAhead? = nil
    ) {
        self.log = log
        name = entry.file
        place = entry.place
        ownFirst = entry.firstID
        toldBase = entry.base
        self.file = file
        self.size = size
        nextFirst = next?.firstID
        nextName = next?.file
        heldBelow = log.expectedID ?? 0
        walker = FrameWalker(file, to: size, ahead: ahead)
        search = FrameSearch(file, to: size)
        summary = SegmentSummary(name: name, size: size)
        summary.place = place
    }

    var isSealed: Bool { place != .active }

    mutating func run() throws(DiskError) -> LogExaminer {
        if !log.isSilent { log.visitor?.begin(segment: name, size: size) }
        log.result.segments.append(summary)
        if case .sealed(let first) = place { join(firstID: first) }
        if name != place, let ownFirst { reportName(ownFirst) }
        // An empty file under a sealed name is no segment: a rename may replace it.
        if !(isSealed && size == 0) {
            let begun = try begin()
            log.reportEmptyBefore()
            if begun { try walk() }
        } else if case .sealed(let first) = place {
            id = first
            summary.firstID = first
            baseIsKnown = false
            log.reportEmptyBefore()
        }
        return finish()
    }

    // MARK: The walk

    mutating func walk() throws(DiskError) {
        while true {
            let offset = walker.offset
            if try walker.advance(id: id, base: base) {
                accept(walker.frame, at: offset)
                continue
            }
            switch try step() {
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

    /// What stands at the walker's place. A file may have any number of bad places that each claim
    /// 4 MiB: behind the first one the search is asked, which need not read each claim to its end.
    private mutating func step() throws(DiskError) -> FrameWalker.Step {
        if behind != nil, try search.isBrokenClaim(at: walker.offset) { return .broken(.crc) }
        return try walker.next(id: id, base: base)
    }

    mutating func accept(_ frame: DecodedFrame, at offset: UInt64) {
        let fields = frame.fields
        id = frame.nextID
        summary.frames += 1
        summary.end = offset + UInt64(frame.bytes)
        summary.endsInMark = frame.isMark
        summary.endsInLost = frame.lost != nil
        if let durable = fields.durableBelow { log.bound = max(log.bound, durable) }
        if place == .active {
            log.unproven.add(frame, at: offset)
            log.unproven.prove(below: log.durableBelow)
        }
        if frame.isMessage { summary.messages += 1 }
        if offset >= visitDue, !log.isSilent, let visitor = log.visitor {
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
                    detail: "timestamp \(fields.timestamp) after \(last)",
                    evidence: "the timestamps of this frame and of the one before it"))
        }
        log.previousTimestamp = fields.timestamp
        log.result.lastTimestamp = max(log.result.lastTimestamp ?? 0, fields.timestamp)
    }

    // MARK: The end

    mutating func finish() -> LogExaminer {
        summary.base = baseIsKnown ? base : nil
        summary.nextID = id
        let index = log.result.segments.count - 1
        summary.verdict = log.result.segments[index].verdict
        log.result.segments[index] = summary
        if isSealed { log.bound = max(log.bound, id) }
        if summary.messages == 0, summary.lostFrames == 0, !log.isLive {
            // Only the next segment tells whether messages are missing from the end of this one.
            log.emptySegment = index
            if !isSealed { log.reportEmptyBefore() }
        }
        log.expectedID = max(id, log.expectedID ?? 0)
        if size > 0 {
            log.expectedPosition = base &+ summary.end
            log.fileEnd = baseIsKnown ? base &+ size : nil
            log.previousEndsInLost = summary.endsInLost || endIsUnknown
        }
        if place == .active, log.newerAt == nil {
            log.unproven.prove(below: log.durableBelow)
            log.result.unprovenFrom = log.unproven.first ?? summary.end
        }
        return log
    }
}
