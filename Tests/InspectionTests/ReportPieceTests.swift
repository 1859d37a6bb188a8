import DataDirectory
import Inspection
import Testing
import WAL

@Suite("Reports in pieces")
struct ReportPieceTests {
    /// One that takes some hundred KiB in either form.
    private static let report: InspectionReport = {
        var topic = TopicReport(topic: "t")
        topic.verdict = .damaged
        topic.findings = (0..<2_000).map {
            Finding(
                .badCRC, segment: "segment.log", offset: $0 * 500, length: 38,
                detail: "the checksum does not match", lost: $0...$0, durableBelow: 4_000,
                evidence: "every id below 4000 is known durable")
        }
        var report = InspectionReport(path: "data")
        report.topics = [topic]
        return report
    }()

    @Test("Text comes in pieces of whole lines, and none is left out")
    func text() {
        var pieces: [[UInt8]] = []
        ReportText.render(Self.report, quiet: false) { pieces.append($0) }
        #expect(pieces.count > 2)
        #expect(pieces.allSatisfy { $0.last == UInt8(ascii: "\n") && $0.count < 100_000 })
        let lines = String(decoding: pieces.joined(), as: UTF8.self).split(separator: "\n")
        // The topic, four lines for each, and the end.
        #expect(lines.count == 1 + 4 * 2_000 + 1)
        for id in [0, 1, 1_999] {
            #expect(lines.contains("    message \(id) lost"))
        }
    }

    @Test("The pieces of JSON are one object together")
    func json() throws {
        var pieces: [[UInt8]] = []
        ReportJSON.render(Self.report) { pieces.append($0) }
        #expect(pieces.count > 2)
        #expect(pieces.allSatisfy { $0.count < 100_000 })
        let bytes = Array(pieces.joined())
        #expect(bytes.last == UInt8(ascii: "\n"))
        let value = try JSONValue(parsing: RawSpan(of: bytes))
        guard case .array(let topics)? = value["topics"],
            case .array(let findings)? = topics.first?["findings"]
        else {
            Issue.record("no findings")
            return
        }
        #expect(findings.count == 2_000)
        #expect(findings.map { $0["offset"] } == (0..<2_000).map { .number("\($0 * 500)") })
    }

    @Test("What fails ends it: nothing is rendered for nobody")
    func failure() {
        struct Full: Error {}
        var calls = 0
        #expect(throws: Full.self) {
            try ReportText.render(Self.report, quiet: false) { (_: [UInt8]) throws(Full) in
                calls += 1
                throw Full()
            }
        }
        #expect(calls == 1)
    }
}
