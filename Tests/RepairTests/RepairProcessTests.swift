import DataDirectory
import Foundation
import Glibc
import Inspection
import ProcessSupport
import SystemPackage
import Testing
import TestSupport
import WALTestSupport

@testable import WAL

/// toymq-fsck as a process, on a real disk.
@Suite(.timeLimit(.minutes(isLongRun ? 120 : 10))) struct RepairProcessTests {
    /// A data directory that is gone when the test is.
    private final class Folder {
        private let directory: TemporaryDirectory
        let data: URL

        init() throws {
            directory = try TemporaryDirectory()
            data = directory.url.appendingPathComponent("data")
            try directory.makeDirectory("data/topics/orders")
        }

        var topic: URL { data.appendingPathComponent("topics/orders") }

        func put(_ bytes: [UInt8], _ name: String) throws {
            try Data(bytes).write(to: topic.appendingPathComponent(name))
        }

        /// The topic's files.
        var files: [String: Data] {
            get throws {
                var files: [String: Data] = [:]
                for name in try FileManager.default.contentsOfDirectory(atPath: topic.path) {
                    files[name] = try? Data(contentsOf: topic.appendingPathComponent(name))
                }
                return files
            }
        }
    }

    private let fsck = builtProgram("toymq-fsck")

    private func run(_ arguments: String...) throws -> FinishedProcess {
        try FinishedProcess([fsck] + arguments)
    }

    private func segment(_ count: Int, bytes: Int = 50) -> SegmentBuilder {
        var random = Seeded(5)
        var segment = SegmentBuilder()
        for _ in 0..<count { segment.add(TestMessage(random.bytes(bytes))) }
        return segment
    }

    private func object(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    /// What was set aside: the one directory in lost+found.
    private func keptIn(_ place: URL) throws -> String {
        let names = try FileManager.default.contentsOfDirectory(
            atPath: place.appendingPathComponent("lost+found").path)
        return place.appendingPathComponent("lost+found/\(try #require(names.first))").path
    }

    @Test func aTornTailIsFourThenOneThenZeroAndUndoneIsFourAgain() throws {
        let folder = try Folder()
        var torn = segment(5)
        torn.bytes.removeLast(7)
        try folder.put(torn.bytes, "segment.log")
        let before = try folder.files
        let data = folder.data.path
        #expect(try run(data).exit == 4)
        let repaired = try run("--preen", "--json", data)
        #expect(repaired.exit == 1)
        let report = try object(repaired.output)
        #expect(report["verdict"] as? String == "torn")
        let actions = try #require(report["actions"] as? [[String: Any]])
        #expect(actions.map { $0["action"] as? String } == ["create", "replace"])
        #expect(try run(data).exit == 0)
        #expect(try run("-p", data).exit == 0)
        #expect(try run("-y", data).exit == 0)
        let kept = try keptIn(folder.data)
        #expect(try run("--undo", kept).exit == 1)
        #expect(try folder.files == before)
        #expect(try run("--undo", kept).exit == 0)
        #expect(try run(data).exit == 4)
    }

    @Test func anUndoThatIsStoppedListsWhatItHasPutBackWithNineAndGoesOnWhenRunAgain() throws {
        let folder = try Folder()
        var torn = segment(5)
        torn.bytes.removeLast(7)
        try folder.put(torn.bytes, "segment.log")
        try folder.put([1], "offsets.json")
        let before = try folder.files
        #expect(try run("--repair", folder.data.path).exit == 1)
        let kept = try keptIn(folder.data)
        // A directory with something in it, under the name of the temporary file, is not removed.
        let inTheWay = folder.topic.appendingPathComponent("segment.log.tmp")
        try FileManager.default.createDirectory(
            at: inTheWay.appendingPathComponent("something"), withIntermediateDirectories: true)
        let stopped = try run("--undo", kept, "--json")
        #expect(stopped.exit == 9)
        #expect(stopped.error.contains("run it again"), "\(stopped.error)")
        let actions = try #require(try object(stopped.output)["actions"] as? [[String: Any]])
        let names = actions.compactMap { $0["file"] as? String }
        try #require(names.count == 2)
        #expect(names[0] == "offsets.json")
        #expect(names[1].hasPrefix("segment.log.torn-"))
        try FileManager.default.removeItem(at: inTheWay)
        #expect(try run("--undo", kept).exit == 1)
        #expect(try folder.files == before)
    }

    @Test func durableLossIs68Then65ThenZeroWhateverThePathIs() throws {
        var damaged = segment(5)
        damaged.addMark()
        damaged.bytes[damaged.frames[2].range.upperBound - 1] ^= 1
        for path in ["", "topics/orders", "topics/orders/segment.log"] {
            let folder = try Folder()
            try folder.put(damaged.bytes, "segment.log")
            let before = try folder.files
            let place = folder.data.appendingPathComponent(path)
            let given = place.path
            #expect(try run(given).exit == 68, "\(path)")
            #expect(try run("--preen", given).exit == 68, "\(path)")
            #expect(try folder.files == before)
            #expect(try run("--repair", given).exit == 65, "\(path)")
            #expect(try run(given).exit == 0, "\(path)")
            #expect(try run("--repair", given).exit == 0, "\(path)")
            // In the data directory, or beside what was given.
            let kept = try keptIn(path.isEmpty ? place : place.deletingLastPathComponent())
            #expect(try run("--undo", kept).exit == 1, "\(path)")
            #expect(
                try folder.files.filter { $0.key != "lost+found" } == before, "\(path)")
        }
    }

    @Test func aSegmentOutsideATopicIsRepairedOnItsOwn() throws {
        let folder = try Folder()
        var damaged = segment(5)
        damaged.addMark()
        damaged.bytes[damaged.frames[2].range.upperBound - 1] ^= 1
        let file = folder.data.appendingPathComponent("saved.log")
        try Data(damaged.bytes).write(to: file)
        #expect(try run("--repair", file.path).exit == 65)
        #expect(try run(file.path).exit == 0)
        #expect(try run("--repair", file.path).exit == 0)
        #expect(try run("--undo", try keptIn(folder.data)).exit == 1)
        #expect(try Data(contentsOf: file) == Data(damaged.bytes))
    }

    @Test func usageErrorsAre16AndALogInUseIs8() throws {
        let folder = try Folder()
        var torn = segment(2)
        torn.add(garbage: [1])
        try folder.put(torn.bytes, "segment.log")
        let data = folder.data.path
        #expect(try run("--preen", "--repair", data).exit == 16)
        #expect(try run().exit == 16)
        #expect(try run("--undo", data, "--repair").exit == 16)
        #expect(try run("--undo", data).exit == 8)
        let before = try folder.files
        let lock = try PosixDisk().lock(FilePath(folder.topic.path))
        let refused = try run("--repair", data)
        #expect(refused.exit == 8)
        #expect(refused.error.contains("in use by process \(getpid())"), "\(refused.error)")
        #expect(try folder.files == before)
        lock.release()
        #expect(try run("--repair", data).exit == 1)
    }

    @Test func undoTakesOneDirectoryAndNothingElse() throws {
        let folder = try Folder()
        var torn = segment(5)
        torn.bytes.removeLast(7)
        try folder.put(torn.bytes, "segment.log")
        let before = try folder.files
        #expect(try run("-y", folder.data.path).exit == 1)
        let repaired = try folder.files
        let kept = try keptIn(folder.data)
        for more in [[folder.data.path], ["--topic", "orders"], ["--dialect", "native"]] {
            let refused = try FinishedProcess([fsck, "--undo", kept] + more)
            #expect(refused.exit == 16, "\(more)")
            #expect(refused.error.contains("--undo"), "\(more)")
        }
        #expect(try folder.files == repaired)
        // Running it again would not help where the log has gone on since.
        try folder.put(torn.bytes + [1], "segment.log")
        let refused = try run("--undo", kept)
        #expect(refused.exit == 8)
        #expect(refused.error.contains("changed since"), "\(refused.error)")
        #expect(!refused.error.contains("run again"), "\(refused.error)")
        try folder.put([UInt8](try #require(repaired["segment.log"])), "segment.log")
        #expect(try run("--undo", kept).exit == 1)
        #expect(try folder.files == before)
        let nothing = try run("--undo", kept)
        #expect(nothing.exit == 0)
        #expect(nothing.output.contains("nothing to put back"), "\(nothing.output)")
        #expect(!nothing.output.contains("clean"), "\(nothing.output)")
    }

    @Test func eachTopicThatFailsIsTold() throws {
        let folder = try Folder()
        var torn = segment(2)
        torn.add(garbage: [1])
        try folder.put(torn.bytes, "segment.log")
        // A directory where a segment should be.
        for name in ["bills", "carts"] {
            try FileManager.default.createDirectory(
                at: folder.data.appendingPathComponent("topics/\(name)/segment.log"),
                withIntermediateDirectories: true)
        }
        let lock = try PosixDisk().lock(FilePath(folder.topic.path))
        defer { lock.release() }
        let refused = try run("--repair", folder.data.path)
        #expect(refused.exit == 8)
        for name in ["bills", "carts", "orders"] {
            #expect(refused.error.contains("topic \(name): "), "\(refused.error)")
        }
    }

    @Test(.enabled(if: geteuid() != 0, "root may write anywhere"))
    func aReadOnlyDirectoryIs8() throws {
        let folder = try Folder()
        var torn = segment(2)
        torn.add(garbage: [1])
        try folder.put(torn.bytes, "segment.log")
        let before = try folder.files
        #expect(chmod(folder.topic.path, 0o555) == 0)
        let refused = try run("--repair", folder.data.path)
        #expect(refused.exit == 8)
        #expect(!refused.error.contains("--undo"))
        #expect(try folder.files == before)
        #expect(!FileManager.default.fileExists(atPath: folder.data.path + "/lost+found"))
    }

    @Test func theDumpOfARepairedLogShowsLostFramesAndEveryOtherFrameInItsPlace() throws {
        let folder = try Folder()
        var damaged = segment(5)
        damaged.addMark()
        let hole = damaged.frames[3].range
        for at in hole { damaged.bytes[at] = 0xDD }
        try folder.put(damaged.bytes, "segment.log")
        #expect(try run("--repair", folder.data.path).exit == 65)
        let repaired = [UInt8](try #require(try folder.files["segment.log"]))
        #expect(repaired.count == damaged.bytes.count)
        for at in repaired.indices where !hole.contains(at) {
            if repaired[at] != damaged.bytes[at] { Issue.record("byte \(at)") }
        }
        guard case .success(let frame) = FrameDecoder.decode(array: Array(repaired[hole])) else {
            Issue.record("no frame")
            return
        }
        #expect(frame.lost == 1)
        #expect(frame.fields.id == 2)
    }

    @Test func theReportIsOnePageThatFetchesNothing() throws {
        let folder = try Folder()
        var damaged = segment(5)
        damaged.addMark()
        damaged.bytes[damaged.frames[2].range.upperBound - 1] ^= 1
        try folder.put(damaged.bytes, "segment.log")
        let page = folder.data.deletingLastPathComponent()
            .appendingPathComponent("page.html")
        #expect(try run("--report", page.path, folder.data.path).exit == 68)
        let text = try String(contentsOf: page, encoding: .utf8)
        for word in ["bad-crc", "<svg", "class=\"hex\"", "toymq-fsck --repair", "</html>"] {
            #expect(text.contains(word), "\(word)")
        }
        for word in ["http:", "https:", "src=", "@import", "<script"] {
            #expect(!text.contains(word), "\(word)")
        }
        #expect(try run("--repair", "--report", page.path, folder.data.path).exit == 65)
        #expect(try String(contentsOf: page, encoding: .utf8).contains("toymq-fsck --undo"))
    }

    /// 200 kills, 2,000 with TOYMQ_TEST_LONG=1, 20 under a sanitizer, in lots that are played side by side.
    @Test(arguments: 0..<4)
    func aRepairThatIsKilledLeavesTheOldFileOrTheNewOne(lot: Int) throws {
        var damaged = segment(600, bytes: 900)
        damaged.addMark()
        for index in stride(from: 5, to: 600, by: 97) {
            damaged.bytes[damaged.frames[index].range.upperBound - 1] ^= 1
        }
        let old = Data(damaged.bytes)
        let reference = try Folder()
        try reference.put(damaged.bytes, "segment.log")
        let begin = ContinuousClock.now
        #expect(try run("--repair", reference.data.path).exit == 65)
        let whole = ContinuousClock.now - begin
        let new = try #require(try reference.files["segment.log"])
        var ends: [String: Int] = [:]
        for _ in 0..<(isLongRun ? 500 : isSanitized ? 5 : 50) {
            let folder = try Folder()
            try folder.put(damaged.bytes, "segment.log")
            let process = try ChildProcess([fsck, "--repair", folder.data.path], output: .null)
            // Where it is hit is up to chance; that is the point.
            let micros =
                whole.components.attoseconds / 1_000_000_000_000
                + whole.components.seconds * 1_000_000
            usleep(UInt32.random(in: 0...UInt32(micros)))
            process.signal(SIGKILL)
            process.wait()
            let there = try folder.files["segment.log"]
            #expect(there == old || there == new)
            ends[there == old ? "old" : "new", default: 0] += 1
            // What was set aside is there if anything has changed.
            if there == new {
                let kept = try keptIn(folder.data) + "/topics/orders/segment.log"
                #expect(try Data(contentsOf: URL(fileURLWithPath: kept)) == old)
            }
            _ = try run("--repair", folder.data.path)
            #expect(try folder.files["segment.log"] == new)
            #expect(try run(folder.data.path).exit == 0)
        }
        print("repairs killed: \(ends)")
    }
}
