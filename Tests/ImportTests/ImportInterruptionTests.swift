import DataDirectory
import Foundation
import GoImport
import ProcessSupport
import Synchronization
import SystemPackage
import Testing
import TestSupport
import WAL
import WALTestSupport

/// Imports of several topics that fail, or end, while the topics get their names.
@Suite("Import interruptions") struct ImportInterruptionTests {
    let directory: TemporaryDirectory
    private let topics = ["a", "b", "c"]

    init() throws {
        directory = try TemporaryDirectory()
        for (index, name) in topics.enumerated() {
            try directory.write(
                Go.frames(0..<UInt64(5 + index)), to: "go/topics/\(name)/000000.log")
        }
        try directory.write(Go.frames(0..<3), to: "other/d/000000.log")
    }

    private var source: FilePath { directory.path.appending("go") }
    private var other: FilePath { directory.path.appending("other").appending("d") }
    private var names: [String] { directory.names(in: directory.data.topicsDirectory) }

    /// How many calls the last step makes.
    private func calls() throws -> Int {
        let disk = LastStepDisk { _ in false }
        let layout = DataLayout(directory.path.appending("counted"), storage: Storage(disk))
        _ = try GoImport(source, into: layout).run()
        return disk.calls
    }

    private func importing(_ disk: LastStepDisk) -> ImportError? {
        let layout = DataLayout(directory.data.root, storage: Storage(disk))
        do {
            _ = try GoImport(source, into: layout).run()
            return nil
        } catch {
            return error
        }
    }

    private func removeData() throws {
        try FileManager.default.removeItem(atPath: directory.data.root.string)
    }

    private func expectWhole(_ comment: Comment) throws {
        for (index, name) in topics.enumerated() {
            let opened = try OpenedTopic(name, in: directory.data)
            #expect(opened.messages.count == 5 + index, comment)
        }
    }

    @Test func aCallThatFailsLeavesNoTopic() throws {
        let count = try calls()
        // The file, its name, three names, and all that is forced between.
        try #require(count >= 8)
        for number in 1...count {
            let error = importing(LastStepDisk { $0 == number })
            if error == nil {
                // Everything was durable; only the file that says so could not be removed.
                #expect(names.filter { !$0.hasPrefix(".") } == topics, "call \(number)")
            } else {
                guard case .io? = error else {
                    Issue.record("call \(number): \(String(describing: error))")
                    return
                }
                #expect(names == [], "call \(number)")
                #expect(try GoImport(source, into: directory.data).run().topics.count == 3)
            }
            _ = try GoImport(other, into: directory.data).run()
            #expect(names == topics + ["d"], "call \(number)")
            try expectWhole("call \(number)")
            try removeData()
        }
    }

    /// Every later call fails too: that is what a killed process leaves.
    @Test(arguments: [true, false]) func theNextImportFinishesOne(sameSource: Bool) throws {
        var seen: Set<Int> = []
        for number in 1...(try calls()) {
            let error = importing(LastStepDisk { $0 >= number })
            let there = names.filter { !$0.hasPrefix(".") }
            seen.insert(there.count)
            if error == nil, !names.contains(".importing") {
                // The last call: nothing was left to do.
                #expect(there == topics, "call \(number)")
                try expectWhole("call \(number)")
                try removeData()
                continue
            }
            if case .unfinished(let left, _)? = error { #expect(left.map(\.text) == there) }
            var finished: [String] = []
            let next = GoImport(sameSource ? source : other, into: directory.data)
            let report = try next.run(finished: { finished = $0.map(\.text) })
            #expect(report.isComplete)
            #expect(there.isEmpty || finished == topics, "call \(number)")
            let made = sameSource ? topics.filter { !finished.contains($0) } : ["d"]
            #expect(report.topics.map(\.name.text) == made, "call \(number)")
            if !sameSource, finished.isEmpty {
                _ = try GoImport(source, into: directory.data).run()
            }
            #expect(names == topics + (sameSource ? [] : ["d"]), "call \(number)")
            try expectWhole("call \(number)")
            try removeData()
        }
        #expect(seen == [0, 1, 2, 3])
    }

    /// Stopped with `a` in DATA, and `b` and `c` not yet.
    private func stop() throws {
        for number in 1...(try calls()) {
            let error = importing(LastStepDisk { $0 >= number })
            if case .unfinished(let left, _)? = error, left.map(\.text) == ["a"] { return }
            try removeData()
        }
        Issue.record("no call is the second rename")
    }

    @Test func aTopicThatWasMadeMeanwhileKeepsItsName() throws {
        try stop()
        try directory.write([], to: "data/topics/b/segment.log")
        let report = try GoImport(other, into: directory.data).run()
        #expect(report.issues.map(\.kind) == [.interrupted])
        #expect(names == [".importing-b", "a", "b", "c", "d"])
        #expect(try bytes(of: directory.path.pushing("data/topics/b/segment.log")).isEmpty)
    }

    @Test func whatTheInterruptedOneLeftOutIsNotForgotten() throws {
        try directory.write(
            Go.frame(0, key: "k", payload: [1], visibleAt: .max), to: "go/topics/a/000000.log")
        try stop()
        let report = try GoImport(source, into: directory.data).run()
        #expect(report.issues.map(\.kind) == [.interrupted] && report.topics.isEmpty)
    }

    @Test func anotherSourceOfTheSameNameIsRefusedAfterwards() throws {
        try stop()
        try directory.write(Go.frames(0..<1), to: "third/b/000000.log")
        var finished: [String] = []
        let work = GoImport(directory.path.pushing("third/b"), into: directory.data)
        #expect(throws: ImportError.self) {
            try work.run(finished: { finished = $0.map(\.text) })
        }
        #expect(finished == topics && names == topics)
        try expectWhole("finished first")
    }

    @Test func anIntentThatIsNotWholeIsRemovedAndNothingElse() throws {
        try stop()
        let file = directory.path.pushing("data/topics/.importing")
        try Data(try bytes(of: file).dropLast()).write(to: URL(fileURLWithPath: file.string))
        var finished: [String] = []
        _ = try GoImport(other, into: directory.data).run(finished: { finished = $0.map(\.text) })
        #expect(finished == [])
        #expect(names == [".importing-b", ".importing-c", "a", "d"])
    }

    @Test func theProgramTellsWhatItFinished() throws {
        try stop()
        let toymqctl = Command("toymqctl")
        #expect(try toymqctl.run("open", directory.data.root.string).exit == 0)
        let result = try toymqctl.run("import", source.string, directory.data.root.string, "--json")
        #expect(result.exit == 0)
        #expect(result.error.contains("interrupted") && result.error.contains("a, b, c"))
        #expect(result.json["finished"] as? [String] == topics)
        #expect((result.json["topics"] as? [Any])?.isEmpty == true)
        #expect(names == topics)
    }
}

/// The local disk, whose calls on names are decided about from the moment on at which the last
/// step begins. The first is number 1.
private final class LastStepDisk: WrappedDisk {
    let base = Storage.local.disk
    private let count = Mutex<Int?>(nil)
    private let fails: @Sendable (Int) -> Bool

    init(fails: @escaping @Sendable (Int) -> Bool) { self.fails = fails }

    var calls: Int { count.withLock { $0 ?? 0 } }

    private func decide(_ operation: DiskError.Operation, _ path: FilePath) throws(DiskError) {
        let number = count.withLock { count -> Int in
            if count == nil, operation == .open, path.lastComponent?.string == ".importing.tmp" {
                count = 0
            }
            count = count.map { $0 + 1 }
            return count ?? 0
        }
        if number > 0, fails(number) {
            throw DiskError(operation: operation, path: path, errno: .ioError)
        }
    }

    func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
        try decide(.open, path)
        return try base.open(path, mode)
    }
    func rename(_ old: FilePath, to new: FilePath) throws(DiskError) {
        try decide(.rename, old)
        try base.rename(old, to: new)
    }
    func remove(_ path: FilePath) throws(DiskError) {
        try decide(.remove, path)
        try base.remove(path)
    }
    func syncDirectory(_ path: FilePath) throws(DiskError) {
        try decide(.syncDirectory, path)
        try base.syncDirectory(path)
    }
}
