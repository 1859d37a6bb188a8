import Foundation
import Testing

/// Logs of the Go program, which are checked and nothing else.
@Suite("Fsck: Go logs") struct FsckGoTests {
    private let folder: DumpFolder
    private let file: URL

    init() throws {
        folder = try DumpFolder()
        file = try folder.topic("t").appendingPathComponent("000000.log")
    }

    private static let torn: [UInt8] = DumpFrame.go(0) + DumpFrame.go(1).dropLast(3)
    private static let damaged: [UInt8] = {
        var bytes = DumpFrame.go(0) + DumpFrame.go(1) + DumpFrame.go(2)
        bytes[45] ^= 1
        return bytes
    }()

    @Test(arguments: [(torn, 4), (damaged, 68)] as [([UInt8], Int32)])
    func theAdviceIsOneThatHelps(bytes: [UInt8], code: Int32) throws {
        try Data(bytes).write(to: file)
        let page = folder.path + "/page.html"
        let process = try DumpProcess([folder.path, "--report", page], tool: "toymq-fsck")
        #expect(process.exit() == code)
        let html = try String(contentsOfFile: page, encoding: .utf8)
        for text in [process.output, html] {
            #expect(text.contains("toymqctl import"))
            #expect(!text.contains("--preen") && !text.contains("--repair"), "\(text)")
        }
    }

    @Test func withItsDialectNothingElseIsRead() throws {
        let ours = try DumpFolder()
        let segment = try ours.topic("a").appendingPathComponent("segment.log")
        try Data(DumpFrame.segment([.mark(0), .message(0, []), .mark(1)])).write(to: segment)
        let topic = segment.deletingLastPathComponent()
        for path in [ours.path, topic.path] {
            for (tool, code) in [("toymq-fsck", 8), ("toymq-dump", 2)] as [(String, Int32)] {
                let process = try DumpProcess([path, "--dialect", "go"], tool: tool)
                #expect(process.exit() == code, "\(tool) \(path)")
                #expect(process.error.contains("no log of the Go program"), "\(process.error)")
            }
        }
        // Beside a log of theirs, ours is a file that does not belong there.
        try Data(DumpFrame.go(0)).write(
            to: try ours.topic("t").appendingPathComponent("000000.log"))
        let process = try DumpProcess([ours.path, "--dialect", "go"], tool: "toymq-fsck")
        #expect(process.exit() == 0)
        #expect(process.output.contains("t: clean") && !process.output.contains("a: clean"))
        #expect(process.output.contains("topics/a"))
    }

    @Test(arguments: ["--preen", "--repair"])
    func aRepairSaysThatItIsNotDone(mode: String) throws {
        for (bytes, code) in [
            (DumpFrame.go(0), 0), (FsckGoTests.torn, 4), (FsckGoTests.damaged, 68),
        ] as [([UInt8], Int32)] {
            try Data(bytes).write(to: file)
            let process = try DumpProcess([folder.path, mode], tool: "toymq-fsck")
            #expect(process.exit() == code)
            #expect(process.error.contains("topic t: "))
            #expect(process.error.contains("\(mode) is not done"), "\(process.error)")
            #expect(try Data(contentsOf: file) == Data(bytes))
        }
    }
}
