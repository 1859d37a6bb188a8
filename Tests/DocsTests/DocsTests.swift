import Foundation
import Inspection
import ProcessSupport
import Testing

@testable import WAL

/// What the documents say in tables and bytes is what the code does.
@Suite struct DocsTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private func text(_ path: String) throws -> String {
        try String(contentsOf: DocsTests.root.appendingPathComponent(path), encoding: .utf8)
    }

    /// The lines between `<!-- name -->` and `<!-- end -->`.
    private func section(_ name: String, of path: String) throws -> [String] {
        let parts = try text(path).components(separatedBy: "<!-- \(name) -->")
        try #require(parts.count == 2, "\(path) has one section \(name)")
        return parts[1].components(separatedBy: "<!-- end -->")[0]
            .split(separator: "\n").map(String.init)
    }

    @Test func theDecisionTableOfTheCrashModelIsTheOneInTheCode() throws {
        let rows = try section("verdict-table", of: "docs/CRASH-MODEL.md").dropFirst(2).map { row in
            row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        #expect(
            rows.map { $0[0] } == VerdictTable.rows.map { "`\($0.label)`" })
        #expect(rows.map { $0[2] } == VerdictTable.rows.map(\.verdict.rawValue))
    }

    @Test func everyRowOfTheDecisionTableIsExplained() throws {
        let page = try text("docs/CRASH-MODEL.md")
        for row in VerdictTable.rows where row.label != "zero-tail" {
            #expect(page.contains("**\(row.label).**"), "no prose for \(row.label)")
        }
    }

    @Test func theListOfMutantsIsTheOneInTheCode() throws {
        let rows = try section("mutants", of: "docs/CRASH-MODEL.md").dropFirst(2).map { row in
            row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        #expect(rows.map { $0[0] } == Mutant.allCases.map { "`\($0.name)`" })
    }

    @Test func everyFindingHasItsHeadingWithItsSeverity() throws {
        let parts = try text("docs/TOOLS.md").components(separatedBy: "\n### ").dropFirst()
        let headings = parts.map { $0.split(separator: "\n").map(String.init) }
            .filter { !["The JSON report", "Repairing"].contains($0[0]) }
        #expect(Set(headings.map { $0[0] }) == Set(FindingKind.allCases.map(\.rawValue)))
        for heading in headings {
            guard let kind = FindingKind(rawValue: heading[0]) else { continue }
            let word = heading[1].prefix { $0 != ":" }.lowercased()
            #expect(word == kind.severity.rawValue, "\(heading[0])")
        }
    }

    @Test func theWorkedExampleOfTheFormatIsWhatTheCodeWrites() throws {
        let start: UInt64 = 81_985_529_216_486_895
        let time: UInt64 = 1_767_225_600_000_000_000
        var buffer = ByteBuffer()
        FrameEncoder.appendMark(at: .init(id: 0, position: start, timestamp: time), to: &buffer)
        let key = Array("a:0".utf8)
        let hello = Array("hello".utf8)
        append(
            Message(
                payload: RawSpan(of: hello), key: RawSpan(of: key),
                headers: [MessageHeader("h", "v1")]),
            .init(
                id: 0, position: start + UInt64(buffer.count), timestamp: time + 1,
                commitIndex: 0), &buffer)
        let none: [UInt8] = []
        append(
            Message(payload: RawSpan(of: none)),
            .init(
                id: 1, position: start + UInt64(buffer.count), timestamp: time + 1,
                commitIndex: 1), &buffer)
        FrameEncoder.appendMark(
            at: .init(
                id: 2, position: start + UInt64(buffer.count), timestamp: time + 1), to: &buffer)
        let documented = try section("worked-example", of: "docs/FORMAT.md").flatMap { line in
            line.split(separator: " ").dropFirst().compactMap { UInt8($0, radix: 16) }
        }
        let written = buffer.bytes.copied()
        #expect(written == documented)
    }

    private func append(
        _ message: borrowing Message, _ place: FrameEncoder.Place, _ buffer: inout ByteBuffer
    ) {
        guard let size = FrameEncoder.frameBytes(message) else { return }
        FrameEncoder.append(message, frameBytes: size, at: place, to: &buffer)
    }

    @Test func theProgramOnTheLandingPageIsTheOneThatIsBuiltAndItRuns() throws {
        let page = try text("Sources/WAL/WAL.docc/WAL.md")
        let program = try text("Sources/wal-example/main.swift")
        #expect(page.contains("```swift\n" + program + "```"))
        #expect(program.split(separator: "\n").count <= 32)
        let directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("toymq-example-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let first = try run("wal-example", [directory.path])
        #expect(first.contains("message 0 is durable"))
        let second = try run("wal-example", [directory.path])
        #expect(second.contains("recovered 0..<1"))
        #expect(second.contains("0: hello from run 0\n1: hello from run 1"))
    }

    /// Runs a program that was built beside the tests.
    private func run(_ name: String, _ arguments: [String]) throws -> String {
        let ran = try FinishedProcess([builtProgram(name)] + arguments)
        #expect(ran.exit == 0)
        return ran.output
    }
}
