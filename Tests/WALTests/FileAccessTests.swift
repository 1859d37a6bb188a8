import Foundation
import Glibc
import SystemPackage
import Testing
import TestSupport
import WALTestSupport

@testable import WAL

/// Who owns the files that a log makes, and who may read them: whoever runs it may be root, and
/// whoever opens it next not.
@Suite struct FileAccessTests {
    private let host = LogHost.on(PosixDisk())

    /// A log of two segments with a torn end. Its files have this mode and, where one is given,
    /// this owner.
    private func torn(_ mode: mode_t, owner: UInt32? = nil) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        var first = SegmentBuilder()
        for number in 0..<3 { first.add(TestMessage("\(number)")) }
        var second = first.next()
        second.add(TestMessage("3"))
        for (name, bytes) in [
            (first.name, first.bytes), (SegmentName.activeName, second.bytes + [1, 2, 3]),
        ] {
            let path = try directory.write(bytes, to: name)
            #expect(chmod(path.string, mode) == 0)
            if let owner { #expect(chown(path.string, owner, owner) == 0) }
        }
        return directory
    }

    private func access(_ directory: TemporaryDirectory) throws -> [String: FileAccess] {
        var found: [String: FileAccess] = [:]
        for name in try directory.names {
            found[name] = try PosixDisk().status(directory.appending(name))?.access
        }
        return found
    }

    @Test("a torn tail is kept with the mode of its segment, and the next segment has that, too")
    func modes() throws {
        for mode in [mode_t(0o600), 0o640, 0o644] {
            let directory = try torn(mode)
            try Log.open(directory.path, host: host).close()
            // A crash before `segment.log` was made.
            try PosixDisk().remove(directory.appending(SegmentName.activeName))
            var options = LogOptions()
            options.segmentBytes = 4096
            let log = try Log.open(directory.path, host: host, options: options)
            for _ in 0..<3 { try log.append(TestMessage([UInt8](repeating: 7, count: 3000))) }
            try log.close()
            let access = try access(directory)
            #expect(access.count >= 4)
            #expect(access.keys.contains { $0.contains(".torn-") })
            for (name, access) in access {
                #expect(access.permissions == UInt32(mode), "\(name), mode \(mode)")
            }
        }
    }

    @Test(
        "what root makes in somebody's log is somebody's",
        .enabled(if: geteuid() == 0, "only root can give files away"))
    func owners() throws {
        let directory = try torn(0o600, owner: 65534)
        try Log.open(directory.path, host: host).close()
        try PosixDisk().remove(directory.appending(SegmentName.activeName))
        try Log.open(directory.path, host: host).close()
        let access = try access(directory)
        #expect(access.count == 3)
        let theirs = FileAccess(owner: 65534, group: 65534, permissions: 0o600)
        for (name, access) in access { #expect(access == theirs, "\(name)") }
    }

    @Test("nobody else can open a new file before it has the mode it gets")
    func createdClosed() throws {
        let directory = try TemporaryDirectory()
        let path = directory.appending("f")
        let file = try PosixDisk().open(path, .createPrivate)
        #expect(try file.status().access?.permissions == 0o600)
        var access = try #require(try file.status().access)
        access.permissions = 0o664
        try file.setAccess(access)
        // Whatever the umask is.
        #expect(try PosixDisk().status(path)?.access == access)
        #expect(throws: DiskError.self) { try PosixDisk().open(path, .createPrivate) }
        #expect(FileAccess(owner: 1, group: 1, permissions: 0o106755).permissions == 0o755)
    }

    @Test("a link is not followed to a directory that gets another owner")
    func links() throws {
        let directory = try TemporaryDirectory()
        let real = try directory.makeDirectory("real")
        let link = directory.appending("link")
        #expect(symlink("real", link.string) == 0)
        let before = try #require(try PosixDisk().status(real)?.access)
        var access = before
        access.permissions = 0o700
        #expect(throws: DiskError.self) { try PosixDisk().setAccess(access, ofDirectory: link) }
        #expect(try PosixDisk().status(real)?.access == before)
        try PosixDisk().setAccess(access, ofDirectory: real)
        #expect(try PosixDisk().status(real)?.access == access)
    }

    @Test("a file that cannot be given its owner is not made")
    func refused() throws {
        let disk = MemoryDisk()
        disk.putDirectory("/d")
        disk.follow { $0.operation == .changeAccess ? .fail(.notPermitted) : nil }
        #expect(throws: DiskError.self) {
            try disk.make("/d/f", like: FileAccess(owner: 1, group: 1, permissions: 0o600))
        }
        #expect(disk.allFiles.isEmpty)
    }
}
