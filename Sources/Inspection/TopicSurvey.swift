internal import DataDirectory
internal import SystemPackage
package import WAL

/// Told of frames and findings in the order of a log, whoever wrote it.
package protocol SurveyVisitor: AnyObject {
    /// A frame of ours, in its place or behind damage. The bytes are valid during the call.
    func frame(_ frame: DecodedFrame, bytes: RawSpan, file: String, at offset: UInt64)
    /// A message of the Go program.
    func frame(go message: borrowing GoMessage)
    func finding(_ finding: Finding)
}

/// Inspects one log, read-only: its segments, with the consumers' positions as evidence, and what
/// else is in its directory.
package struct TopicSurvey {
    let target: TopicTarget
    let storage: Storage
    private let holdsLock: Bool
    private let keeping: FindingsKept
    private var disk: any Disk { storage.disk }

    /// How often a live directory that keeps changing is looked at again.
    private static let attempts = 5

    /// - Parameters:
    ///   - holdsLock: the caller holds the log's lock, so nobody else has it open.
    ///   - keeping: which findings about frames are in the report, of which there may be very many;
    ///     a visitor is told of all.
    package init(
        _ target: TopicTarget, on storage: Storage, holdsLock: Bool = false,
        keeping: FindingsKept = .all
    ) {
        self.keeping = keeping
        self.target = target
        self.storage = storage
        self.holdsLock = holdsLock
    }

    /// Inspects it. An I/O error is in the report; it is not a verdict about the log.
    package func run(visitor: (any SurveyVisitor)? = nil) -> TopicReport {
        do throws(DiskError) {
            switch target.kind {
            case .native: return try native(visitor)
            case .loneSegment(let file): return try lone(file, visitor)
            case .go(let segments, let offsets, let foreign):
                let survey = GoSurvey(
                    topic: target.name, segments: segments, offsets: offsets, foreign: foreign,
                    storage: storage, keeping: keeping)
                return try survey.run(visitor)
            }
        } catch {
            var report = TopicReport(topic: target.name)
            report.verdict = .error
            report.error = error
            return report
        }
    }

    // MARK: A topic directory

    private func native(_ visitor: (any SurveyVisitor)?) throws(DiskError) -> TopicReport {
        var attempt = 1
        while true {
            let collector = Collector(visitor, onlyFile: target.onlyFile)
            do {
                let report = try nativeOnce(collector)
                // The active segment is opened before the others are read: a seal meanwhile only
                // renames it. A seal or a drop in the moment before it was opened leaves other
                // names than were listed, and looks like a missing segment.
                if !report.isLive || report.verdict < .damaged { return report }
                if try SegmentListing(disk.list(target.directory)).sealed
                    == collector.listing?.sealed
                {
                    return report
                }
            } catch  where error.errno == .noSuchFileOrDirectory {
                if attempt == TopicSurvey.attempts { throw error }
            }
            // What a visitor has seen cannot be taken back.
            if collector.hasShown || attempt == TopicSurvey.attempts {
                throw DiskError(operation: .list, path: target.directory, errno: .resourceBusy)
            }
            attempt += 1
        }
    }

    private func nativeOnce(_ collector: Collector) throws(DiskError) -> TopicReport {
        var report = TopicReport(topic: target.name)
        report.isLive = isLive
        // The positions first: the log can only have grown since they were written.
        let (acknowledged, damage) = try offsets()
        let entries = try disk.list(target.directory)
        let listing = SegmentListing(entries)
        collector.listing = listing
        var examiner = LogExaminer(
            disk: disk, directory: target.directory, knownDurable: acknowledged,
            isLive: report.isLive, visitor: collector, keeping: keeping,
            asked: target.onlyFile.flatMap { SegmentName($0) })
        let found = try examiner.examine(listing)
        fill(&report, found)
        report.findings = found.findings.map { Finding($0) }
        report.logVerdict = max(found.verdict, damage == nil ? .clean : .damaged)
        if let only = target.onlyFile { try restrict(&report, to: only, found) }
        // It speaks of every file's messages, so it is damage of whichever is asked about.
        if let damage, report.verdict != .newer {
            report.verdict = max(report.verdict, .damaged)
            report.findings.append(damage)
            collector.show(damage)
        }
        guard target.onlyFile == nil else { return report }
        for finding in companions(listing) {
            report.findings.append(finding)
            collector.show(finding)
        }
        return report
    }

    /// Leaves what is about one file. Its verdict may be worse than what was found in it: where it
    /// does not join up with the segment before, that is reported there.
    private func restrict(
        _ report: inout TopicReport, to only: String, _ found: Examination
    ) throws(DiskError) {
        guard let segment = found.segments.first(where: { $0.name.fileName == only }) else {
            // Sealed or dropped since the path was looked at.
            throw DiskError(
                operation: .open, path: target.directory.appending(only),
                errno: .noSuchFileOrDirectory)
        }
        report.findings.removeAll { $0.segment != only }
        report.segments.removeAll { $0.name != only }
        let hasDamage = report.findings.contains { $0.severity == .damage }
        report.verdict = max(segment.verdict, hasDamage ? .damaged : .clean)
    }

    private func fill(_ report: inout TopicReport, _ found: Examination, fileName: String? = nil) {
        report.verdict = found.verdict
        report.nextID = found.nextID
        report.durableBelow = found.durableBelow
        report.segments = found.segments.map { summary in
            SegmentReport(
                name: fileName ?? summary.name.fileName, size: summary.size,
                firstID: summary.firstID, nextID: summary.nextID, messages: summary.messages,
                frames: summary.frames)
        }
    }

    private var isLive: Bool {
        if holdsLock { return false }
        if disk.lockHolder(target.directory) != nil { return true }
        guard let data = target.dataDirectory else { return false }
        return disk.lockHolder(DataLayout(data, storage: storage).lockFile) != nil
    }

    private func offsets() throws(DiskError) -> (acknowledged: UInt64?, damage: Finding?) {
        let path = target.directory.appending(DataLayout.offsetsName)
        do {
            let offsets = try OffsetsFile(path, storage: storage).load()
            return (offsets?.highestAcknowledged?.rawValue, nil)
        } catch {
            switch error {
            case .io(let error): throw error
            case .damaged(_, let damage):
                let size = try disk.status(path)?.size ?? 0
                let offset = min(damage.offset, size)
                let finding = Finding(
                    .offsetsDamaged, segment: DataLayout.offsetsName,
                    offset: offset, length: size - offset, detail: "\(damage)",
                    evidence: "it is replaced as a whole, so no crash leaves this")
                return (nil, finding)
            case .tooLarge: preconditionFailure("load() never throws it")
            }
        }
    }

    /// Files beside the segments.
    private func companions(_ listing: SegmentListing) -> [Finding] {
        var findings: [Finding] = []
        for (name, companion) in listing.companions.sorted(by: { $0.key < $1.key }) {
            findings.append(self.finding(name, companion))
        }
        for entry in listing.others {
            switch entry.name.string {
            case DataLayout.offsetsName where entry.kind == .file: break
            case DataLayout.lostAndFoundName: break
            case DataLayout.offsetsName + ".tmp" where entry.kind == .file:
                findings.append(finding(entry.name.string, .temporary))
            default:
                findings.append(
                    Finding(
                        .foreignFile, segment: entry.name.string,
                        detail: "\(entry.name.string) is no file of a log",
                        evidence: Finding.nameTells))
            }
        }
        return findings
    }

    private func finding(_ name: String, _ companion: SegmentName.Companion) -> Finding {
        let size = (try? disk.status(target.directory.appending(name)))??.size ?? 0
        switch companion {
        case .keptTail:
            return Finding(
                .keptTail, segment: name, length: size,
                detail: "\(size) bytes of a torn tail that opening set aside",
                evidence: Finding.nameTells)
        case .temporary:
            return Finding(
                .staleTemp, segment: name, length: size,
                detail: "left by a replacement that did not come to its rename",
                evidence: "the file that it was to replace is the old one, whole")
        }
    }

    // MARK: One file alone

    private func lone(
        _ file: String, _ visitor: (any SurveyVisitor)?
    ) throws(DiskError) -> TopicReport {
        var report = TopicReport(topic: target.name)
        let alone = LoneSegmentDisk(base: disk, actual: target.directory.appending(file))
        var listing = SegmentListing()
        listing.hasActive = true
        let collector = Collector(visitor, onlyFile: nil)
        collector.alias = file
        report.isLive = isLive
        report.isOfALog = file == SegmentName.activeName
        var examiner = LogExaminer(
            disk: alone, directory: target.directory, knownDurable: nil, isLive: report.isLive,
            visitor: collector, keeping: keeping)
        let found = try examiner.examine(listing)
        fill(&report, found, fileName: file)
        report.findings = found.findings.map { Finding($0, fileName: file) }
        return report
    }

    /// Passes on what an examination sees.
    private final class Collector: ExaminationVisitor {
        private let visitor: (any SurveyVisitor)?
        private let onlyFile: String?
        var listing: SegmentListing?
        /// The file's own name, where it is examined under another.
        var alias: String?
        private(set) var hasShown = false
        private var fileName = SegmentName.activeName
        private var isShown = true

        init(_ visitor: (any SurveyVisitor)?, onlyFile: String?) {
            self.visitor = visitor
            self.onlyFile = onlyFile
        }

        func begin(segment: SegmentName, size: UInt64) {
            fileName = alias ?? segment.fileName
            isShown = onlyFile == nil || onlyFile == fileName
        }

        func frame(
            _ frame: DecodedFrame, bytes: RawSpan, segment: SegmentName, at offset: UInt64
        ) {
            guard let visitor, isShown else { return }
            hasShown = true
            visitor.frame(frame, bytes: bytes, file: fileName, at: offset)
        }

        func finding(_ finding: LogFinding) {
            guard onlyFile == nil || onlyFile == finding.segment else { return }
            show(Finding(finding, fileName: alias))
        }

        func show(_ finding: Finding) {
            guard let visitor else { return }
            hasShown = true
            visitor.finding(finding)
        }
    }
}
