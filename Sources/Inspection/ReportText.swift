internal import WAL

/// The report of toymq-fsck for people: a line a topic, then what was found, why, and what to do.
package enum ReportText {
    /// Renders it. `quiet` leaves out topics with nothing worse than a remark.
    package static func render(_ report: InspectionReport, quiet: Bool) -> String {
        var lines: [String] = []
        for topic in report.topics {
            if quiet, topic.exitBits.isEmpty { continue }
            lines += self.lines(topic)
        }
        for finding in report.findings where !quiet {
            lines.append("remark: \(finding.detail)")
        }
        for action in report.actions { lines.append(line(action)) }
        // An undo looks at no topic.
        if !quiet, !report.topics.isEmpty || report.actions.isEmpty {
            lines.append(closing(report))
        }
        // Names of files stand in all of them, and may hold anything.
        return lines.map { Printable.text($0) + "\n" }.joined()
    }

    private static func lines(_ topic: TopicReport) -> [String] {
        var head = "\(topic.topic): \(topic.verdict.rawValue)"
        if let error = topic.errorText { return [head + ": \(error)"] }
        if topic.isLive { head += ", in use: checked up to what is known durable" }
        let messages = topic.segments.reduce(0) { $0 + $1.messages }
        let bytes = topic.segments.reduce(0) { $0 + $1.size }
        head +=
            "; \(count(messages, "message")) in \(count(UInt64(topic.segments.count), "segment"))"
        head += ", \(bytes) bytes"
        if let next = topic.nextID { head += "; next id \(next)" }
        if let durable = topic.durableBelow { head += ", known durable below \(durable)" }
        return [head] + topic.findings.flatMap { lines($0, topic.dialect) }
    }

    private static func lines(_ finding: Finding, _ dialect: LogDialect) -> [String] {
        var line = "  \(finding.severity.rawValue): \(finding.kind.rawValue)"
        line += " in \(finding.segment) at offset \(finding.offset)"
        if finding.length > 0 { line += ", \(count(finding.length, "byte"))" }
        var lines = [line + ": " + finding.detail]
        if let lost = finding.lost {
            let ids =
                lost.lowerBound == lost.upperBound
                ? "message \(lost.lowerBound)" : "messages \(lost.lowerBound) to \(lost.upperBound)"
            lines.append("    \(ids) lost")
        }
        if finding.severity > .remark {
            if !finding.evidence.isEmpty { lines.append("    why: \(finding.evidence)") }
            if let advice = finding.kind.advice(for: dialect) {
                lines.append("    next: \(advice)")
            }
        }
        return lines
    }

    private static func line(_ action: ReportAction) -> String {
        let kept = action.kept.map { "; the old file is \($0)" } ?? ""
        return
            "done: \(action.kind.rawValue) \(action.topic)/\(action.file): \(action.detail)\(kept)"
    }

    private static func closing(_ report: InspectionReport) -> String {
        let bad = report.topics.filter { !$0.exitBits.isEmpty }.count
        let all = count(UInt64(report.topics.count), "topic")
        return bad == 0
            ? "\(report.path): \(all), \(report.verdict.rawValue)"
            : "\(report.path): \(all), \(bad) with findings worse than a remark; "
                + "worst verdict \(report.verdict.rawValue)"
    }

    private static func count(_ number: UInt64, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }
}
