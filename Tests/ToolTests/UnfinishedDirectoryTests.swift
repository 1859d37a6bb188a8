import Foundation
import Testing

/// What a broker leaves that was killed while it made its directories.
@Suite("Tools: directories that were being made") struct UnfinishedDirectoryTests {
    private let folder: DumpFolder

    init() throws { folder = try DumpFolder() }

    private func verdict(_ path: String, _ flags: [String]) throws -> (
        code: Int32, verdict: String?
    ) {
        let process = try DumpProcess(flags + ["--json", path], tool: "toymq-fsck")
        let code = process.exit()
        return (code, process.objects.first?.text("verdict"))
    }

    @Test(arguments: [[], ["--preen"], ["--repair"]])
    func aDataDirectoryWithNoMoreThanItsLockIsClean(flags: [String]) throws {
        let data = URL(fileURLWithPath: folder.path).appendingPathComponent("new")
        try FileManager.default.createDirectory(at: data, withIntermediateDirectories: false)
        #expect(try verdict(data.path, flags).code == 8)
        try Data().write(to: data.appendingPathComponent("LOCK"))
        let found = try verdict(data.path, flags)
        #expect(found.code == 0)
        #expect(found.verdict == "clean")
        #expect(try DumpProcess.run(data.path).exit() == 0)
    }

    @Test(arguments: [[], ["--preen"], ["--repair"]])
    func aTopicWithNothingInItIsCleanByItsOwnPathToo(flags: [String]) throws {
        let topic = try folder.topic("new").path
        for path in [topic, folder.path] {
            let found = try verdict(path, flags)
            #expect(found.code == 0, "\(path)")
            #expect(found.verdict == "clean", "\(path)")
            #expect(try DumpProcess.run(path).exit() == 0, "\(path)")
        }
    }
}
