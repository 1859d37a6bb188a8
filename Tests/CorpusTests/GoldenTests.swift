import Corpus
import Foundation
import Inspection
import ProcessSupport
import SystemPackage
import Testing
import WAL

/// The images in Fixtures/golden: one for each row of the verdict table and each finding. They are
/// promises to old data, so they are added to and never rewritten.
struct Golden {
    let label: String
    let expect: [String: Any]
    var image: String { Golden.folder.appendingPathComponent(label + "/image").path }

    static let fixtures = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures")
    static let folder = fixtures.appendingPathComponent("golden")

    static var labels: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).sorted()
    }

    init(_ label: String) throws {
        self.label = label
        let path = Golden.folder.appendingPathComponent(label + "/expect.json")
        let value = try JSONSerialization.jsonObject(with: Data(contentsOf: path))
        guard let value = value as? [String: Any] else { throw CorpusTestError("\(path)") }
        expect = value
    }

    var exitCode: Int32? { (expect["exit"] as? NSNumber)?.int32Value }
    var intact: [UInt64] { (expect["intact"] as? [NSNumber] ?? []).map(\.uint64Value) }
    var findings: [[String: Any]] { expect["findings"] as? [[String: Any]] ?? [] }

    /// A finding as one line, of what the contract settles.
    static func line(_ finding: [String: Any]) -> String {
        let name = finding["finding"] as? String ?? ""
        let lost = (finding["lost"] as? [[NSNumber]] ?? []).map { "\($0[0])-\($0[1])" }
        let place =
            name == FindingKind.offsetsDamaged.rawValue
            ? "" : "\(finding["offset"] ?? "") \(finding["length"] ?? "")"
        return "\(name) \(finding["severity"] ?? "") \(finding["segment"] ?? "") \(place) "
            + lost.joined(separator: ",")
    }
}

@Suite struct GoldenTests {
    @Test(arguments: Golden.labels)
    func theScanSeesWhatIsExpected(_ label: String) throws {
        let golden = try Golden(label)
        let seen = try Seen(FilePath(golden.image), on: .local)
        #expect(seen.told.verdict.rawValue == golden.expect["verdict"] as? String)
        #expect(seen.told.intact == golden.intact)
        #expect(seen.told.nextID == (golden.expect["next_id"] as? NSNumber)?.uint64Value)
        #expect(
            seen.told.durableBelow == (golden.expect["durable_below"] as? NSNumber)?.uint64Value)
        #expect(seen.exitCode == golden.exitCode)
    }

    @Test(arguments: Golden.labels)
    func fsckReportsWhatIsExpected(_ label: String) throws {
        let golden = try Golden(label)
        let ran = try FinishedProcess([builtProgram("toymq-fsck")] + ["--json", golden.image])
        #expect(ran.exit == golden.exitCode)
        let report = try JSONSerialization.jsonObject(with: Data(ran.output.utf8))
        let topics = try #require((report as? [String: Any])?["topics"] as? [[String: Any]])
        let topic = try #require(topics.first)
        #expect(topics.count == 1)
        #expect(topic["verdict"] as? String == golden.expect["verdict"] as? String)
        let findings = try #require(topic["findings"] as? [[String: Any]])
        #expect(
            findings.map(Golden.line).sorted() == golden.findings.map(Golden.line).sorted())
    }

    @Test(arguments: Golden.labels)
    func dumpPrintsWhatIsIntact(_ label: String) throws {
        let golden = try Golden(label)
        let ran = try FinishedProcess([builtProgram("toymq-dump")] + ["--json", golden.image])
        let objects = try ran.output.split(separator: "\n").compactMap {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
        let ids = objects.filter { $0["finding"] == nil && $0["lost"] == nil }
            .compactMap { ($0["id"] as? NSNumber)?.uint64Value }
        #expect(ids == golden.intact)
        let isBad = golden.findings.contains { $0["severity"] as? String != "remark" }
        #expect(ran.exit == (isBad ? 1 : 0))
        #expect(
            Set(objects.compactMap { $0["finding"] as? String })
                == Set(golden.findings.compactMap { $0["finding"] as? String }))
    }

    /// The generator may change; what it once wrote may not.
    @Test(arguments: Golden.labels)
    func theImageIsOfTheLabelAndNotesItsSeed(_ label: String) throws {
        let golden = try Golden(label)
        #expect(golden.expect["kind"] as? String == label)
        #expect(golden.expect["seed"] is NSNumber && golden.expect["number"] is NSNumber)
        if let finding = FindingKind(rawValue: label) {
            #expect(
                golden.findings.contains { $0["finding"] as? String == finding.rawValue })
        }
        if let row = VerdictTable.rows.first(where: { $0.label == label }) {
            #expect(golden.expect["verdict"] as? String == row.verdict.rawValue)
        }
    }

    @Test func noRowNoFindingAndNoHeadingLacksItsImage() throws {
        let labels = Set(Golden.labels)
        let rows = Set(VerdictTable.rows.map(\.label))
        let findings = Set(FindingKind.allCases.map(\.rawValue))
        #expect(labels == rows.union(findings))
        let page = try String(
            contentsOf: Golden.fixtures.deletingLastPathComponent()
                .appendingPathComponent("docs/TOOLS.md"), encoding: .utf8)
        let part = try #require(page.components(separatedBy: "\n## Findings\n").last)
        let headings = part.components(separatedBy: "\n## ")[0]
            .split(separator: "\n").filter { $0.hasPrefix("### ") }.map { String($0.dropFirst(4)) }
        #expect(Set(headings) == findings, "the headings under Findings")
        #expect(headings.allSatisfy(labels.contains))
    }
}
