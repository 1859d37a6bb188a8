internal import SystemPackage
package import WAL

/// What a walk has found so far; at its end, about the whole log.
package struct GoWalkSummary: Hashable, Sendable {
    /// `newer` and `error` do not occur: the format has no room for the one, the other is thrown.
    package var verdict: Verdict = .clean
    /// The id of the first message that is there; nil if there is none.
    package var firstID: UInt64?
    /// The id of the next message; nil if nothing tells.
    package var nextID: UInt64?
    /// Messages that were handed out.
    package var messages: UInt64 = 0
    /// How many ids have no message any more; the findings say which.
    package var lostIDs: UInt64 = 0

    /// Nothing found yet.
    package init() {}
}

/// Walks the messages of a Go log, file after file, and goes on behind bad places. Memory does not
/// depend on the size of the log.
///
/// A Go log has no evidence but order: a bad place is damage if a valid, fitting frame is behind
/// it, and torn if none is. GoBadPlace.swift says what fits.
package struct GoSegmentWalk: ~Copyable {
    /// What comes next.
    package enum Step {
        /// A message; `frameBytes` has its bytes, `segment` and `offset` its place.
        case frame(GoFrame)
        /// Something worth telling about the place that the walk has come to.
        case finding(LogFinding)
        /// The log ends here.
        case end
    }

    let segments: [GoSegment]
    let disk: any Disk
    /// The file at `segmentIndex`, if open.
    var reader = GoSegmentReader()
    var segmentIndex = 0
    /// Where the next frame is looked for.
    var cursor: UInt64 = 0
    /// The id that belongs there; nil where any will do, before the first frame.
    var expected: UInt64?
    /// What has been found so far.
    package internal(set) var summary = GoWalkSummary()

    /// Findings that are told before the walk goes on.
    var queue: [LogFinding] = []
    /// A search has been to the end of this segment without a hit to rely on.
    var hasNoSureHit = false
    /// Something worse than a remark was found in this segment.
    var isBadHere = false
    private var framesHere = 0
    private var bytesBefore: UInt64 = 0
    private var lastTimestamp: UInt64?
    private var frameStart: UInt64 = 0
    private var frameCount = 0

    /// A walk over `segments`, which are in the order of their numbers.
    package init(_ segments: [GoSegment], on storage: Storage = .local) {
        self.segments = segments
        self.disk = storage.disk
        // The first id ever is 0, but files may have been removed from the front since.
        if segments.first?.number ?? 0 == 0 { summary.nextID = 0 }
    }

    /// The segment of what `next` gave last.
    package var segment: GoSegment { segments[min(segmentIndex, segments.count - 1)] }
    /// Where in its file the frame begins that `next` gave last.
    package var offset: UInt64 { frameStart }
    /// The bytes of the frame that `next` gave last; gone with the next call.
    package var frameBytes: RawSpan {
        @_lifetime(borrow self)
        borrowing get { reader.bytes(at: frameStart, frameCount) }
    }

    /// Walks to the end. `body` says whether to go on; findings come in the order of the log.
    @discardableResult
    package mutating func run(
        frame body: (borrowing GoMessage) -> Bool, finding report: (LogFinding) -> Void
    ) throws(DiskError) -> GoWalkSummary {
        while true {
            switch try next() {
            case .frame(let frame):
                let message = GoMessage(
                    frame, in: frameBytes, segment: segment.name, offset: frameStart)
                if !body(message) { return summary }
            case .finding(let finding): report(finding)
            case .end: return summary
            }
        }
    }

    /// The next message or finding. Blocks.
    package mutating func next() throws(DiskError) -> Step {
        while true {
            if !queue.isEmpty { return .finding(queue.removeFirst()) }
            guard segmentIndex < segments.count else { return .end }
            if !reader.isOpen { try reader.open(segments[segmentIndex].path, on: disk) }
            if cursor >= reader.end {
                finishSegment()
                continue
            }
            switch try reader.frame(at: cursor) {
            case .success(let frame):
                if let expected, frame.id > expected {
                    skipIDs(to: frame.id, since: expected)
                } else if let expected, frame.id < expected {
                    try passBadPlace(.stale(frame))
                } else {
                    return .frame(take(frame))
                }
            case .failure(let fault): try passBadPlace(.frame(fault))
            }
        }
    }

    private mutating func take(_ frame: GoFrame) -> GoFrame {
        if let lastTimestamp, frame.timestamp < lastTimestamp {
            queue.append(
                LogFinding(
                    .clockBack, segment: segment.name, offset: cursor,
                    length: UInt64(frame.frameBytes),
                    detail: "\(lastTimestamp - frame.timestamp) ns before the message before it",
                    evidence: "the timestamps of this frame and of the one before it"))
        }
        lastTimestamp = frame.timestamp
        frameStart = cursor
        frameCount = frame.frameBytes
        cursor += UInt64(frame.frameBytes)
        framesHere += 1
        summary.messages += 1
        summary.firstID = summary.firstID ?? frame.id
        summary.nextID = frame.nextID
        expected = frame.nextID
        return frame
    }

    /// A valid frame stands right behind the one before it, but ids are missing between them.
    private mutating func skipIDs(to id: UInt64, since missing: UInt64) {
        let isFirst = cursor == 0 && segmentIndex > 0
        let place = isFirst ? segments[segmentIndex - 1].name : segment.name
        note(
            LogFinding(
                isFirst ? .segmentMissing : .badID, segment: place,
                offset: isFirst ? bytesBefore : cursor, length: 0,
                detail: "id \(id) follows where \(missing) belongs", lost: missing...id - 1,
                evidence: "a valid frame with a higher id stands there"))
        expected = id
    }

    /// Leaves a segment at its end for the next one.
    private mutating func finishSegment() {
        if framesHere == 0, !isBadHere {
            queue.append(emptySegment(segment.name, bytes: reader.end))
        }
        bytesBefore = reader.end
        // The log's first file held nothing: the one behind it can only begin with id 0.
        expected = expected ?? summary.nextID
        enter(segmentIndex + 1, at: 0)
    }

    /// Goes on in another segment, or at another place of this one.
    mutating func enter(_ index: Int, at offset: UInt64) {
        if index != segmentIndex {
            reader.close()
            segmentIndex = index
            framesHere = 0
            hasNoSureHit = false
            isBadHere = offset > 0
        }
        cursor = offset
    }

    /// Tells a finding that is worse than a remark, and counts what it says is lost.
    mutating func note(_ finding: LogFinding) {
        queue.append(finding)
        isBadHere = true
        summary.verdict = max(summary.verdict, finding.kind == .tornTail ? .torn : .damaged)
        if let lost = finding.lost {
            // All ids but 2^64 - 1 may be in it: their number is at most that, no overflow.
            summary.lostIDs &+= lost.upperBound - lost.lowerBound + 1
        }
    }

    func emptySegment(_ name: String, bytes: UInt64) -> LogFinding {
        LogFinding(
            .emptySegment, segment: name, offset: 0, length: bytes, detail: "no messages",
            evidence: bytes == 0 ? "the file is empty" : "the file holds nothing but zeros")
    }
}
