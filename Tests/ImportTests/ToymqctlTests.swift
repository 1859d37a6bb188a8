import DataDirectory
import Foundation
import ProcessSupport
import SystemPackage
import Testing
import TestSupport
import WAL

/// The program itself: exit codes, what it prints, and what is left when it is killed.
@Suite("toymqctl") struct ToymqctlTests {
    let directory: TemporaryDirectory
    let toymqctl = Command("toymqctl")

    init() throws { directory = try TemporaryDirectory() }

    private var data: String { directory.data.root.string }
    private func file(_ relative: String) -> String {
        directory.path.pushing(FilePath(relative)).string
    }

    @Test func itTellsItsVersionAndHelps() throws {
        let version = try toymqctl.run("--version")
        #expect(version.exit == 0 && version.output == "0.1.0\n")
        for command in [["--help"], ["import", "--help"], ["open", "--help"]] {
            let help = try toymqctl.run(command)
            #expect(help.exit == 0 && help.output.contains("Exit codes"))
        }
        let script = try toymqctl.run("--generate-completion-script", "bash")
        #expect(script.exit == 0 && script.output.contains("toymqctl"))
    }

    @Test(arguments: [
        ["import"], ["import", "a"], ["import", "a", "b", "--topic", "../c"], ["open"],
        ["open", "a", "--topic", ""], ["open", "a", "--what"], ["nothing"],
    ]) func wrongUsageIs64(arguments: [String]) throws {
        #expect(try toymqctl.run(arguments).exit == 64)
    }

    // MARK: import

    @Test func anImportReportsInJSON() throws {
        let sample = Fixtures.path("v1-c-consumers-kill9/data/topics/orders").string
        let result = try toymqctl.run("import", sample, data, "--json")
        #expect(result.exit == 1)
        #expect(result.error.contains("потребитель"))
        #expect(result.json["complete"] as? Bool == false)
        let topics = try #require(result.json["topics"] as? [[String: Any]])
        #expect(topics.first?["messages"] as? Int == 20)
        #expect(topics.first?["next_id"] as? Int == 20)
        #expect((topics.first?["consumers"] as? [String])?.count == 7)
        let issues = try #require(result.json["issues"] as? [[String: Any]])
        #expect(issues.map { $0["issue"] as? String } == ["consumer"])
        let again = try toymqctl.run("import", sample, data, "--json")
        #expect(again.exit == 2)
        #expect((again.json["error"] as? String)?.contains("exists") == true)
    }

    @Test func aDotIsTheFolderItStandsFor() throws {
        try directory.write(Go.frames(0..<3), to: "go/t/000000.log")
        let result = try toymqctl.run("import", ".", data, before: "cd \(file("go/t"))")
        #expect(result.exit == 0 && result.output.hasPrefix("t: 3 messages"))
    }

    @Test func aKilledImportLeavesNoTopicAndTheNextOneWorks() throws {
        let log = try directory.write(Go.frames(0..<300), to: "go/t/000000.log")
        // A terabyte of nothing behind the messages: the import has taken them over, and is still
        // looking for more when it is killed.
        let whole = try bytes(of: log).count
        #expect(truncate(log.string, 1 << 40) == 0)
        let left = directory.data.topicsDirectory.appending(".importing-t")
        let killed = try toymqctl.run(
            ["import", file("go/t"), data],
            killingWhen: { directory.names(in: left).contains("segment.log") })
        #expect(killed.end == .signal(SIGKILL))
        #expect(directory.names(in: directory.data.topicsDirectory) == [".importing-t"])
        #expect(try directory.data.topics().topics.isEmpty)
        #expect(try toymqctl.run("open", data).exit == 0, "what is left is no topic")
        #expect(truncate(log.string, whole) == 0)
        #expect(try toymqctl.run("import", file("go/t"), data).exit == 0)
        #expect(directory.names(in: directory.data.topicsDirectory) == ["t"])
        #expect(try OpenedTopic("t", in: directory.data).messages.count == 300)
    }

    @Test func anImportWithoutSpaceLeavesNothing() throws {
        try directory.write(
            (0..<300).flatMap { Go.frame($0, payload: [UInt8](repeating: 1, count: 16_384)) },
            to: "go/t/000000.log")
        // No file may have more than 1 MiB (where the unit is 512 bytes; else 2).
        let result = try toymqctl.run("import", file("go/t"), data, before: "ulimit -f 2048")
        #expect(result.exit == 2)
        #expect(result.error.contains("File too large"))
        #expect(directory.names(in: directory.data.topicsDirectory).isEmpty)
        #expect(try toymqctl.run("import", file("go/t"), data).exit == 0)
    }

    @Test func aLockedDataDirectoryIs2WithTheProcess() throws {
        try directory.write(Go.frames(0..<3), to: "go/t/000000.log")
        try directory.data.create()
        let lock = try DataLock.acquire(directory.data)
        defer { lock.release() }
        for command in [["import", file("go/t"), data], ["open", data]] {
            let result = try toymqctl.run(command)
            #expect(result.exit == 2)
            #expect(result.error.contains("process \(getProcessID())"))
        }
    }

    // MARK: open

    private func importTopic(_ name: String, consumers: String? = nil) throws -> FilePath {
        try directory.write(Go.frames(0..<10), to: "go/\(name)/000000.log")
        if let consumers {
            try directory.write(Array(consumers.utf8), to: "go/\(name)/offsets.json")
        }
        #expect(try toymqctl.run("import", file("go/\(name)"), data).exit == 0)
        return directory.data.directory(of: try TopicName(name)).appending("segment.log")
    }

    @Test func openingTellsTheTornTailThatItKept() throws {
        let segment = try importTopic("a")
        _ = try importTopic("b")
        // Its closing mark, and a part of the last message.
        let cut = try bytes(of: segment).dropLast(38 + 10)
        try Data(cut).write(to: URL(fileURLWithPath: segment.string))
        let result = try toymqctl.run("open", data, "--json")
        #expect(result.exit == 0 && result.error.isEmpty)
        let topics = try #require(result.json["topics"] as? [[String: Any]])
        #expect(topics.map { $0["topic"] as? String } == ["a", "b"])
        #expect(topics.map { $0["tail"] as? String } == ["torn", "clean"])
        #expect(topics.map { $0["next_id"] as? Int } == [9, 10])
        let kept = try #require(topics.first?["kept_in"] as? String)
        #expect(FileManager.default.fileExists(atPath: kept))
        let again = try toymqctl.run("open", data, "--topic", "a")
        #expect(again.exit == 0 && again.output.contains("clean end"))
    }

    @Test func aDamagedLogStaysClosedAndTheOthersOpen() throws {
        let segment = try importTopic("a")
        _ = try importTopic("b")
        var damaged = try bytes(of: segment)
        damaged[60] ^= 1
        try Data(damaged).write(to: URL(fileURLWithPath: segment.string))
        let result = try toymqctl.run("open", data)
        #expect(result.exit == 1)
        #expect(result.error.contains("toymq-fsck \(segment.removingLastComponent())"))
        #expect(result.output.contains("b: opened"))
        #expect(try bytes(of: segment) == damaged)
    }

    @Test func anAcknowledgedMessageThatIsGoneIsDamage() throws {
        let consumers = #"{"consumers":{"c":{"has_acked":true,"last_acked":9,"above_last":[]}}}"#
        let segment = try importTopic("a", consumers: consumers)
        let cut = try bytes(of: segment).dropLast(38 + 10)
        try Data(cut).write(to: URL(fileURLWithPath: segment.string))
        let result = try toymqctl.run("open", data, "--json")
        #expect(result.exit == 1)
        let topics = try #require(result.json["topics"] as? [[String: Any]])
        #expect(topics.map { $0["reason"] as? String } == ["damaged"])
        #expect(try bytes(of: segment).count == cut.count)
    }

    @Test func withDamagedOffsetsNothingIsCut() throws {
        let segment = try importTopic("a")
        let cut = try bytes(of: segment).dropLast(38 + 10)
        try Data(cut).write(to: URL(fileURLWithPath: segment.string))
        try directory.write(Array("{}\n".utf8), to: "data/topics/a/offsets.json")
        let result = try toymqctl.run("open", data)
        #expect(result.exit == 1)
        #expect(result.error.contains("toymq-fsck"))
        #expect(try bytes(of: segment).count == cut.count)
    }

    @Test func aLogThatIsInUseIs2() throws {
        let segment = try importTopic("a")
        let host = LogHost()
        defer { host.shutdown() }
        let log = try Log.open(segment.removingLastComponent(), host: host)
        let result = try toymqctl.run("open", data)
        #expect(result.exit == 2)
        #expect(result.error.contains("process \(getProcessID())"))
        try log.close()
    }

    @Test func whatIsNotADataDirectoryIsNotMadeOne() throws {
        let empty = try directory.makeDirectory("empty")
        #expect(try toymqctl.run("open", empty.string).exit == 2)
        #expect(try toymqctl.run("open", file("nowhere")).exit == 2)
        #expect(directory.names(in: empty).isEmpty)
        _ = try importTopic("a")
        #expect(try toymqctl.run("open", data, "--topic", "b").exit == 2)
        #expect(directory.names(in: directory.data.topicsDirectory) == ["a"])
    }
}
