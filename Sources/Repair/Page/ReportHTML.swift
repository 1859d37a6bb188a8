package import Inspection
package import SystemPackage
internal import DataDirectory
internal import WAL

/// The report as one self-contained page: a picture of each segment to scale, what was found with
/// the bytes around it and the evidence, and what to do next. Nothing is fetched.
package enum ReportHTML {
    /// So many findings of a topic are listed; how many more there are is said.
    private static let findingLimit = 500

    /// - Parameters:
    ///   - kept: where a repair has set the old files aside; nil if it has not.
    ///   - version: that of the tool.
    ///   - now: nanoseconds since 1970.
    package static func render(
        _ report: InspectionReport, _ pictures: ReportPictures, keptIn kept: FilePath?,
        version: String, now: UInt64
    ) -> [UInt8] {
        var page = HTMLText()
        page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
        page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
        page.raw("<title>")
        page.text("\(report.verdict.rawValue): \(report.path)")
        page.raw("</title><style>\(ReportStyle.sheet)</style></head><body><main>")
        head(report, "toymq-fsck \(version), \(TimestampText.string(now))", &page)
        next(report, kept, &page)
        legend(&page)
        for topic in report.topics { self.topic(topic, pictures, &page) }
        for finding in report.findings {
            page.element("p", "note", "remark: \(finding.detail)")
        }
        page.raw("</main></body></html>\n")
        return page.bytes
    }

    // MARK: The top

    private static func head(
        _ report: InspectionReport, _ origin: String, _ page: inout HTMLText
    ) {
        page.raw("<header><h1>")
        page.text(report.path)
        page.raw(" ")
        badge(report.verdict.rawValue, tone(report.verdict), &page)
        page.raw("</h1>")
        let bad = report.topics.filter { !$0.exitBits.isEmpty }.count
        let topics = report.topics.count
        page.element(
            "p", "note",
            "\(topics) \(topics == 1 ? "topic" : "topics"), \(bad) with findings worse than a "
                + "remark. \(origin).")
        page.raw("</header>")
    }

    private static func tone(_ verdict: Verdict) -> String {
        switch verdict {
        case .clean, .zeroTail: "good"
        case .torn: "warn"
        case .damaged, .newer, .error: "bad"
        }
    }

    private static func badge(_ text: String, _ tone: String, _ page: inout HTMLText) {
        page.element("span", "badge \(tone)", text)
    }

    private static func next(
        _ report: InspectionReport, _ kept: FilePath?, _ page: inout HTMLText
    ) {
        page.raw("<section class=\"card\"><h2>What to do next</h2>")
        if report.actions.isEmpty {
            for step in advice(report) {
                page.element("p", "", step.text)
                if let command = step.command { page.element("pre", "command", command) }
            }
        } else {
            done(report.actions, kept, &page)
            if report.topics.contains(where: { $0.interruption != nil }) {
                page.element(
                    "p", "",
                    "Something stopped the repair before all of it was done. Mend that, and run the "
                        + "same command again.")
            }
        }
        page.raw("</section>")
    }

    /// A step for each kind of trouble: the worst verdict alone would hide what can be saved.
    private static func advice(_ report: InspectionReport) -> [Step] {
        let path = quoted(report.path)
        let isAbout = { (dialect: LogDialect, verdicts: Set<Verdict>) in
            report.topics.contains { $0.dialect == dialect && verdicts.contains($0.verdict) }
        }
        var steps: [Step] = []
        if report.verdict == .error {
            steps.append(
                Step(
                    "A system call failed or a log is in use; nothing was decided about that. Mend it "
                        + "and ask again."))
        }
        if isAbout(.native, [.damaged]) {
            steps += damage(
                path,
                isRepaired: report.topics.contains {
                    $0.dialect == .native && $0.verdict == .damaged && !$0.isNewer
                })
        } else if isAbout(.native, [.torn]) {
            let isCut = report.topics.contains { $0.verdict == .torn && !$0.isRefused }
            steps.append(
                Step(
                    "A crash cut a commit short; nothing in it was acknowledged."
                        + (isCut ? " It is cut off, and its bytes are kept, by" : ""),
                    isCut ? "toymq-fsck --preen \(path)" : nil))
        } else if steps.isEmpty, report.verdict < .torn, report.exitBits.contains(.uncorrected) {
            steps.append(
                Step(
                    "A file was left by a replacement that a crash cut short. It is removed by",
                    "toymq-fsck --preen \(path)"))
        }
        if report.topics.contains(where: { $0.isRefused && $0.verdict < .damaged }) {
            let topic = quoted(FilePath(report.path).parentDirectory.string)
            steps.append(
                Step(
                    "Opening the log refuses it, for what is in another file. See what:",
                    "toymq-fsck \(topic)"))
        }
        if isAbout(.go, [.torn, .damaged]) {
            steps.append(Step("See what is left:", "toymq-dump \(path)"))
            steps.append(
                Step(
                    "Logs of the Go program are not repaired. What is whole can be taken over into "
                        + "a data directory of this broker:", "toymqctl import \(path) DATA"))
        }
        if report.topics.contains(where: \.isNewer) {
            steps.append(
                Step(
                    "A later version wrote \(report.topics.count > 1 ? "some of it" : "it"). Use that "
                        + "version."))
        }
        return steps.isEmpty ? [Step("Nothing. The log is sound.")] : steps
    }

    /// `isRepaired`: a repair would not refuse.
    private static func damage(_ path: String, isRepaired: Bool) -> [Step] {
        let steps = [
            Step(
                "Something that was durable is broken, which no crash does. Look at the disk "
                    + "first, and copy the directory while it can be read."),
            Step("See what is left:", "toymq-dump \(path)"),
        ]
        guard isRepaired else { return steps }
        return steps + [
            Step(
                "Save every valid message. The old files are set aside, and it can be undone:",
                "toymq-fsck --repair \(path)")
        ]
    }

    /// Something to do.
    private struct Step {
        let text: String
        let command: String?

        init(_ text: String, _ command: String? = nil) {
            self.text = text
            self.command = command
        }
    }

    private static func done(
        _ actions: [ReportAction], _ kept: FilePath?, _ page: inout HTMLText
    ) {
        page.element("p", "", "This was done, and what follows is what was found before it:")
        page.raw("<ul>")
        for action in actions {
            page.raw("<li><b>")
            page.text("\(action.kind.rawValue) \(action.topic)/\(action.file)")
            page.raw("</b> ")
            page.text(action.detail)
            if let kept = action.kept {
                page.raw("<br><span class=\"note\">the old file is ")
                page.text(kept)
                page.raw("</span>")
            }
            page.raw("</li>")
        }
        page.raw("</ul>")
        guard let kept else { return }
        page.element("p", "", "It can be undone as long as nothing else has been written:")
        page.element("pre", "command", "toymq-fsck --undo \(quoted(kept.string))")
    }

    /// A word for a shell.
    private static func quoted(_ text: String) -> String {
        let plain = text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            case UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"),
                UInt8(ascii: "+"), UInt8(ascii: ":"):
                true
            default: false
            }
        }
        if plain, !text.isEmpty { return text }
        let parts = text.split(separator: "'", omittingEmptySubsequences: false)
        return "'" + parts.joined(separator: "'\\''") + "'"
    }

    private static func legend(_ page: inout HTMLText) {
        page.raw("<p class=\"legend\">")
        for paint in SegmentMap.Paint.allCases {
            page.raw("<span><i class=\"\(paint.rawValue)\"></i>\(paint.label)</span>")
        }
        page.raw("</p>")
    }

    // MARK: A topic

    private static func topic(
        _ topic: TopicReport, _ pictures: ReportPictures, _ page: inout HTMLText
    ) {
        page.raw("<section class=\"topic\"><h2>")
        page.text(topic.topic)
        page.raw(" ")
        badge(topic.verdict.rawValue, tone(topic.verdict), &page)
        page.raw("</h2>")
        if let error = topic.errorText { page.element("p", "", error) }
        if let interruption = topic.interruption {
            page.element("p", "", "Not all was repaired: \(interruption).")
        }
        page.element("p", "note", facts(topic))
        let places = Dictionary(grouping: topic.findings, by: \.segment)
        for segment in topic.segments { map(segment, places[segment.name] ?? [], &page) }
        let findings = topic.findings.sorted { $0.severity > $1.severity }
        for finding in findings.prefix(findingLimit) {
            self.finding(finding, topic, pictures, &page)
        }
        if findings.count > findingLimit {
            page.element("p", "note", "and \(findings.count - findingLimit) more findings")
        }
        page.raw("</section>")
    }

    private static func facts(_ topic: TopicReport) -> String {
        let messages = topic.segments.reduce(0) { $0 + $1.messages }
        let bytes = topic.segments.reduce(0) { $0 + $1.size }
        let segments = topic.segments.count
        var text =
            "\(messages) \(messages == 1 ? "message" : "messages") in "
            + "\(segments) \(segments == 1 ? "segment" : "segments"), \(bytes) bytes"
        if let next = topic.nextID { text += "; next id \(next)" }
        if let durable = topic.durableBelow { text += ", known durable below \(durable)" }
        if topic.isLive { text += "; in use: checked up to what is known durable" }
        return text
    }

    private static func map(
        _ segment: SegmentReport, _ findings: [Finding], _ page: inout HTMLText
    ) {
        let map = SegmentMap(segment, findings)
        page.raw("<figure><figcaption><b>")
        page.text(segment.name)
        page.raw("</b><span class=\"note\">")
        var text = "\(segment.size) bytes, \(segment.messages) messages"
        if let first = segment.firstID { text += ", ids from \(first)" }
        page.text(text)
        page.raw("</span></figcaption>")
        page.raw("<svg viewBox=\"0 0 1000 28\" preserveAspectRatio=\"none\" role=\"img\" ")
        page.raw("aria-label=\"")
        page.text("map of \(segment.name)")
        page.raw("\">")
        for part in map.parts {
            page.raw(
                "<rect class=\"\(part.paint.rawValue)\" x=\"\(part.x)\" y=\"0\" "
                    + "width=\"\(part.width)\" height=\"28\"><title>")
            page.text(part.places == 1 ? part.title : "\(part.places) places from \(part.title)")
            page.raw("</title></rect>")
        }
        page.raw("</svg><div class=\"scale note\"><span>0</span><span>\(segment.size / 2)</span>")
        page.raw("<span>\(segment.size)</span></div></figure>")
    }

    private static func finding(
        _ finding: Finding, _ topic: TopicReport, _ pictures: ReportPictures,
        _ page: inout HTMLText
    ) {
        let tone =
            switch finding.severity {
            case .remark: "plain"
            case .expected: "warn"
            case .damage, .newer: "bad"
            }
        page.raw("<article class=\"card \(tone)\"><h3>")
        badge(finding.severity.rawValue, tone, &page)
        page.raw(" ")
        page.text(finding.kind.rawValue)
        page.raw("</h3>")
        var place = "\(finding.segment) at offset \(finding.offset)"
        if finding.length > 0 { place += ", \(finding.length) bytes" }
        page.element("p", "note", place)
        page.element("p", "", finding.detail)
        if let lost = finding.lost {
            page.element(
                "p", "",
                lost.lowerBound == lost.upperBound
                    ? "Message \(lost.lowerBound) is lost."
                    : "Messages \(lost.lowerBound) to \(lost.upperBound) are lost.")
        }
        if !finding.evidence.isEmpty { page.element("p", "", "Why: \(finding.evidence).") }
        if let advice = finding.advice(in: topic) {
            page.element("p", "", "Next: \(advice).")
        }
        let key = ReportPictures.Place(
            topic: topic.topic, file: finding.segment, offset: finding.offset)
        if let excerpt = pictures.excerpts[key] {
            HexDump.render(excerpt, finding, &page)
        }
        page.raw("</article>")
    }
}
