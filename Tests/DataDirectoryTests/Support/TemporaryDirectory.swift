import Glibc
import Synchronization
import SystemPackage
import WAL

/// A directory of its own for one test, on the real disk; gone with the last reference.
final class TemporaryDirectory: Sendable {
    let path: FilePath
    private static let number = Atomic<Int>(0)

    init() throws {
        let (_, number) = TemporaryDirectory.number.add(1, ordering: .relaxed)
        let name = "toymq-test-\(getpid())-\(number)-\(UInt32.random(in: .min ... .max))"
        path = FilePath("/tmp").appending(name)
        try PosixDisk().makeDirectory(path)
    }

    deinit { TemporaryDirectory.remove(path) }

    func appending(_ name: String) -> FilePath { path.appending(name) }

    private static func remove(_ path: FilePath) {
        let disk = PosixDisk()
        for entry in (try? disk.list(path)) ?? [] {
            let child = path.appending(entry.name)
            if entry.kind == .directory { remove(child) } else { try? disk.remove(child) }
        }
        try? disk.remove(path)
    }
}

/// All bytes of a file.
func contents(of path: FilePath, on disk: some Disk = PosixDisk()) throws -> [UInt8] {
    let file = try disk.open(path, .read)
    defer { file.close() }
    let size = try file.status().size
    var buffer = ByteBuffer()
    _ = try file.readFully(at: 0, count: Int(size), into: &buffer)
    return buffer.bytes.copied()
}

/// Makes a file with these bytes, whatever was there before.
func write(_ bytes: [UInt8], to path: FilePath, on disk: some Disk = PosixDisk()) throws {
    let file = try disk.open(path, .create)
    defer { file.close() }
    try file.truncate(to: 0)
    try file.writeAll(RawSpan(of: bytes), at: 0)
}
