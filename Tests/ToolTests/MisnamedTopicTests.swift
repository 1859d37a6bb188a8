import Foundation
import Testing

/// Logs in directories whose names no topic may have.
@Suite("Tools: names that no topic may have") struct MisnamedTopicTests {
    private let folder: DumpFolder

    init() throws { folder = try DumpFolder() }

    /// A log with a torn tail: there is something to repair.
    private func put(_ name: String) throws -> URL {
        let file = try folder.topic(name).appendingPathComponent("segment.log")
        try Data(DumpFrame.segment([.mark(0), .message(0, []), .mark(1)]) + [1, 2, 3])
            .write(to: file)
        return file
    }

    private func fsck(_ arguments: [String]) throws -> (code: Int32, report: [String: Any]) {
        let process = try DumpProcess(arguments + ["--json"], tool: "toymq-fsck")
        let code = process.exit()
        return (code, try #require(process.objects.first))
    }

    @Test(arguments: ["bad name", ".hid", String(repeating: "x", count: 201), "a:b"])
    func aLogUnderOneIsARemarkAndIsNotTouched(name: String) throws {
        let file = try put(name)
        let good = try put("good")
        let before = try Data(contentsOf: file)
        for flags in [[], ["--repair"]] {
            let (code, report) = try fsck(flags + [folder.path])
            #expect(code == (flags.isEmpty ? 4 : 1))
            let topics = report["topics"] as? [[String: Any]] ?? []
            #expect(topics.compactMap { $0.text("topic") } == ["good"])
            let findings = report["findings"] as? [[String: Any]] ?? []
            #expect(findings.compactMap { $0.text("segment") } == ["topics/" + name])
            #expect(findings.first?.text("finding") == "foreign-file")
            #expect(findings.first?.text("detail")?.contains("does not serve it") == true)
        }
        #expect(try Data(contentsOf: file) == before)
        #expect(try Data(contentsOf: good) == before.dropLast(3))
        #expect(try fsck([folder.path]).code == 0)

        let dump = try DumpProcess.run(folder.path, "--json")
        #expect(dump.exit() == 0)
        #expect(dump.objects.compactMap { $0.text("finding") }.contains("foreign-file"))
        #expect(
            dump.objects.filter { $0.number("id") != nil }.compactMap { $0.text("topic") } == [
                "good"
            ])
    }

    @Test func whoNamesItMeansIt() throws {
        let file = try put("bad name")
        let directory = file.deletingLastPathComponent().path
        let dump = try DumpProcess.run(directory, "--json")
        #expect(dump.objects.compactMap { $0.number("id") } == [0])
        #expect(try fsck([directory]).code == 4)
        #expect(try fsck([file.path]).code == 4)
        #expect(try fsck([directory, "--repair"]).code == 1)
    }
}
