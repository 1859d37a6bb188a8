import SystemPackage
import Foundation
import FuzzTargets
import Inspection
import ProcessSupport
import Testing
import TestSupport

@testable import WAL

/// What the documents say in tables and bytes is what the code does.
@Suite struct DocsTests {
    @Test func everyRowOfTheDecisionTableIsExplained() throws {
        let page = try Document.text("docs/CRASH-MODEL.md")
        for row in VerdictTable.rows where row.label != "zero-tail" {
            #expect(page.contains("**\(row.label).**"), "no prose for \(row.label)")
        }
    }

    @Test func theListOfMutantsIsTheOneInTheCode() throws {
        let rows = try Document.table("mutants", of: "docs/CRASH-MODEL.md")
        #expect(rows.map { $0[0] } == Mutant.allCases.map { "`\($0.name)`" })
    }

    @Test func everyLockOfTheLogTheBrokerAndTheClientIsInATable() throws {
        let pages = try Document.text("docs/ARCHITECTURE.md") + Document.text("docs/CONCURRENCY.md")
        let rows = pages.split(separator: "\n").filter { $0.hasPrefix("|") }.joined(separator: "\n")
        for module in ["WAL", "DataDirectory", "Broker", "Server", "toymq", "ToyMQClient"] {
            for lock in try locks(of: module) {
                #expect(rows.contains("`\(lock)`"), "no row for \(lock) of \(module)")
            }
        }
        #expect(try locks(of: "WAL").contains("LogCore.state"), "they are found")
        #expect(try locks(of: "ToyMQClient").contains("ClientThread.state"))
    }

    /// The locks that are kept in a property: `Type.property`. One that a function makes for itself
    /// is not meant.
    private func locks(of module: String) throws -> [String] {
        let type = /^( *)(?:@\w+ )*(?:\w+ )*(?:class|struct|enum|actor|extension) (\w+)/
        let property =
            /^( +)(?:(?:private|package|static) )*let (\w+)(?:: | = )(?:Monitor|Mutex|NIOLocked)/
        var locks: [String] = []
        for (_, source) in try sources(of: module) {
            // The types that are open, by their indentation: a property stands one step further in.
            var open: [Int: String] = [:]
            for line in source.split(separator: "\n") {
                if let match = line.firstMatch(of: property) {
                    if let owner = open[match.1.count - 4] { locks.append("\(owner).\(match.2)") }
                } else if let match = line.firstMatch(of: type) {
                    open[match.1.count] = String(match.2)
                } else if line.drop(while: { $0 == " " }) == "}" {
                    open[line.count - 1] = nil
                }
            }
        }
        return locks
    }

    /// The Swift files of a module: their paths in it, and what they say.
    private func sources(of module: String) throws -> [(path: String, text: String)] {
        let folder = Document.root.appendingPathComponent("Sources/\(module)")
        let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
        return try names.filter { $0.hasSuffix(".swift") }.map {
            ($0, try String(contentsOf: folder.appendingPathComponent($0), encoding: .utf8))
        }
    }

    @Test func nothingIsForcedPastForceAndNoSegmentIsCutPastTailCut() throws {
        let folder = Document.root.appendingPathComponent("Sources")
        for module in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            for (path, text) in try sources(of: module) {
                if path != "Disk/Force.swift" {
                    #expect(!text.contains(".sync("), "\(module)/\(path)")
                    #expect(!text.contains(".syncDirectory("), "\(module)/\(path)")
                }
                // DataLock cuts LOCK, which is no segment.
                if path != "Recovery/TailCut.swift", path != "DataLock.swift" {
                    #expect(!text.contains(".truncate(to"), "\(module)/\(path)")
                }
            }
        }
    }

    @Test func theListOfFuzzTargetsIsTheOneInTheCode() throws {
        let rows = try Document.table("fuzz-targets", of: "docs/TOOLS.md")
        #expect(rows.map { $0[0] } == FuzzTarget.allCases.map { "`\($0.rawValue)`" })
    }

    @Test func everyFindingHasItsHeadingWithItsSeverity() throws {
        let parts = try Document.text("docs/TOOLS.md").components(separatedBy: "\n### ").dropFirst()
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
        let documented = try Document.section("worked-example", of: "docs/FORMAT.md").flatMap {
            line in
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

    @Test func theHelpOfTheScriptsFitsAPage() throws {
        let folder = Document.root.appendingPathComponent("tools").path
        var found = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            let parts = try Document.text("tools/" + name).components(separatedBy: "<<'TXT'\n")
            guard parts.count == 2 else { continue }
            found += 1
            for line in parts[1].components(separatedBy: "\nTXT\n")[0].split(separator: "\n") {
                #expect(line.count <= 100, "\(name): \(line)")
            }
        }
        #expect(found >= 8, "each has its help in such a text")
    }

    @Test func theProgramOnTheLandingPageIsTheOneThatIsBuiltAndItRuns() throws {
        let page = try Document.text("Sources/WAL/WAL.docc/WAL.md")
        let program = try Document.text("Sources/wal-example/main.swift")
        #expect(page.contains("```swift\n" + program + "```"))
        #expect(program.split(separator: "\n").count <= 32)
        let directory = try TemporaryDirectory()
        let first = try run("wal-example", [directory.appending("log").string])
        #expect(first.contains("message 0 is durable"))
        let second = try run("wal-example", [directory.appending("log").string])
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
