import Foundation
import Inspection
import SystemPackage
import TestSupport
import Testing
import WALTestSupport

@testable import WAL

/// The decision table of docs/CRASH-MODEL.md: all of its columns are what the code says and does.
@Suite struct VerdictPageTests {
    /// The cells of a row are a label, when it holds, the verdict, and what opening does.
    private func rows() throws -> [[String]] {
        try Document.table("verdict-table", of: "docs/CRASH-MODEL.md")
    }

    @Test func labelsAndVerdictsAreThoseOfTheTable() throws {
        let rows = try rows()
        #expect(rows.map { $0[0].unquoted } == VerdictTable.rows.map(\.label))
        #expect(rows.map { $0[2] } == VerdictTable.rows.map(\.verdict.rawValue))
    }

    /// What a row asks for is said where its fact is; a page may say more.
    @Test func eachConditionIsTheOneThatItsFactIsDocumentedWith() throws {
        let rows = try rows()
        let source = try Document.text("Sources/WAL/Recovery/Verdict.swift")
        let facts = source.matches(of: /\/\/\/ ([^\n]+)\.\n +package var \w+ = false/)
            .map { $0.1.prefix(1).lowercased() + $0.1.dropFirst() }
        // They are in the order of the rows, which VerdictTableTests holds; the last row has none.
        #expect(facts.count == rows.count - 1)
        for (row, fact) in zip(rows, facts) {
            #expect(row[1].lowercased().hasPrefix(fact.lowercased()))
        }
        #expect(rows.last?[1] == "anything else")
    }

    @Test func theVerdictsOfTheReadmeAreAllThereAreWithTheirExits() throws {
        let rows = try Document.table("verdicts", of: "README.md")
        #expect(rows.map { $0[0].unquoted } == Verdict.allCases.map(\.rawValue))
        var exits = [Verdict.error: Set([ExitBits.operational.rawValue])]
        for row in VerdictTable.rows {
            exits[row.verdict, default: []].insert(try #require(try Golden(row.label).exitCode))
        }
        for (row, verdict) in zip(rows, Verdict.allCases) {
            let said = row[1].components(separatedBy: " or ").compactMap { Int32($0) }
            #expect(Set(said) == exits[verdict], "\(verdict)")
        }
    }

    @Test(arguments: VerdictTable.rows.map(\.label))
    func openingDoesWhatTheRowSays(_ label: String) throws {
        let row = try #require(try rows().first { $0[0].unquoted == label })
        let done = try Opening(of: label).done
        #expect(done == row[3])
    }
}

/// An image that is opened, and what that does to the disk. It is the golden one of the row; where
/// a commit is torn, the one that ends clean with the beginning of another frame behind it: of the
/// golden one every frame is proved durable, and rule 5 asks for nothing.
private struct Opening {
    private let fixture: LogFixture
    private let before: [String: [UInt8]]
    private let found: Examination

    init(of label: String) throws {
        let isTorn = label == "torn-commit"
        let golden = try Golden(isTorn ? "clean-end" : label)
        let image = URL(fileURLWithPath: golden.image + "/topics/t")
        var files: [(name: String, bytes: [UInt8])] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: image.path) {
            files.append((name, Array(try Data(contentsOf: image.appendingPathComponent(name)))))
        }
        if isTorn { files[files.count - 1].bytes += [200, 0, 0, 0, 1] }
        fixture = LogFixture(disk: LogImage(files: files).disk())
        before = fixture.disk.files(in: LogImage.directory)
        found = try fixture.disk.examine()
        let row = VerdictTable.rows.first { $0.label == label }
        #expect(found.verdict == row?.verdict)
    }

    /// In the words of the table.
    var done: String {
        get throws {
            fixture.disk.startTrace()
            let log: Log
            do {
                log = try fixture.open()
            } catch {
                let isUntouched =
                    fixture.disk.files(in: LogImage.directory) == before
                    && !fixture.disk.trace.contains(where: \.isWrite)
                return isUntouched ? "refuses, changes nothing" : "refuses, and changes something"
            }
            var steps: [String] = []
            for call in fixture.disk.trace { note(call, in: &steps) }
            let kept = found.segments.reduce(0) { $0 + $1.messages }
            #expect(try UInt64(log.contents().count) == kept)
            let said = steps.joined(separator: ", ")
            return try usesZerosAgain(log) ? said + "; the zeros are used again" : said
        }
    }

    /// Adds what a call is part of, if it is part of any step.
    private func note(_ call: DiskCall, in steps: inout [String]) {
        let end = found.activeSegment?.end ?? 0
        let (isCopy, isSegment) = (call.name.contains(".torn-"), call.name == "segment.log")
        switch call.operation {
        case .write where isCopy: steps.append("copies the bytes from P aside")
        case .sync where isCopy: steps.append("forces the copy")
        case .truncate where isSegment:
            steps.append(call.offset == end ? "cuts at P" : "cuts at \(call.offset)")
        case .write where isSegment:
            // What nothing proves durable, in its place, and no more.
            let written = call.offset..<call.offset + UInt64(call.count)
            let isAll = written == found.unprovenFrom..<end
            steps.append(isAll ? "rule 5 without a sync" : "writes \(written)")
        case .sync where isSegment && steps.last == "cuts at P": steps.append("forces that")
        case .sync where isSegment && steps.last == "rule 5 without a sync":
            steps[steps.count - 1] = "rule 5"
        default: break
        }
    }

    /// Whether there are zeros behind the end, and what is appended goes there.
    private func usesZerosAgain(_ log: Log) throws -> Bool {
        let size = fixture.bytes().count
        guard let end = found.activeSegment?.end, size > end else { return false }
        try log.append(TestMessage("x"))
        return fixture.bytes().count == size && fixture.bytes()[Int(end)] != 0
    }
}
