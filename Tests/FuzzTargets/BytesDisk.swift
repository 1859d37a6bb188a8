import SystemPackage
import Threads
import WAL

/// One directory of files that are arrays, to read from. It counts what is read: work and memory
/// have to be bounded by the size of the files, whatever these hold.
final class BytesDisk: ReadOnlyDisk {
    /// What the readers have asked for so far.
    struct Use {
        /// Bytes that were handed out.
        var bytes: UInt64 = 0
        /// The most that one call asked for.
        var largestRead = 0
        var reads: UInt64 = 0
    }

    static let directory: FilePath = "/f"
    private let files: [String: [UInt8]]
    private let counter = Monitor(Use())

    init(_ files: [String: [UInt8]]) { self.files = files }

    var use: Use { counter.withLock { $0 } }
    var size: Int { files.values.reduce(0) { $0 + $1.count } }
    func bytes(_ name: String) -> [UInt8] { files[name] ?? [] }
    var names: [String] { files.keys.sorted() }

    func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
        guard let name = path.lastComponent?.string, let bytes = files[name] else {
            throw DiskError(operation: .open, path: path, errno: .noSuchFileOrDirectory)
        }
        return File(path: path, bytes: bytes, counter: counter)
    }

    func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry] {
        names.compactMap { name in
            FilePath.Component(name).map { DirectoryEntry(name: $0, kind: .file) }
        }
    }

    func status(_ path: FilePath) throws(DiskError) -> FileStatus? {
        guard let name = path.lastComponent?.string, let bytes = files[name] else { return nil }
        return File(path: path, bytes: bytes, counter: counter).statusNow
    }

    private final class File: ReadOnlyFile {
        let path: FilePath
        let bytes: [UInt8]
        let counter: Monitor<Use>

        init(path: FilePath, bytes: [UInt8], counter: Monitor<Use>) {
            self.path = path
            self.bytes = bytes
            self.counter = counter
        }

        var statusNow: FileStatus {
            FileStatus(
                kind: .file, size: UInt64(bytes.count), device: 1, inode: 1, modified: 0,
                changed: 0)
        }

        func status() throws(DiskError) -> FileStatus { statusNow }

        func read(
            at offset: UInt64, upTo limit: Int, into buffer: inout ByteBuffer
        ) throws(DiskError) -> Int {
            let start = Int(min(offset, UInt64(bytes.count)))
            let count = min(limit, bytes.count - start)
            counter.withLock { use in
                use.bytes += UInt64(count)
                use.reads += 1
                use.largestRead = max(use.largestRead, limit)
            }
            let all = bytes
            buffer.append(RawSpan(of: all).extracting(start..<start + count))
            return count
        }

        func close() {}
    }
}
