internal import SystemPackage
internal import WAL

/// Frames back to back that a repair keeps as they are.
struct KeptRun: Hashable, Sendable {
    /// Where it is in the file, in bytes.
    var start: UInt64
    var end: UInt64
    /// The id that its first frame asks for.
    var firstID: UInt64
    /// The id behind its last frame.
    var nextID: UInt64
    var firstTimestamp: UInt64
    var lastTimestamp: UInt64
    /// How many marks it begins with.
    var leadingMarks: UInt64
    var endsInMark: Bool
    var endsInLost: Bool
    /// Frames that are messages.
    var messages: UInt64

    var beginsWithMark: Bool { leadingMarks > 0 }
}

/// What an examination says about one segment, as far as a repair needs it.
struct SegmentFacts: Sendable {
    /// The name that it will have.
    var name: SegmentName
    /// The one that its bytes have.
    var file: SegmentName
    /// Its name tells with which id it begins: not that of the active one, nor a name that the
    /// frames speak against.
    var nameTells: Bool
    /// Its file was found under the name of the segment that it is.
    let hasItsName: Bool
    var size: UInt64
    /// Position of offset 0; nil where nothing tells it.
    var base: UInt64?
    var firstID: UInt64
    /// The id behind the segment, what is lost at its end counted.
    var nextID: UInt64
    var runs: [KeptRun]
    /// Bytes of damage, by the offset where it begins.
    var damage: [UInt64: UInt64] = [:]
    /// Where a torn tail begins, and what tells so.
    var tornFrom: UInt64?

    /// What the examination says of the file of that name.
    init(
        _ file: SegmentName, as name: SegmentName? = nil, size: UInt64, base: UInt64?,
        firstID: UInt64, nextID: UInt64,
        runs: [KeptRun] = []
    ) {
        self.name = name ?? file
        self.file = file
        hasItsName = file == self.name
        nameTells = file != .active && hasItsName
        self.size = size
        self.base = base
        self.firstID = firstID
        self.nextID = nextID
        self.runs = runs
    }

    /// Messages that are kept.
    var messages: UInt64 { runs.reduce(0) { $0 + $1.messages } }
    /// The id that the first frame that is kept asks for; the segment's own if none is.
    var keptFirstID: UInt64 { runs.first?.firstID ?? firstID }
    /// The id behind the last frame that is kept.
    var keptNextID: UInt64 { runs.last?.nextID ?? firstID }
    var isSealed: Bool { name != .active }
    /// Position of the first frame that is kept, its mark as a rule; that of offset 0 if none is.
    var keptFrom: UInt64? { base.map { $0 &+ (runs.first?.start ?? 0) } }
    /// Position behind the last frame that is kept; nil if none is.
    var keptEnd: UInt64? {
        guard let base, let last = runs.last else { return nil }
        return base &+ last.end
    }
    /// Leaves out marks that it begins with and that stand before a position: the segment before
    /// has them as well.
    mutating func leaveOutMarks(before position: UInt64) {
        let mark = UInt64(FrameLayout.smallestFrame)
        while let first = runs.first, first.beginsWithMark, let from = keptFrom, from < position {
            runs[0].start += mark
            runs[0].leadingMarks -= 1
            if runs[0].start == first.end { runs.removeFirst() }
        }
    }

    /// Whether its mark is kept, so that its frames say where it begins.
    var hasMark: Bool { runs.first.map { $0.start == 0 && $0.beginsWithMark } ?? false }
}

/// Collects what an examination keeps, run by run: memory grows with the number of damaged places,
/// not with the log.
final class KeptRuns: ExaminationVisitor {
    private(set) var runs: [SegmentName: [KeptRun]] = [:]
    /// All messages.
    private(set) var messages = MessageIDs()
    private var name = SegmentName.active
    private var open: KeptRun?

    func begin(segment: SegmentName, size: UInt64) {
        closeRun()
        name = segment
    }

    func frame(_ frame: DecodedFrame, bytes: RawSpan, segment: SegmentName, at offset: UInt64) {
        let end = offset + UInt64(frame.bytes)
        let markBytes = UInt64(FrameLayout.smallestFrame)
        if frame.isMessage { messages.insert(frame.fields.id) }
        if let run = open, run.end == offset, run.nextID == frame.fields.id {
            open?.end = end
            open?.nextID = frame.nextID
            open?.lastTimestamp = frame.fields.timestamp
            if frame.isMark, (end - run.start) == (run.leadingMarks + 1) * markBytes {
                open?.leadingMarks += 1
            }
            open?.endsInMark = frame.isMark
            open?.endsInLost = frame.lost != nil
            open?.messages += frame.isMessage ? 1 : 0
            return
        }
        if let open { runs[name, default: []].append(open) }
        open = KeptRun(
            start: offset, end: end, firstID: frame.fields.id, nextID: frame.nextID,
            firstTimestamp: frame.fields.timestamp, lastTimestamp: frame.fields.timestamp,
            leadingMarks: frame.isMark ? 1 : 0, endsInMark: frame.isMark,
            endsInLost: frame.lost != nil, messages: frame.isMessage ? 1 : 0)
    }

    private func closeRun() {
        if let open { runs[name, default: []].append(open) }
        open = nil
    }

    /// Nothing more is to come.
    func finish() {
        closeRun()
        messages.sort()
    }

    /// The facts of all segments that were made, in the order of their names.
    func facts(_ found: Examination) -> [SegmentFacts] {
        var facts: [SegmentFacts] = []
        for summary in found.segments {
            if summary.name == .active, found.active != .made { continue }
            var first = facts.last?.nextID ?? 0
            if case .sealed(let named) = summary.place { first = named }
            var segment = SegmentFacts(
                summary.name, as: summary.place, size: summary.size, base: summary.base,
                firstID: summary.firstID ?? first, nextID: summary.nextID,
                runs: runs[summary.name] ?? [])
            for finding in found.findings where finding.segment == summary.name.fileName {
                switch finding.kind {
                case .tornTail: segment.tornFrom = finding.offset
                case .badLength, .badCRC, .badInner, .zeroHole, .badID, .badPosition:
                    segment.damage[finding.offset] = finding.length
                default: break
                }
            }
            facts.append(segment)
        }
        return facts
    }
}
