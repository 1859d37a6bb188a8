package import SystemPackage

/// Examines all segments of a directory, read-only: the one judge of a log, for opening it and for
/// the tools alike. Damage is reported as values and the examination goes on; only an I/O error
/// ends it.
package struct LogExaminer {
    let disk: any Disk
    let directory: FilePath
    let visitor: (any ExaminationVisitor)?
    /// The first id above all that the caller knows to be durable; nil if it knows of none.
    let acknowledgedBelow: UInt64?
    /// Somebody is appending: nothing is said of what is not known durable.
    let isLive: Bool
    /// Threads that may help with long segments.
    let helper: ReadAhead.Helper?
    /// Which findings are in the result.
    let keeping: FindingsKept
    /// The one file that is asked about, the others being evidence; nil if all are.
    let asked: SegmentName?

    var result = Examination()
    /// The first id that the log itself does not prove durable, as far as it has been examined.
    var bound: UInt64 = 0
    /// The first id that is not known durable.
    var durableBelow: UInt64 { max(bound, acknowledgedBelow ?? 0) }
    /// What the next segment has to begin with; nil before the first.
    var expectedID: UInt64?
    var expectedPosition: UInt64?
    var previousEndsInLost = false
    /// Where the file of the segment before ends, should that be damaged up to there.
    var fileEnd: UInt64?
    var unproven = UnprovenFrames()
    var previousTimestamp: UInt64?
    /// The id expected where a frame of a later version was met; nil while none has been.
    var newerAt: UInt64?
    /// Nothing more is told: a frame of a later version ends what can be said of its log, but not
    /// of another file of it that was asked about.
    var isSilent = false
    /// Where in the result a segment without messages is that has not been reported.
    var emptySegment: Int?
    /// The id expected at the first place that is damaged; nil while none is.
    var damagedAt: UInt64?
    /// The whole mark that `segment.log` begins with.
    var activeMark: FrameFields?
    /// The position of offset 0 of `segment.log`, as far as that file tells by itself.
    var activeBase: UInt64?

    /// - Parameters:
    ///   - knownDurable: the highest id that the caller knows to be durable, for instance because
    ///     a consumer has acknowledged it; below 2^64 - 1.
    ///   - isLive: a process has the log open.
    ///   - helper: gives jobs to idle threads; the visitor is called on this one all the same.
    ///   - keeping: which findings are in the result.
    ///   - asked: the one file that is asked about. What is found in it is told also where another
    ///     one has a frame of a later version.
    package init(
        disk: any Disk, directory: FilePath, knownDurable: UInt64?, isLive: Bool = false,
        visitor: (any ExaminationVisitor)? = nil, helper: ReadAhead.Helper? = nil,
        keeping: FindingsKept = .all, asked: SegmentName? = nil
    ) {
        self.disk = disk
        self.directory = directory
        self.visitor = visitor
        self.isLive = isLive
        self.helper = helper
        self.keeping = keeping
        self.asked = asked
        acknowledgedBelow = knownDurable.map { $0 < .max ? $0 + 1 : .max }
    }

    /// Examines the segments of `listing`.
    package mutating func examine(_ listing: SegmentListing) throws(DiskError) -> Examination {
        let active = listing.hasActive ? try openActive() : nil
        defer { active?.file.close() }
        activeMark = active?.mark
        activeBase = active?.base
        let strays = try strays(among: listing.sealed, active)
        let isStray = Set(strays)
        let order = try order(listing.sealed.filter { !isStray.contains($0) }, active)
        bound = max(bound, order.namesProve, strays.last ?? 0)
        if active?.isMade == true { result.active = .made }
        for (index, entry) in order.entries.enumerated() {
            let next = index + 1 < order.entries.count ? order.entries[index + 1] : nil
            if entry.file == .active, let active {
                try examine(entry, active.file, active.size, next: next)
            } else {
                let file = try disk.open(entry.file.path(in: directory), .read)
                defer { file.close() }
                try examine(entry, file, try file.status().size, next: next)
            }
        }
        if active?.isMade != true {
            result.active = .unmade(exists: active != nil)
            reportEmptyBefore()
            try judgeUnmade(active)
        }
        if let activeMark {
            for first in strays { try report(stray: first, activeID: activeMark.id) }
        }
        // A later version's frame is judged from the first place without a valid frame, and that
        // may be long before it.
        result.nextID = newerAt.map { min($0, damagedAt ?? $0) } ?? expectedID ?? 0
        result.durableBelow = durableBelow
        result.endPosition = expectedPosition
        if isSilent { keepWhatIsBeforeNewer() }
        return result
    }

    private mutating func examine(
        _ entry: SegmentOrder.Entry, _ file: any DiskFile, _ size: UInt64,
        next: SegmentOrder.Entry?
    ) throws(DiskError) {
        let ahead = readAhead(file, size)
        defer { ahead?.stop() }
        var segment = SegmentExaminer(handOver(), entry, file, size, next: next, ahead: ahead)
        self = try segment.run()
    }

    /// Damage is spoken of only where the verdict is damage, and nothing that lies behind the first
    /// place without a valid frame.
    private mutating func keepWhatIsBeforeNewer() {
        let names = result.segments.enumerated().map { ($1.name.fileName, $0) }
        let order = Dictionary(names) { first, _ in first }
        func place(_ finding: LogFinding) -> (Int, UInt64) {
            (order[finding.segment] ?? names.count, finding.offset)
        }
        let asked = asked?.fileName
        // What another file holds does not end what is told of the one that is asked about.
        if let asked { result.findings.removeAll { $0.segment != asked } }
        let isBad = { (finding: LogFinding) in finding.kind.isDamage || finding.kind == .tornTail }
        let bad = result.findings.filter(isBad).map(place).min { $0 < $1 }
        guard let bad else { return }
        result.findings.removeAll { $0.kind != .unknownField && place($0) >= bad }
    }

    private func readAhead(_ file: any DiskFile, _ size: UInt64) -> ReadAhead? {
        guard let helper, size >= ReadAhead.worthwhileBytes else { return nil }
        return ReadAhead(file, to: size, helper: helper)
    }

    /// Whether the next segment may begin at a position: where the one before it ended; further on
    /// if that ends in a `lost` frame or nothing tells where it did; anywhere if it is the first.
    func maySegmentBegin(at position: UInt64) -> Bool {
        guard let expectedPosition else { return true }
        return position == expectedPosition || (previousEndsInLost && position > expectedPosition)
    }

    /// The state for a segment's examination, which gives it back. Were it kept here as well, each
    /// segment would begin with a copy of all that was found in those before it.
    private mutating func handOver() -> LogExaminer {
        defer {
            result = Examination()
            unproven = UnprovenFrames()
        }
        return self
    }

    /// What can be told of `segment.log` before it is its turn.
    struct Active {
        let file: any DiskFile
        let size: UInt64
        /// The whole mark at offset 0.
        let mark: FrameFields?
        /// The id that the segment begins with: its mark's, else that of the commit whose frame
        /// stands behind the mark, since a commit does not span segments.
        var firstID: UInt64?
        /// The position of offset 0, by the same frame.
        var base: UInt64?
        /// Its first bytes hold a whole frame of a later version.
        let newer: FrameFields?
        /// At most 38 bytes without a whole mark are a segment whose making was not finished.
        var isMade: Bool { mark != nil || size > UInt64(FrameLayout.smallestFrame) }
    }

    private func openActive() throws(DiskError) -> Active {
        let file = try disk.open(SegmentName.active.path(in: directory), .read)
        let size = try file.status().size
        var walker = FrameWalker(file, to: size)
        switch try walker.next(id: nil, base: nil) {
        case .frame(let frame) where frame.isMark:
            let mark = frame.fields
            return Active(
                file: file, size: size, mark: mark, firstID: mark.id, base: mark.position,
                newer: nil)
        case .broken(.newer(let fields)):
            return Active(file: file, size: size, mark: nil, newer: fields)
        default: break
        }
        var active = Active(file: file, size: size, mark: nil, newer: nil)
        walker.seek(to: UInt64(FrameLayout.smallestFrame))
        var search = FrameSearch(file, to: size)
        let markBytes = UInt64(FrameLayout.smallestFrame)
        if case .frame(let frame) = try walker.next(id: nil, base: nil),
            try !search.isCopy(frame, at: markBytes)
        {
            active.firstID = frame.fields.durableBelow
            active.base = frame.fields.position &- markBytes
        } else if active.isMade, let common = try search.commonBase() {
            active.base = common.base
            active.firstID = common.firstID
            if active.firstID == nil {
                active.firstID = try firstCommit(&search, base: common.base)
            }
        }
        return active
    }

    /// The id that the commit of the first whole frame begins with, where the beginning of a file
    /// is gone; nil if no frame is whole.
    private func firstCommit(
        _ search: inout FrameSearch, base: UInt64
    ) throws(DiskError) -> UInt64? {
        guard let (_, hit) = try search.next(from: 0, base: base, id: 0),
            case .valid(let frame) = hit
        else { return nil }
        return frame.fields.durableBelow
    }

    /// A missing `segment.log`, or one that was being made when the process died: whatever its few
    /// bytes are, it holds nothing and proves nothing, and opening makes it anew.
    private mutating func judgeUnmade(_ active: Active?) throws(DiskError) {
        let id = expectedID ?? 0
        let size = active?.size ?? 0
        var facts = StopFacts()
        facts.newerFrame =
            active?.newer.map { maySegmentBegin(at: $0.position) } ?? false
        // The fixed fields of a frame count whatever its version.
        if facts.newerFrame { bound = max(bound, active?.newer?.durableBelow ?? 0) }
        facts.durableBeyond = durableBelow > id
        facts.atEnd = true
        if active != nil {
            visitor?.begin(segment: .active, size: size)
            var summary = SegmentSummary(name: .active, size: size)
            summary.nextID = id
            result.segments.append(summary)
        }
        let verdict = VerdictTable.row(for: facts).verdict
        switch verdict {
        case .newer:
            report(
                LogFinding(
                    .unknownField, segment: SegmentName.activeName, offset: 0, length: size,
                    detail: "a whole frame with presence bits of a later version",
                    durableBelow: durableBelow, evidence: "its crc holds: a later version wrote it")
            )
            meetNewer(at: expectedID ?? active?.newer?.id ?? 0, in: .active)
        case .damaged:
            if let last = result.segments.last(where: { $0.name != .active }) {
                reportBelowName(at: last.size, id: id, segment: last.name)
            }
            reportBeyondEnd(at: 0, id: max(id, bound), segment: .active)
        case .clean where active != nil && !isLive:
            report(
                LogFinding(
                    .emptySegment, segment: SegmentName.activeName, offset: 0, length: size,
                    detail: size == 0
                        ? "no messages and no mark yet"
                        : "\(size) bytes and no whole mark: its making was not finished",
                    evidence: "nothing is written behind a mark before that is durable"))
        default: break
        }
        if active != nil { settle(verdict) }
        result.verdict = max(result.verdict, verdict)
        expectedID = max(id, verdict == .damaged ? durableBelow : 0)
    }

    /// A frame of a later version: what is told of the log ends here. The rest is read for what it
    /// proves, and nothing more is said of it, unless one other file is asked about.
    mutating func meetNewer(at id: UInt64, in file: SegmentName) {
        if asked == nil || asked == file { isSilent = true }
        if newerAt == nil { newerAt = id }
    }

    /// A place is damaged: what is told of the log ends there if a later version goes on with it.
    mutating func meetDamage(at id: UInt64) {
        if damagedAt == nil { damagedAt = id }
    }

    /// Reports a segment without messages once it is known to have lost none.
    mutating func reportEmptyBefore() {
        guard let index = emptySegment else { return }
        emptySegment = nil
        let empty = result.segments[index]
        guard empty.verdict < .torn else { return }
        report(
            LogFinding(
                .emptySegment, segment: empty.name.fileName, offset: 0, length: empty.size,
                detail: "no messages", evidence: "it holds marks and nothing else"))
    }

    /// The log ends below an id that the caller knows durable, however clean its last frame.
    mutating func reportBeyondEnd(at offset: UInt64, id: UInt64, segment: SegmentName) {
        guard let below = acknowledgedBelow, below > id else { return }
        report(
            LogFinding(
                .ackedBeyondEnd, segment: segment.fileName, offset: offset, length: 0,
                detail: "the log ends before id \(id), but id \(below - 1) is acknowledged",
                lost: id...below - 1, durableBelow: durableBelow,
                evidence: "a consumer acknowledged id \(below - 1), so it was durable"))
    }

    /// The log ends below the name of a segment, which is believed although the segment is another.
    mutating func reportBelowName(at offset: UInt64, id: UInt64, segment: SegmentName) {
        guard bound > id else { return }
        report(
            LogFinding(
                .segmentMissing, segment: segment.fileName, offset: offset, length: 0,
                detail: "the log ends before id \(id), a segment has the name of id \(bound)",
                lost: id...bound - 1, durableBelow: durableBelow,
                evidence: "every id below the name of a segment was durable"))
    }

    mutating func report(_ finding: LogFinding) {
        if isSilent { return }
        visitor?.finding(finding)
        guard keeping.holds(finding) else { return }
        var finding = finding
        // Where there are very many, their texts are mostly the same: one copy is held of those.
        if let last = result.findings.last {
            if finding.segment == last.segment { finding.segment = last.segment }
            if finding.detail == last.detail { finding.detail = last.detail }
            if finding.evidence == last.evidence { finding.evidence = last.evidence }
        }
        result.findings.append(finding)
    }

    /// Records the verdict of the segment at hand, the last of the result.
    mutating func settle(_ verdict: Verdict) {
        result.verdict = max(result.verdict, verdict)
        guard let last = result.segments.indices.last else { return }
        result.segments[last].verdict = max(result.segments[last].verdict, verdict)
    }

    /// Records a verdict of the segment before the one at hand.
    mutating func settlePrevious(_ verdict: Verdict) {
        result.verdict = max(result.verdict, verdict)
        let index = result.segments.count - 2
        guard index >= 0 else { return }
        result.segments[index].verdict = max(result.segments[index].verdict, verdict)
    }
}
