import DataDirectory
import Foundation
import GoImport
import SystemPackage
import Testing
import TestSupport
import WAL

/// Imports that do nothing at all, and what an interrupted one leaves.
@Suite("Import refusals") struct ImportRefusalTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func refusal(_ work: GoImport) throws -> ImportError? {
        do {
            _ = try work.run()
            return nil
        } catch {
            return error
        }
    }

    private var topic: FilePath { directory.path.appending("go").appending("t") }

    private func writeTopic() throws {
        try directory.write(Go.frames(0..<100), to: "go/t/000000.log")
    }

    @Test func aTopicThatExistsIsNotTouched() throws {
        try writeTopic()
        let name = try TopicName("t")
        _ = try GoImport(topic, into: directory.data).run()
        let file = directory.data.directory(of: name).appending("segment.log")
        let before = try bytes(of: file)
        let again = try refusal(GoImport(topic, into: directory.data))
        #expect(again == .exists(name, directory.data.directory(of: name)))
        #expect(try bytes(of: file) == before)
        #expect(directory.names(in: directory.data.topicsDirectory) == ["t"])
    }

    @Test func pathAndDataLieApart() throws {
        try directory.write(Go.frames(0..<5), to: "go/topics/t/000000.log")
        let root = directory.path.appending("go")
        let topic = root.appending("topics").appending("t")
        let link = directory.path.appending("link")
        try FileManager.default.createSymbolicLink(
            atPath: link.string, withDestinationPath: topic.string)
        let before = try FileManager.default.subpathsOfDirectory(atPath: directory.path.string)
        for (path, data) in [
            (root, root), (topic, root), (root, topic), (topic, topic), (link, root),
            (root, link.appending("new")), (root, root.appending("new")),
        ] {
            let work = GoImport(path, into: DataLayout(data), as: try TopicName("n"))
            #expect(try refusal(work) == .overlap(path, data), "\(path) \(data)")
        }
        #expect(
            try FileManager.default.subpathsOfDirectory(atPath: directory.path.string) == before)
        // A name that only begins alike is another directory.
        let beside = DataLayout(directory.path.appending("go-native"))
        #expect(try GoImport(root, into: beside).run().isComplete)
    }

    @Test func allTopicsOrNone() throws {
        try writeTopic()
        try directory.write(Go.frames(0..<5), to: "source/topics/a/000000.log")
        try directory.write(Go.frames(0..<5), to: "source/topics/t/000000.log")
        _ = try GoImport(topic, into: directory.data).run()
        let source = directory.path.appending("source")
        guard case .exists? = try refusal(GoImport(source, into: directory.data)) else {
            Issue.record("not refused")
            return
        }
        #expect(directory.names(in: directory.data.topicsDirectory) == ["t"])
    }

    @Test func aDataDirectoryInUseIsNamedWithItsProcess() throws {
        try writeTopic()
        try directory.data.create()
        let lock = try DataLock.acquire(directory.data)
        defer { lock.release() }
        let refused = try refusal(GoImport(topic, into: directory.data))
        guard case .lock(.held(_, let process))? = refused else {
            Issue.record("\(String(describing: refused))")
            return
        }
        #expect(process == getProcessID())
        #expect(directory.names(in: directory.data.topicsDirectory).isEmpty)
    }

    @Test func aLockThatCannotBeTakenIsNobodysToStop() throws {
        try writeTopic()
        try directory.data.create()
        // What root may not open either.
        let path = directory.data.lockFile.string
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        let refused = try #require(try refusal(GoImport(topic, into: directory.data)))
        guard case .lock(.io) = refused else {
            Issue.record("\(refused)")
            return
        }
        #expect(!"\(refused)".contains("stop that one"), "\(refused)")
    }

    @Test func whatIsNotThereIsNotImported() throws {
        guard case .io(let error)? = try refusal(GoImport(topic, into: directory.data)) else {
            Issue.record("not refused")
            return
        }
        #expect(error.path == topic && error.errno == .noSuchFileOrDirectory)
        let file = try directory.write(Go.frames(0..<1), to: "go/t/000000.log")
        #expect(
            try refusal(GoImport(file, into: directory.data))
                == .nothingToImport(file, isFile: true))
        let empty = try directory.makeDirectory("empty")
        #expect(
            try refusal(GoImport(empty, into: directory.data))
                == .nothingToImport(empty, isFile: false))
        #expect(!directory.names(in: directory.path).contains("data"))
    }

    @Test func oneNameIsNotForSeveralTopics() throws {
        for name in ["a", "b"] {
            try directory.write(Go.frames(0..<1), to: "source/topics/\(name)/000000.log")
        }
        let source = directory.path.appending("source")
        let work = GoImport(source, into: directory.data, as: try TopicName("c"))
        #expect(try refusal(work) == .severalTopics(source, count: 2))
    }

    @Test func theParentOfDataHasToExist() throws {
        try writeTopic()
        let layout = DataLayout(directory.path.appending("no").appending("data"))
        guard case .io(let error)? = try refusal(GoImport(topic, into: layout)) else {
            Issue.record("not refused")
            return
        }
        #expect(error.operation == .makeDirectory)
    }

    @Test func whatAnInterruptedImportLeftIsRemoved() throws {
        try writeTopic()
        // A part of a log, and a file that an import would not even make.
        try directory.write(Go.frames(0..<3), to: "data/topics/.importing-t/segment.log")
        try directory.write([1], to: "data/topics/.importing-t/more/file")
        let report = try GoImport(topic, into: directory.data).run()
        #expect(report.isComplete)
        #expect(directory.names(in: directory.data.topicsDirectory) == ["t"])
        #expect(try OpenedTopic("t", in: directory.data).messages.count == 100)
        let files = directory.names(in: directory.data.directory(of: try TopicName("t")))
        #expect(files == ["offsets.json", "segment.log"])
    }

    @Test func twoLogsDoNotBecomeOneTopic() throws {
        try directory.write(Go.frames(0..<3), to: "source/topics/a/0/000000.log")
        try directory.write(Array(#"{"partitions":1}"#.utf8), to: "source/topics/a/meta.json")
        try directory.write(Go.frames(0..<5), to: "source/topics/a.0/000000.log")
        let source = directory.path.appending("source")
        let report = try GoImport(source, into: directory.data).run()
        #expect(report.topics.map(\.messages) == [3])
        #expect(report.issues.map(\.kind) == [.name])
    }

    @Test func aPartitionThatIsMissingIsTold() throws {
        try directory.write(Go.frames(0..<3), to: "go/a/1/000000.log")
        try directory.write(Array(#"{"partitions":2}"#.utf8), to: "go/a/meta.json")
        let folder = directory.path.appending("go").appending("a")
        let report = try GoImport(folder, into: directory.data).run()
        #expect(report.topics.map(\.name.text) == ["a.1"])
        #expect(report.issues.map(\.kind) == [.partition])
    }

    @Test func aTopicMayHaveANumberForAName() throws {
        try directory.write(Go.frames(0..<3), to: "source/topics/3/000000.log")
        let folder = directory.path.appending("source").appending("topics").appending("3")
        let report = try GoImport(folder, into: directory.data).run()
        #expect(report.topics.map(\.name.text) == ["3"])
    }
}
