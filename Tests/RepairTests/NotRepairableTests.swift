import DataDirectory
import Foundation
import Inspection
import ProcessSupport
import SystemPackage
import Testing
import TestSupport
import WALTestSupport

@testable import Repair
@testable import WAL

/// Repairs that cannot be carried out: nothing is changed, and nothing is said to be set aside.
@Suite struct NotRepairableTests {
    private func damaged() -> LogImage {
        var segment = SegmentBuilder()
        for number in 0..<4 { segment.add(TestMessage("message \(number)")) }
        segment.addMark()
        segment.bytes[segment.frames[2].range.lowerBound + 36] ^= 1
        return LogImage(segment)
    }

    private func lostAndFound(_ disk: MemoryDisk) -> [String] {
        disk.allFiles.keys.filter { $0.contains("lost+found") }.sorted()
    }

    @Test func aDirectoryThatCannotBeWrittenLeavesNoTrace() throws {
        let bench = RepairBench(damaged())
        let before = bench.files
        // As open(2) says it for a name that is not there.
        bench.disk.follow { call in
            call.operation == .open && call.path.string.hasPrefix("/data/topics/")
                && call.name.hasSuffix(".tmp") ? .fail(.permissionDenied) : nil
        }
        for _ in 0..<2 {
            let outcome = try bench.repair()
            #expect(outcome.bits == .operational)
            #expect(outcome.keptIn == nil)
            #expect(outcome.problems.count == 1)
        }
        bench.disk.follow(nil)
        #expect(bench.files == before)
        #expect(lostAndFound(bench.disk).isEmpty)
        #expect(try bench.disk.status("/data/lost+found") == nil)
        #expect(try bench.repair().bits == [.corrected, .messagesLost])
    }

    @Test func aWriteThatFailsLaterIsNoReasonToPutAnythingBack() throws {
        let bench = RepairBench(damaged())
        let before = bench.files
        bench.disk.follow { call in
            call.operation == .write && call.path.string.hasPrefix("/data/topics/")
                ? .fail(.noSpace) : nil
        }
        let outcome = try bench.repair()
        bench.disk.follow(nil)
        #expect(outcome.bits == .operational)
        #expect(outcome.keptIn == nil)
        #expect(bench.files == before)
    }

    @Test func aLeftOverDoesNotStandInTheWay() throws {
        let bench = RepairBench(
            damaged(), [("segment.log.tmp", [1]), ("segment.log.torn-0.tmp", [2])])
        #expect(try bench.repair().bits == [.corrected, .messagesLost])
        #expect(try bench.check().exitBits == [])
        #expect(bench.files.count == 1)
    }

    @Test func whereNoPlanIsFoundNothingIsTidiedUp() throws {
        let bench = RepairBench(damaged(), [("segment.log.tmp", [1]), ("offsets.json", [2])])
        let topic = try #require(try bench.target().topics.first)
        let plan = TopicPlanning(topic, on: bench.storage, now: RepairBench.now, passes: 1).plan()
        #expect(plan.problem == .noPlan(RepairBench.directory))
        #expect(plan.changes.isEmpty)
    }

    @Test(arguments: ["other.json", "segment.log"])
    func aLinkIsNotReplaced(target: String) throws {
        let directory = try TemporaryDirectory()
        let data = directory.url
        let topic = data.appendingPathComponent("topics/t")
        try directory.makeDirectory("topics/t")
        let segment = topic.appendingPathComponent("segment.log")
        for file in damaged().files where file.name == "segment.log" {
            try Data(file.bytes).write(to: segment)
        }
        try Data("{".utf8).write(to: topic.appendingPathComponent("other.json"))
        let link = topic.appendingPathComponent("offsets.json")
        // Relative, so that a second name of it elsewhere leads nowhere.
        try FileManager.default.createSymbolicLink(
            atPath: link.path, withDestinationPath: target)
        let before = try Data(contentsOf: segment)
        let process = try FinishedProcess([builtProgram("toymq-fsck"), "--repair", data.path])
        #expect(process.exit == 8)
        #expect(process.error.contains("offsets.json is a symbolic link"), "\(process.error)")
        #expect(!process.error.contains("--undo"))
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link.path) == target)
        #expect(try Data(contentsOf: segment) == before)
        #expect(!FileManager.default.fileExists(atPath: data.path + "/lost+found"))
    }

    @Test func theSegmentThatWasNamedMayNotBeALinkEither() throws {
        let directory = try TemporaryDirectory()
        let folder = directory.url
        let elsewhere = folder.appendingPathComponent("elsewhere")
        try directory.makeDirectory("elsewhere")
        let file = elsewhere.appendingPathComponent("segment.log")
        try Data(damaged().files.first { $0.name == "segment.log" }?.bytes ?? []).write(to: file)
        let before = try Data(contentsOf: file)
        let link = folder.appendingPathComponent("segment.log")
        try FileManager.default.createSymbolicLink(
            atPath: link.path, withDestinationPath: "elsewhere/segment.log")
        #expect(try FinishedProcess([builtProgram("toymq-fsck"), link.path]).exit == 68)
        let process = try FinishedProcess([builtProgram("toymq-fsck"), "--repair", link.path])
        #expect(process.exit == 8)
        #expect(process.error.contains("symbolic link"))
        #expect(try Data(contentsOf: file) == before)
        #expect(
            try directory.names == ["elsewhere", "segment.log"])
    }

    @Test func aFileThatHasTheNameOfTheNewOneIsSomebodys() throws {
        let bench = RepairBench([])
        let bytes = try #require(damaged().files.first { $0.name == "segment.log" }?.bytes)
        bench.disk.put(bytes, at: "/data/copy.log")
        bench.disk.put([1, 2, 3], at: "/data/copy.log.tmp")
        let outcome = try bench.repair(.all, "/data/copy.log")
        #expect(outcome.bits == .operational)
        #expect(outcome.problems.first?.error == .nameTaken("/data/copy.log.tmp"))
        #expect(bench.disk.bytes("/data/copy.log") == bytes)
        #expect(bench.disk.bytes("/data/copy.log.tmp") == [1, 2, 3])
        #expect(lostAndFound(bench.disk).isEmpty)
        try bench.disk.remove("/data/copy.log.tmp")
        #expect(try bench.repair(.all, "/data/copy.log").bits == [.corrected, .messagesLost])
    }
}
