import Inspection
import Repair
import Testing
import WALTestSupport

@testable import WAL

/// What the page of `--report` says, and how much of it.
@Suite struct ReportPageTests {
    private func topic(_ name: String, _ verdict: Verdict) -> TopicReport {
        var topic = TopicReport(topic: name)
        topic.verdict = verdict
        return topic
    }

    private func page(_ topics: TopicReport...) -> String {
        var report = InspectionReport(path: "/data")
        report.topics = topics
        return String(
            decoding: ReportHTML.render(
                report, ReportPictures(), keptIn: nil, version: "1", now: RepairBench.now),
            as: UTF8.self)
    }

    @Test func eachKindOfTroubleHasItsStepAndSoundnessIsSaidOfSoundLogsOnly() {
        let sound = "Nothing. The log is sound."
        let repair = "toymq-fsck --repair /data"
        let newer = "A later version wrote"
        #expect(page(topic("a", .clean)).contains(sound))
        let both = page(topic("a", .damaged), topic("b", .newer))
        #expect(both.contains(repair) && both.contains(newer) && !both.contains(sound))
        let all = page(topic("a", .torn), topic("b", .newer), .cancelled("c"))
        #expect(all.contains("toymq-fsck --preen /data") && all.contains("nothing was decided"))
        #expect(all.contains(newer) && !all.contains(repair) && !all.contains(sound))
    }

    @Test func placesThatCannotBeSeenApartAreOneOnTheMap() {
        var topic = topic("t", .damaged)
        topic.segments = [
            SegmentReport(
                name: "segment.log", size: 10_000_000, firstID: 0, nextID: 20_000, messages: 0,
                frames: 0)
        ]
        topic.findings = (0..<20_000).map {
            Finding(
                .badCRC, segment: "segment.log", offset: $0 * 500, length: 38,
                detail: "the checksum does not match", evidence: "")
        }
        let page = page(topic)
        let rectangles = page.split(separator: "<rect ").count - 1
        #expect(rectangles <= 1_001 && rectangles > 100)
        // Two per thousandth, the first of them named.
        #expect(page.contains("places from bad-crc: 38 bytes at offset 0<"))
        #expect(page.utf8.count < 1_000_000)
    }
}
