internal import DataDirectory
internal import SystemPackage
internal import WAL

/// Inspects a log of the Go program.
struct GoSurvey {
    let topic: String
    let segments: [GoSegment]
    let offsets: FilePath?
    let foreign: [String]
    let storage: Storage
    let keeping: FindingsKept

    func run(_ visitor: (any SurveyVisitor)?) throws(DiskError) -> TopicReport {
        var report = TopicReport(topic: topic)
        report.dialect = .go
        var counts: [String: (messages: UInt64, first: UInt64?, next: UInt64?)] = [:]
        var walk = GoSegmentWalk(segments, on: storage)
        loop: while true {
            switch try walk.next() {
            case .end: break loop
            case .finding(let finding): add(Finding(finding), &report, visitor)
            case .frame(let frame):
                let name = walk.segment.name
                var count = counts[name] ?? (0, nil, nil)
                count.messages += 1
                count.first = count.first ?? frame.id
                count.next = frame.nextID
                counts[name] = count
                guard let visitor else { continue }
                visitor.frame(
                    go: GoMessage(
                        frame, in: walk.frameBytes, segment: name, offset: walk.offset))
            }
        }
        report.verdict = walk.summary.verdict
        report.nextID = walk.summary.nextID
        for segment in segments {
            let count = counts[segment.name]
            report.segments.append(
                SegmentReport(
                    name: segment.name, size: try storage.disk.status(segment.path)?.size ?? 0,
                    firstID: count?.first, nextID: count?.next, messages: count?.messages ?? 0,
                    frames: count?.messages ?? 0))
        }
        try addOffsets(&report, visitor)
        for name in foreign {
            let finding = Finding(
                .foreignFile, segment: name, detail: "\(name) is no file of a Go log",
                evidence: Finding.nameTells)
            add(finding, &report, visitor)
        }
        return report
    }

    private func add(
        _ finding: Finding, _ report: inout TopicReport, _ visitor: (any SurveyVisitor)?
    ) {
        if keeping != .none { report.findings.append(finding) }
        visitor?.finding(finding)
    }

    private func addOffsets(
        _ report: inout TopicReport, _ visitor: (any SurveyVisitor)?
    ) throws(DiskError) {
        guard let offsets else { return }
        do {
            _ = try GoOffsets.load(offsets, on: storage)
        } catch {
            guard case .io(let cause) = error else {
                report.verdict = max(report.verdict, .damaged)
                add(
                    Finding(
                        .offsetsDamaged, segment: DataLayout.offsetsName, detail: "\(error)",
                        evidence: "it does not say what the Go program writes"),
                    &report, visitor)
                return
            }
            throw cause
        }
    }
}
