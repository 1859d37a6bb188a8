import Inspection
package import WAL

/// How a verdict and the findings beside it have to fit together, whoever wrote the log.
package enum FindingRules {
    package static func check(
        verdict: Verdict, findings: [LogFinding], sizes: [String: UInt64]
    ) throws {
        let severities = findings.map(\.kind.inspected.severity)
        let hasTornTail = findings.contains { $0.kind == .tornTail }
        switch verdict {
        case .clean, .zeroTail:
            try require(
                severities.allSatisfy { $0 == .remark }, "\(verdict), but \(findings)")
            try require(
                (verdict == .zeroTail) == findings.contains { $0.kind == .zeroTail },
                "\(verdict) and zero-tail do not agree: \(findings)")
        case .torn:
            try require(hasTornTail, "torn without a torn tail")
            try require(severities.allSatisfy { $0 <= .expected }, "torn, but \(findings)")
        case .damaged:
            try require(severities.contains(.damage), "damaged without damage: \(findings)")
            try require(!severities.contains(.newer), "damaged beside newer")
        case .newer:
            try require(severities.contains(.newer), "newer without a newer frame")
            try require(
                !severities.contains(.damage) && !hasTornTail, "newer, but \(findings)")
        case .error: throw BrokenInvariant(text: "an error without one")
        }
        for finding in findings {
            // A log may also end before a `segment.log` that is not there yet.
            let isUnmade = finding.segment == SegmentName.activeName && finding.length == 0
            let size = sizes[finding.segment] ?? (isUnmade ? 0 : nil)
            try require(size != nil, "about a file that is not there: \(finding)")
            let (end, overflow) = finding.offset.addingReportingOverflow(finding.length)
            try require(!overflow && end <= size ?? 0, "beyond the end of its file: \(finding)")
        }
    }
}
