import Foundation
import Testing
import WAL

/// The tool as scripts see it.
@Suite("Dump: the tool", .timeLimit(.minutes(10))) struct DumpProcessTests {
    private let folder: DumpFolder
    private let segment: URL

    /// Five messages of two commits, a lost frame, and a mark at the end.
    private static let frames: [DumpFrame] = {
        var second = DumpFrame.message(2, Array("two".utf8), key: Array("k".utf8))
        second.commitIndex = 1
        var frames = [
            DumpFrame.mark(0), .message(0, Array("zero".utf8)), .message(1, Array("one".utf8)),
            second, .message(3, [0xff]), .lost(4, 6), .message(10, Array("ten".utf8)), .mark(11),
        ]
        for index in frames.indices {
            frames[index].timestamp = 1_000_000_000 * UInt64(index / 2 + 1)
        }
        return frames
    }()

    init() throws {
        folder = try DumpFolder()
        segment = try folder.topic("a").appendingPathComponent("segment.log")
        try Data(DumpFrame.segment(DumpProcessTests.frames)).write(to: segment)
    }

    private func ids(_ arguments: String...) throws -> [UInt64] {
        let process = try DumpProcess([folder.path, "--json"] + arguments)
        #expect(process.exit() == 0)
        return process.objects.filter { $0["finding"] == nil }.compactMap { $0.number("id") }
    }

    @Test func filtersLeaveOutFrames() throws {
        #expect(try ids() == [0, 1, 2, 3, 4, 10])
        #expect(try ids("--marks") == [0, 0, 1, 2, 3, 4, 10, 11])
        #expect(try ids("--from-id", "2") == [2, 3, 4, 10])
        #expect(try ids("--from-id", "8") == [4, 10])
        #expect(try ids("--from-id", "1", "--to-id", "3") == [1, 2, 3])
        #expect(try ids("--key", "k") == [2])
        #expect(try ids("--key", "kk") == [])
        #expect(try ids("--limit", "2") == [0, 1])
        #expect(try ids("--limit", "0") == [])
        #expect(try ids("--since", "1970-01-01T00:00:02Z", "--until", "2000000000") == [1, 2])
        #expect(try ids("--since", "1h") == [])
        #expect(try ids("--topic", "a", "--dialect", "native").count == 6)
    }

    @Test func membersAreThoseOfTheFrames() throws {
        let process = try DumpProcess.run(folder.path, "--json")
        let two = try #require(process.objects.first { $0.number("id") == 2 })
        #expect(two.text("topic") == "a")
        #expect(two.text("segment") == "segment.log")
        #expect(two.text("payload") == "two")
        #expect(two.text("key") == "k")
        #expect(two.number("commit") == 1)
        let offset = try #require(two.number("offset"))
        #expect(two.number("position") == 1_000_000 + offset)
        let length = try #require(two.number("length"))
        let bytes = try Data(contentsOf: segment)
        let frame = [UInt8](bytes[Int(offset)..<Int(offset + length)])
        let crc = RawSpan(of: frame).u32(at: frame.count - 4)
        #expect(UInt32(try #require(two.text("crc")), radix: 16) == crc)
        let lost = process.objects.first { $0["lost"] != nil && $0["finding"] == nil }
        #expect(lost?.number("lost") == 6)
    }

    @Test func aFileIsATargetToo() throws {
        #expect(try DumpProcess.run(segment.path, "--json").objects.count == 7)
        let alone = folder.url.appendingPathComponent("copy.log")
        try FileManager.default.copyItem(at: segment, to: alone)
        let process = try DumpProcess.run(alone.path, "--json")
        #expect(process.exit() == 0)
        #expect(process.objects.first?.text("segment") == "copy.log")
    }

    @Test func textHasOneLineAFrame() throws {
        let process = try DumpProcess.run(folder.path, "--marks")
        #expect(process.lines.filter { !$0.hasPrefix("#") }.count == 8)
        #expect(process.lines[3].contains("1970-01-01T00:00:02.000000000Z"))
        #expect(process.lines[3].hasSuffix(#"1  "k"  "two""#))
    }

    @Test func damageIsPassedOverAndTold() throws {
        var bytes = try Data(contentsOf: segment)
        // In the payload of message 1.
        bytes[38 + 42 + 36] ^= 1
        try bytes.write(to: segment)
        let process = try DumpProcess.run(folder.path, "--json")
        #expect(process.exit() == 1)
        let found = try #require(process.objects.first { $0.text("finding") == "bad-crc" })
        #expect(found.text("severity") == "damage")
        #expect(found.text("segment") == "segment.log")
        #expect(found.number("offset") == 80)
        #expect(found.number("length") == 41)
        let ids = process.objects.filter { $0["finding"] == nil }.compactMap { $0.number("id") }
        #expect(ids == [0, 2, 3, 4, 10])
        // A filter hides frames and no damage.
        let filtered = try DumpProcess.run(folder.path, "--from-id", "10")
        #expect(filtered.exit() == 1)
        #expect(filtered.lines.contains { $0.hasPrefix("# segment.log: offset 80, 41 bytes: ") })
        // What is remarked about a frame goes with it.
        #expect(!filtered.output.contains("remark lost"))
        #expect(try DumpProcess.run(folder.path).output.contains("remark lost"))
        // What is asked for was shown before the damage.
        #expect(try DumpProcess.run(folder.path, "--limit", "1").exit() == 0)
    }

    @Test func aTornEndIsWorseThanARemark() throws {
        let bytes = try Data(contentsOf: segment)
        try (bytes + [1, 2, 3]).write(to: segment)
        #expect(try DumpProcess.run(folder.path).exit() == 1)
        try (bytes + Data(count: 100)).write(to: segment)
        #expect(try DumpProcess.run(folder.path).exit() == 0)
    }

    @Test func statisticsCount() throws {
        let process = try DumpProcess.run(folder.path, "--stats", "--json")
        let stats = try #require(process.objects.last)
        #expect(stats.number("messages") == 5)
        #expect(stats.number("commits") == 4)
        #expect(stats.number("lost") == 6)
        #expect(stats.number("first_id") == 0)
        #expect(stats.number("last_id") == 10)
        #expect(stats.number("payload_bytes") == 14)
        #expect(stats.number("file_bytes") == UInt64(try Data(contentsOf: segment).count))
        #expect(stats["marks"] == nil)
        #expect(try DumpProcess.run(folder.path, "--stats").output.contains("messages per commit"))
        let marks = try DumpProcess.run(folder.path, "--stats", "--json", "--marks")
        #expect((marks.objects.last?.number("marks") ?? 0) > 0)
    }

    @Test func ofATopicThatCannotBeReadThereAreNoNumbers() throws {
        for name in ["A", "z"] {
            // Before the one that can be read, and behind it.
            let unreadable = try folder.topic(name).appendingPathComponent("segment.log")
            try FileManager.default.createDirectory(
                at: unreadable, withIntermediateDirectories: false)
        }
        let process = try DumpProcess.run(folder.path, "--stats", "--json")
        #expect(process.exit() == 1)
        let counted = process.objects.filter { $0["messages"] != nil }
        #expect(counted.map { $0.text("topic") } == ["a"])
        #expect(process.error.contains("topic A: ") && process.error.contains("topic z: "))
    }

    @Test func exitCodesAreThoseOfTheContract() throws {
        #expect(try DumpProcess.run("/nowhere").exit() == 2)
        #expect(try DumpProcess.run(folder.path, "--topic", "b").exit() == 2)
        #expect(try DumpProcess.run("/dev/null").exit() == 2)
        for wrong in [
            [], ["--nonsense", "x"], ["x", "--payload", "rot13"], ["x", "--since", "yesterday"],
            ["x", "--from-id", "2", "--to-id", "1"], ["x", "--from-id", "-1"],
            ["x", "--stats", "--follow"],
        ] {
            let process = try DumpProcess(wrong)
            #expect(process.exit() == 64, "\(wrong)")
        }
        let version = try DumpProcess.run("--version")
        #expect(version.exit() == 0)
        #expect(version.output == "0.1.0\n")
        #expect(try DumpProcess.run("--help").exit() == 0)
        #expect(try DumpProcess.run("--generate-completion-script", "bash").exit() == 0)
    }

    @Test func aFullDiskIsTold() throws {
        let full = try FileHandle(forWritingTo: URL(fileURLWithPath: "/dev/full"))
        let process = try DumpProcess([folder.path], to: full)
        #expect(process.exit() == 2)
        #expect(process.error.contains("standard output"))
    }

    @Test func aReaderThatHasGoneIsNoFault() throws {
        let pipe = Pipe()
        let process = try DumpProcess([folder.path], to: pipe.fileHandleForWriting)
        try pipe.fileHandleForReading.close()
        try pipe.fileHandleForWriting.close()
        #expect(process.exit() == 0)
    }

    @Test func nothingIsChanged() throws {
        let before = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
        let bytes = try Data(contentsOf: segment)
        _ = try DumpProcess.run(folder.path)
        #expect(try FileManager.default.subpathsOfDirectory(atPath: folder.path) == before)
        #expect(try Data(contentsOf: segment) == bytes)
    }
}
