import Corpus
import DataDirectory
import Inspection
import SystemPackage
import WAL
import WALTestSupport

/// What an inspection of an image gave, in the words of an expectation.
struct Seen {
    var told: Expectation
    var exitCode: Int32
    /// Why each finding is one.
    let evidence: [(kind: FindingKind, text: String)]

    /// Inspects the image on a disk in memory, as toymq-fsck and toymq-dump do.
    init(_ image: CrashImage) throws {
        let disk = MemoryDisk()
        let root: FilePath = "/d"
        let topics = root.appending("topics")
        for made in [root, topics, topics.appending(CrashImage.topic)] { disk.putDirectory(made) }
        for file in image.files { disk.put(file.bytes, at: root.appending(file.path)) }
        try self.init(root, on: Storage(disk))
    }

    init(_ root: FilePath, on storage: Storage) throws {
        let target = try Target.resolve(root, on: storage)
        guard let topic = target.topics.first, target.topics.count == 1 else {
            throw CorpusTestError("\(target.topics.count) topics")
        }
        let witness = Witness()
        let report = TopicSurvey(topic, on: storage).run(visitor: witness)
        told = Expectation()
        told.verdict = report.verdict
        told.findings = report.findings.map { finding in
            Expectation.Finding(
                finding.kind, finding.segment, finding.offset, finding.length,
                lost: finding.lost)
        }
        evidence = report.findings.map { (kind: $0.kind, text: $0.evidence) }
        told.intact = witness.ids
        told.nextID = report.nextID
        told.durableBelow = report.durableBelow
        exitCode = report.exitBits.rawValue
    }

    /// What is not as expected, in words; empty if all is.
    func differences(from expected: Expectation) -> [String] {
        var lines: [String] = []
        func compare<T: Equatable>(_ name: String, _ seen: T, _ wanted: T) {
            if seen != wanted { lines.append("\(name): \(seen), not \(wanted)") }
        }
        compare("verdict", told.verdict, expected.verdict)
        compare("exit", exitCode, expected.exitCode)
        compare("next id", told.nextID, expected.nextID)
        compare("durable below", told.durableBelow, expected.durableBelow)
        compare("intact", told.intact, expected.intact)
        let wanted = Seen.sorted(expected.findings)
        // What the contract does not settle is not compared.
        let blurred = Seen.sorted(
            told.findings.map { finding in
                var finding = finding
                if finding.kind == .offsetsDamaged {
                    finding.offset = nil
                    finding.length = wanted.first { $0.kind == finding.kind }?.length
                }
                return finding
            })
        compare("findings", blurred, wanted)
        return lines
    }

    private static func sorted(_ findings: [Expectation.Finding]) -> [Expectation.Finding] {
        findings.sorted {
            ($0.segment, $0.offset ?? 0, $0.kind.rawValue)
                < ($1.segment, $1.offset ?? 0, $1.kind.rawValue)
        }
    }

    private final class Witness: SurveyVisitor {
        var ids: [UInt64] = []

        func frame(_ frame: DecodedFrame, bytes: RawSpan, file: String, at offset: UInt64) {
            if frame.isMessage { ids.append(frame.fields.id) }
        }
        func frame(go message: borrowing GoMessage) { ids.append(message.id) }
        func finding(_ finding: Finding) {}
    }
}

struct CorpusTestError: Error {
    let text: String
    init(_ text: String) { self.text = text }
}
