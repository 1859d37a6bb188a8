internal import DataDirectory
internal import WAL

/// The report of toymq-fsck as one JSON object. Members and their names are settled.
package enum ReportJSON {
    /// Renders it into pieces that together are the object, a newline behind it.
    package static func render<Failure: Error>(
        _ report: InspectionReport, into put: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        var writer = JSONWriter(capacity: 4096, spaced: true)
        writer.beginObject()
        writer.name("version")
        writer.integer(1)
        writer.name("path")
        writer.string(report.path)
        writer.name("verdict")
        writer.string(report.verdict.rawValue)
        writer.name("topics")
        writer.beginArray()
        for topic in report.topics { try write(topic, &writer, into: put) }
        writer.endArray()
        if !report.findings.isEmpty {
            writer.name("findings")
            try write(report.findings, &writer, into: put)
        }
        writer.name("actions")
        writer.beginArray()
        for action in report.actions { write(action, &writer) }
        writer.endArray()
        writer.endObject()
        writer.newline()
        try put(writer.buffer.bytes.copied())
    }

    private static func write<Failure: Error>(
        _ topic: TopicReport, _ writer: inout JSONWriter,
        into put: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        writer.beginObject()
        writer.name("topic")
        writer.string(topic.topic)
        writer.name("verdict")
        writer.string(topic.verdict.rawValue)
        writer.name("live")
        writer.bool(topic.isLive)
        writer.name("next_id")
        write(topic.nextID, &writer)
        writer.name("durable_below")
        write(topic.durableBelow, &writer)
        if let error = topic.errorText ?? topic.interruption {
            writer.name("error")
            writer.string(error)
        }
        writer.name("segments")
        writer.beginArray()
        for segment in topic.segments { write(segment, &writer) }
        writer.endArray()
        writer.name("findings")
        try write(topic.findings, &writer, into: put)
        writer.endObject()
    }

    private static func write<Failure: Error>(
        _ findings: [Finding], _ writer: inout JSONWriter,
        into put: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        writer.beginArray()
        for finding in findings {
            write(finding, &writer)
            guard writer.buffer.count >= InspectionReport.pieceBytes else { continue }
            try put(writer.buffer.bytes.copied())
            writer.buffer.reset()
        }
        writer.endArray()
    }

    private static func write(_ number: UInt64?, _ writer: inout JSONWriter) {
        if let number { writer.integer(number) } else { writer.null() }
    }

    private static func write(_ segment: SegmentReport, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("segment")
        writer.string(segment.name)
        writer.name("size")
        writer.integer(segment.size)
        writer.name("first_id")
        write(segment.firstID, &writer)
        writer.name("next_id")
        write(segment.nextID, &writer)
        writer.name("messages")
        writer.integer(segment.messages)
        writer.name("frames")
        writer.integer(segment.frames)
        writer.endObject()
    }

    private static func write(_ finding: Finding, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("finding")
        writer.string(finding.kind.rawValue)
        writer.name("severity")
        writer.string(finding.severity.rawValue)
        writer.name("segment")
        writer.string(finding.segment)
        writer.name("offset")
        writer.integer(finding.offset)
        writer.name("length")
        writer.integer(finding.length)
        writer.name("detail")
        writer.string(finding.detail)
        if let lost = finding.lost {
            writer.name("lost")
            writer.beginArray()
            writer.beginArray()
            writer.integer(lost.lowerBound)
            writer.integer(lost.upperBound)
            writer.endArray()
            writer.endArray()
        }
        writer.name("durable_below")
        write(finding.durableBelow, &writer)
        writer.name("evidence")
        writer.string(finding.evidence)
        writer.endObject()
    }

    private static func write(_ action: ReportAction, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("action")
        writer.string(action.kind.rawValue)
        writer.name("topic")
        writer.string(action.topic)
        writer.name("file")
        writer.string(action.file)
        writer.name("detail")
        writer.string(action.detail)
        writer.name("kept")
        if let kept = action.kept { writer.string(kept) } else { writer.null() }
        writer.endObject()
    }
}
