import DataDirectory
import Foundation
import Glibc
import ProcessSupport
import SystemPackage
import Testing
import TestSupport
import WALTestSupport

@testable import WAL

/// Who owns what a repair and an undo leave, and who may read it. Root repairs, and the broker is
/// somebody else.
@Suite(.timeLimit(.minutes(10))) struct RepairAccessTests {
    private static let stranger: UInt32 = 65534

    /// DATA with one topic, that somebody owns with all that is in it.
    private final class Folder {
        private let directory: TemporaryDirectory
        let data: FilePath
        var topic: FilePath { data.appending("topics/orders") }

        init(_ files: [(name: String, bytes: [UInt8])]) throws {
            directory = try TemporaryDirectory()
            data = directory.path.appending("data")
            for (name, bytes) in files {
                try directory.write(bytes, to: "data/topics/orders/\(name)")
            }
        }

        /// The files of the topic get this mode, the directories this one, and all one owner.
        func give(to owner: UInt32? = nil, files: mode_t, directories: mode_t = 0o755) throws {
            for path in [data, data.appending("topics"), topic] {
                #expect(chmod(path.string, directories) == 0)
                if let owner { #expect(chown(path.string, owner, owner) == 0) }
            }
            for entry in try PosixDisk().list(topic) {
                let path = topic.appending(entry.name)
                #expect(chmod(path.string, files) == 0)
                if let owner { #expect(chown(path.string, owner, owner) == 0) }
            }
        }

        /// Owner, group and mode of every file of the topic.
        func access() throws -> [String: FileAccess] { try access(below: topic) }

        /// And of all that is below a directory.
        func access(below path: FilePath, _ prefix: String = "") throws -> [String: FileAccess] {
            var found: [String: FileAccess] = [:]
            for entry in try PosixDisk().list(path) {
                let inner = path.appending(entry.name)
                found[prefix + entry.name.string] = try PosixDisk().status(inner)?.access
                if entry.kind == .directory {
                    let more = try access(below: inner, prefix + entry.name.string + "/")
                    found.merge(more) { one, _ in one }
                }
            }
            return found
        }

        /// What was set aside: the one directory in lost+found.
        func keptIn() throws -> FilePath {
            let place = data.appending("lost+found")
            return place.appending(try #require(try PosixDisk().list(place).first).name)
        }

        func files() throws -> [String: Data] {
            var files: [String: Data] = [:]
            for entry in try PosixDisk().list(topic) {
                let path = topic.appending(entry.name).string
                files[entry.name.string] = try Data(contentsOf: URL(fileURLWithPath: path))
            }
            return files
        }
    }

    private func run(_ arguments: String..., by wrapper: [String] = []) throws -> FinishedProcess {
        try FinishedProcess(wrapper + [builtProgram("toymq-fsck")] + arguments)
    }

    /// A damaged message in a sealed segment, one that is gone, a torn end, and damaged positions:
    /// a repair replaces files, makes new ones and takes one away.
    private func damaged() -> [(name: String, bytes: [UInt8])] {
        var segments = [SegmentBuilder()]
        for number in 0..<4 {
            if number > 0 { segments.append(segments[number - 1].next()) }
            for index in 0..<3 { segments[number].add(TestMessage("message \(number) \(index)")) }
        }
        segments[0].bytes[segments[0].frames[2].range.upperBound - 1] ^= 1
        var files = [segments[0], segments[2]].map { (name: $0.name, bytes: $0.bytes) }
        files.append((SegmentName.activeName, segments[3].bytes + [1, 2, 3]))
        files.append((DataLayout.offsetsName, Array("rot\n".utf8)))
        return files
    }

    @Test("each file has the mode it had, and what is kept is shown to nobody else")
    func modes() throws {
        let folder = try Folder(damaged())
        try folder.give(files: 0o600)
        let before = (try folder.files(), try folder.access())
        #expect(try run("-y", folder.data.string).exit & 1 == 1)
        #expect(try run(folder.data.string).exit == 0)
        let repaired = try folder.access()
        #expect(repaired.keys.contains { $0.hasPrefix("segment.log.torn-") })
        for (name, access) in repaired { #expect(access.permissions == 0o600, "\(name)") }
        let lostAndFound = folder.data.appending("lost+found")
        #expect(try PosixDisk().status(lostAndFound)?.access?.permissions == 0o700)
        for (name, access) in try folder.access(below: lostAndFound) {
            #expect(access.permissions & 0o077 == 0, "\(name)")
        }
        #expect(try run("--undo", try folder.keptIn().string).exit == 1)
        #expect(try folder.files() == before.0)
        #expect(try folder.access() == before.1)
    }

    @Test("what the topic's directory hides stays hidden, and a group may do what it might")
    func directories() throws {
        for (files, directories, kept) in [
            (mode_t(0o644), mode_t(0o700), UInt32(0o700)), (0o640, 0o755, 0o750),
            (0o660, 0o775, 0o770), (0o644, 0o755, 0o755),
        ] {
            let folder = try Folder(damaged())
            try folder.give(files: files, directories: directories)
            #expect(try run("-y", folder.data.string).exit & 1 == 1)
            let place = folder.data.appending("lost+found")
            let all = try folder.access(below: place)
            for (name, access) in all {
                let isFile = name.hasSuffix(".log") || name.hasSuffix(".json")
                #expect(access.permissions == (isFile ? UInt32(files) : kept), "\(name)")
            }
            #expect(all.count >= 6)
            #expect(try PosixDisk().status(place)?.access?.permissions == kept)
        }
    }

    @Test(
        "what root repairs, and undoes, belongs to whom it belonged",
        .enabled(if: geteuid() == 0, "only root can give files away"))
    func owners() throws {
        let folder = try Folder(damaged())
        try folder.give(to: RepairAccessTests.stranger, files: 0o640)
        let before = (try folder.files(), try folder.access())
        let theirs = FileAccess(
            owner: RepairAccessTests.stranger, group: RepairAccessTests.stranger,
            permissions: 0o640)
        #expect(try run("-y", folder.data.string).exit & 1 == 1)
        for (name, access) in try folder.access() { #expect(access == theirs, "\(name)") }
        for (name, access) in try folder.access(below: folder.data) {
            #expect(access.owner == theirs.owner && access.group == theirs.group, "\(name)")
        }
        #expect(try run("--undo", try folder.keptIn().string).exit == 1)
        #expect(try folder.files() == before.0)
        #expect(try folder.access() == before.1)
    }

    @Test(
        "whoever may write a topic may repair it, though he cannot give files away",
        .enabled(
            if: geteuid() == 0 && OrdinaryUser.canRun("toymq-fsck"),
            "only root can have files that an ordinary user does not own"))
    func ordinaryUser() throws {
        let folder = try Folder(damaged())
        // Of a group that he is not in, which may read what others may not.
        try folder.give(to: 4711, files: 0o666, directories: 0o777)
        let sealed = folder.topic.appending(SegmentName.sealed(first: 0).fileName)
        #expect(chmod(sealed.string, 0o664) == 0)
        #expect(chmod(folder.data.removingLastComponent().string, 0o755) == 0)
        let repair = try run("-y", folder.data.string, by: OrdinaryUser.wrapper)
        #expect(repair.exit & 1 == 1, "\(repair.error)")
        let access = try #require(try PosixDisk().status(sealed)?.access)
        #expect(access.owner == RepairAccessTests.stranger)
        // Read by everybody, so by his group as well; written by the other group only.
        #expect(access.permissions == 0o644)
        let undo = try run("--undo", try folder.keptIn().string, by: OrdinaryUser.wrapper)
        #expect(undo.exit == 1, "\(undo.error)")
    }

    @Test("the undo that a repair names works where lost+found is a link to another place")
    func linkedLostAndFound() throws {
        for isLinkOfLink in [false, true] {
            let folder = try Folder(damaged())
            let before = try folder.files()
            let above = folder.data.removingLastComponent()
            let elsewhere = above.appending("elsewhere")
            try PosixDisk().makeDirectory(elsewhere)
            #expect(symlink("../elsewhere", folder.data.appending("lost+found").string) == 0)
            let repair = try run("-y", folder.data.string)
            #expect(repair.exit & 1 == 1)
            #expect(try folder.files() != before)
            var kept = try folder.keptIn()
            #expect(repair.output.contains(kept.string), "\(repair.output)")
            if isLinkOfLink {
                // A data directory that is reached through a link as well.
                let link = above.appending("link")
                #expect(symlink("data", link.string) == 0)
                let name = try #require(kept.lastComponent)
                kept = link.appending("lost+found").appending(name)
            }
            let undo = try run("--undo", kept.string)
            #expect(undo.exit == 1, "\(undo.error)")
            #expect(try folder.files() == before)
            #expect(try run("--undo", kept.string).exit == 0)
        }
    }

    @Test("a link to the directory to undo from leads to it")
    func linkedDirectory() throws {
        let folder = try Folder(damaged())
        let before = try folder.files()
        #expect(try run("-y", folder.data.string).exit & 1 == 1)
        let above = folder.data.removingLastComponent()
        let link = above.appending("undo-me")
        #expect(symlink(try folder.keptIn().string, link.string) == 0)
        #expect(try run("--undo", link.string).exit == 1)
        #expect(try folder.files() == before)
    }
}
