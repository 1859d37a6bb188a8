internal import WAL

/// The report of toymq-fsck for people: a line a topic, then what was found, why, and what to do.
package enum ReportText {
    /// Renders it into pieces of whole lines. `quiet` leaves out topics with nothing worse than a
    /// remark.
    package static func render<Failure: Error>(
        _ report: InspectionReport, quiet: Bool, into put: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        var piece: [UInt8] = []
        func line(_ line: String) throws(Failure) {
            // Names of files stand in all of them, and may hold anything.
            piece += Printable.text(line).utf8
            piece.append(UInt8(ascii: "\n"))
            guard piece.count >= InspectionReport.pieceBytes else { return }
            try put(piece)
            piece.removeAll(keepingCapacity: true)
        }
        for topic in report.topics {
            if quiet, topic.exitBits.isEmpty { continue }
            try line(head(topic))
            guard topic.errorText == nil else { continue }
            if let interruption = topic.interruption {
                try line("  not all was repaired: \(interruption)")
            }
            for finding in topic.findings {
                for text in lines(finding, topic) { try line(text) }
            }
        }
        for finding in report.findings where !quiet { try line("remark: \(finding.detail)") }
        for action in report.actions { try line(text(action)) }
        // An undo looks at no topic.
        if !quiet, !report.topics.isEmpty || report.actions.isEmpty {
            try line(closing(report))
        }
        if !piece.isEmpty { try put(piece) }
    }

    private static func head(_ topic: TopicReport) -> String {
        var head = "\(topic.topic): \(topic.verdict.rawValue)"
        if let error = topic.errorText { return head + ": \(error)" }
        if topic.isLive { head += ", in use: checked up to what is known durable" }
        let messages = topic.segments.reduce(0) { $0 + $1.messages }
        let bytes = topic.segments.reduce(0) { $0 + $1.size }
        head +=
            "; \(count(messages, "message")) in \(count(UInt64(topic.segments.count), "segment"))"
        head += ", \(bytes) bytes"
        if let next = topic.nextID { head += "; next id \(next)" }
        if let durable = topic.durableBelow { head += ", known durable below \(durable)" }
        return head
    }

    private static func lines(_ finding: Finding, _ topic: TopicReport) -> [String] {
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
            if let advice = finding.advice(in: topic) {
                lines.append("    next: \(advice)")
            }
        }
        return lines
    }

    private static func text(_ action: ReportAction) -> String {
        let kept = action.kept.map { "; the old file is \($0)" } ?? ""
        return
            "done: \(action.kind.rawValue) \(action.topic)/\(action.file): \(action.detail)\(kept)"
    }

    private static func closing(_ report: InspectionReport) -> String {
        let untold = report.topics.count { $0.errorText != nil }
        let bad = report.topics.count { !$0.exitBits.isEmpty } - untold
        let all = "\(report.path): \(count(UInt64(report.topics.count), "topic"))"
        if bad == 0, untold == 0 { return "\(all), \(report.verdict.rawValue)" }
        var parts = [all]
        if bad > 0 { parts.append("\(bad) with findings worse than a remark") }
        let halfway = report.topics.count { $0.interruption != nil }
        if halfway > 0 { parts.append("\(halfway) of which repaired in part only") }
        if untold > 0 { parts.append("\(untold) of which nothing was decided") }
        return parts.joined(separator: ", ") + "; worst verdict \(report.verdict.rawValue)"
    }

    private static func count(_ number: UInt64, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }
}
