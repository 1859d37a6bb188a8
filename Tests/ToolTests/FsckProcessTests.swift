import Foundation
import Glibc
import ProcessSupport
import SystemPackage
import Testing
import WAL

/// The check as scripts see it: exit codes, the report, and that nothing is changed.
@Suite("Fsck: the check", .timeLimit(.minutes(10))) struct FsckProcessTests {
    private let folder: DumpFolder
    private let topic: URL

    /// Three commits, the second of two messages; known durable below 4 by the mark.
    private static let frames: [DumpFrame] = {
        var second = DumpFrame.message(2, Array("two".utf8))
        second.commitIndex = 1
        return [
            .mark(0), .message(0, Array("zero".utf8)), .message(1, Array("one".utf8)), second,
            .message(3, Array("three".utf8)), .mark(4),
        ]
    }()

    init() throws {
        folder = try DumpFolder()
        topic = try folder.topic("a")
    }

    private var segment: URL { topic.appendingPathComponent("segment.log") }

    private func write(_ bytes: [UInt8]) throws { try Data(bytes).write(to: segment) }

    private func check(_ arguments: String...) throws -> DumpProcess {
        let process = try DumpProcess(arguments, tool: "toymq-fsck")
        process.exit()
        return process
    }

    private func exit(_ arguments: String...) throws -> Int32 {
        try DumpProcess(arguments, tool: "toymq-fsck").exit()
    }

    private func report(_ path: String) throws -> (code: Int32, object: [String: Any]) {
        let process = try DumpProcess([path, "--json"], tool: "toymq-fsck")
        let code = process.exit()
        return (code, try #require(process.objects.first))
    }

    private func findings(_ report: [String: Any]) -> [[String: Any]] {
        let topics = report["topics"] as? [[String: Any]] ?? []
        return topics.flatMap { $0["findings"] as? [[String: Any]] ?? [] }
    }

    @Test func anEndIs0AndATornEnd4AndLostMessages68() throws {
        let whole = DumpFrame.segment(FsckProcessTests.frames)
        try write(whole)
        #expect(try exit(folder.path) == 0)
        try write(whole + [UInt8](repeating: 0, count: 5000))
        #expect(try exit(folder.path) == 0)
        try write(Array(whole.dropLast(40)))
        #expect(try exit(folder.path) == 4)
        var damaged = whole
        damaged[38 + 36] ^= 1
        try write(damaged)
        #expect(try exit(folder.path) == 68)
        // Nothing is lost where a mark is damaged, and it is damage all the same.
        damaged = whole
        damaged[30] ^= 1
        try write(damaged)
        #expect(try exit(folder.path) == 4)
    }

    @Test func aFileWhoseBeginningTellsNothingAsksWhoWroteIt() throws {
        let copy = folder.url.appendingPathComponent("copy.bin").path
        var damaged = DumpFrame.segment(FsckProcessTests.frames)
        damaged[2] ^= 1
        try Data(damaged).write(to: URL(fileURLWithPath: copy))
        let check = try check(copy)
        #expect(check.exit() == 8)
        #expect(check.error.contains("--dialect native or --dialect go"), "\(check.error)")
        let dump = try DumpProcess.run(copy)
        #expect(dump.exit() == 2 && dump.error.contains("--dialect native"), "\(dump.error)")
        #expect(try exit(copy, "--dialect", "native") & 4 == 4)
        #expect(try exit(copy, "--dialect", "native", "--repair") & 1 == 1)
        #expect(try exit(copy) == 0, "its beginning tells it again")
        // Where nothing could be said, nothing is asked.
        let empty = folder.url.appendingPathComponent("empty")
        try FileManager.default.createDirectory(at: empty, withIntermediateDirectories: false)
        let directory = try self.check(empty.path)
        #expect(directory.exit() == 8 && !directory.error.contains("--dialect"))
    }

    @Test func theReportHasItsMembers() throws {
        var damaged = DumpFrame.segment(FsckProcessTests.frames)
        damaged[38 + 36] ^= 1
        try write(damaged)
        let (code, report) = try report(folder.path)
        #expect(code == 68)
        #expect(report.number("version") == 1)
        #expect(report.text("path") == folder.path)
        #expect(report.text("verdict") == "damaged")
        #expect((report["actions"] as? [Any])?.isEmpty == true)
        let topic = try #require((report["topics"] as? [[String: Any]])?.first)
        #expect(topic.text("topic") == "a")
        #expect(topic.text("verdict") == "damaged")
        #expect(topic["live"] as? Bool == false)
        #expect(topic.number("next_id") == 4)
        #expect(topic.number("durable_below") == 4)
        #expect((topic["segments"] as? [Any])?.count == 1)
        let finding = try #require(findings(report).first)
        #expect(finding.text("finding") == "bad-crc")
        #expect(finding.text("severity") == "damage")
        #expect(finding.text("segment") == "segment.log")
        #expect(finding.number("offset") == 38)
        #expect(finding.number("length") == 42)
        #expect(finding["lost"] as? [[UInt64]] == [[0, 0]])
        #expect(finding.number("durable_below") == 4)
        #expect(finding.text("evidence")?.isEmpty == false)
        #expect(finding.text("detail")?.isEmpty == false)
    }

    @Test func aLogInUseIsCheckedUpToWhatIsDurable() throws {
        let host = LogHost()
        defer { host.shutdown() }
        let log = try Log.open(FilePath(topic.path), host: host)
        _ = try log.appendBlocking(Message(payload: RawSpan(of: [1])))
        let (code, live) = try report(folder.path)
        #expect(code == 0)
        #expect((live["topics"] as? [[String: Any]])?.first?["live"] as? Bool == true)
        try log.close()
        let (_, closed) = try report(folder.path)
        #expect((closed["topics"] as? [[String: Any]])?.first?["live"] as? Bool == false)
    }

    /// Name, size, times and content of all files.
    private func picture() throws -> [String] {
        let found = try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
        return try found.map { name in
            let path = folder.path + "/" + name
            var status = stat()
            try #require(lstat(path, &status) == 0)
            let content = FileManager.default.contents(atPath: path) ?? Data()
            return "\(name) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec) "
                + "\(status.st_ctim.tv_sec).\(status.st_ctim.tv_nsec) \(content.hashValue)"
        }
    }

    @Test func aCheckChangesNothing() throws {
        let whole = DumpFrame.segment(FsckProcessTests.frames)
        var damaged = whole
        damaged[80] ^= 1
        for bytes in [whole, Array(whole.dropLast(40)), damaged, Array(whole.prefix(10))] {
            try write(bytes)
            try Data("{}".utf8).write(to: topic.appendingPathComponent("offsets.json"))
            try Data().write(to: topic.appendingPathComponent("offsets.json.tmp"))
            let before = try picture()
            _ = try exit(folder.path)
            _ = try exit(topic.path, "--json")
            _ = try exit(segment.path)
            #expect(try picture() == before)
        }
    }

    @Test func wrongUsageIs16AndWhatIsNotThere8() throws {
        for arguments in [
            ["--no-such-flag", "."], [], ["--preen", "--repair", "."], [""], ["--undo", ""],
            [".", "--report", ""],
        ] {
            let process = try DumpProcess(arguments, tool: "toymq-fsck")
            #expect(process.exit() == 16, "\(arguments)")
            #expect(!process.error.isEmpty)
        }
        let missing = try check(folder.path + "/none/../nothing")
        #expect(missing.exit() == 8)
        #expect(missing.error.contains("nothing"))
        #expect(missing.error.contains("look whether the path is right"))
        #expect(missing.output.isEmpty)
        for arguments in [
            [folder.path + "/nothing"], ["/dev/null"], [folder.path, "--topic", "x"],
        ] {
            let process = try DumpProcess(arguments + ["--json"], tool: "toymq-fsck")
            #expect(process.exit() == 8)
            let report = try #require(process.objects.first)
            #expect(report.text("verdict") == "error")
            let error = (report["topics"] as? [[String: Any]])?.first?.text("error")
            #expect(process.error == "toymq-fsck: \(error ?? "-")\n")
        }
        #expect(try exit("--help") == 0)
        #expect(try exit("--version") == 0)
    }

    @Test func aReportThatNobodyGetsIsAnError() throws {
        let whole = DumpFrame.segment(FsckProcessTests.frames)
        for (bytes, code) in [(whole, 8), (Array(whole.dropLast(40)), 12)] as [([UInt8], Int32)] {
            try write(bytes)
            for arguments in [[folder.path], [folder.path, "--json"]] {
                for (output, word) in [(">/dev/full", "No space"), (">&-", "closed")] {
                    let process = try DumpProcess(
                        arguments, tool: "toymq-fsck",
                        wrapper: ["/bin/sh", "-c", "exec \"$@\" \(output)", "sh"])
                    #expect(process.exit() == code, "\(arguments) \(output)")
                    #expect(process.error.contains(word), "\(process.error)")
                }
            }
        }
        // What was repaired is said all the same.
        let repair = try DumpProcess(
            [folder.path, "--repair"], tool: "toymq-fsck",
            wrapper: ["/bin/sh", "-c", "exec \"$@\" >/dev/full", "sh"])
        #expect(repair.exit() == 9)
        #expect(repair.error.contains("lost+found"))
    }

    @Test func aTopicsNameIsCheckedBeforeAPathIsMadeOfIt() throws {
        try write(DumpFrame.segment(FsckProcessTests.frames))
        for name in ["../a", "..", ".", ".hidden", "a/b", ""] {
            let process = try check(folder.path, "--topic", name)
            #expect(process.exit() == 8, "\(name)")
            #expect(!process.error.isEmpty)
        }
        #expect(try exit(folder.path, "--topic", "a") == 0)
    }

    @Test(arguments: ["offsets.json", "segment.log", "00000000000000000000.log"])
    func aNameThatIsALinkToNothingIsAnErrorAndNoVerdict(name: String) throws {
        try write(DumpFrame.segment(FsckProcessTests.frames))
        let path = topic.appendingPathComponent(name).path
        if name == "segment.log" { #expect(unlink(path) == 0) }
        #expect(symlink("nowhere", path) == 0)
        let check = try check(folder.path)
        #expect(check.exit() == 8)
        #expect(check.error.contains("\(name): No such file"), "\(check.error)")
        #expect(check.error.contains("where it leads if it is a link"), "\(check.error)")
        #expect(try exit("-y", folder.path) == 8)
        #expect(try report(folder.path).object.text("verdict") == "error")
    }

    @Test(.enabled(if: OrdinaryUser.canRun("toymq-fsck"), "no ordinary user can run the tool"))
    func whatAnOrdinaryUserMayNotReadIsAnErrorAndNoVerdict() throws {
        try write(DumpFrame.segment(FsckProcessTests.frames))
        let wrapper = OrdinaryUser.wrapper
        chmod(folder.path, 0o755)
        let other = try folder.topic("b").appendingPathComponent("segment.log")
        try Data(DumpFrame.segment(FsckProcessTests.frames)).write(to: other)
        // Readable and not writable is all that a check needs.
        for path in [folder.path + "/topics", topic.path] { chmod(path, 0o555) }
        chmod(segment.path, 0o444)
        let readable = try DumpProcess([folder.path], tool: "toymq-fsck", wrapper: wrapper)
        #expect(readable.exit() == 0, "\(readable.error)")
        for (path, mode) in [(segment.path, mode_t(0o000)), (topic.path, 0o000)] {
            chmod(path, mode)
            let refused = try DumpProcess(
                [folder.path, "--json"], tool: "toymq-fsck", wrapper: wrapper)
            #expect(refused.exit() == 8)
            #expect(refused.error.contains("ermission denied"), "\(refused.error)")
            #expect(refused.error.contains("run this as a user who may"), "\(refused.error)")
            let report = try #require(refused.objects.first)
            #expect(report.text("verdict") == "error")
            let verdicts = (report["topics"] as? [[String: Any]])?.map { $0.text("verdict") }
            #expect(verdicts == ["error", "clean"])
            let dump = try DumpProcess([folder.path], wrapper: wrapper)
            #expect(dump.exit() != 0)
            #expect(dump.error.contains("ermission denied"), "\(dump.error)")
            chmod(path, 0o755)
        }
    }
}
