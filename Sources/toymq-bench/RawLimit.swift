import Glibc
import SystemPackage
import Threads

/// What the disk allows at best: one thread, one pwrite and one fdatasync for each commit, into a
/// file that is as long as it will ever be and was filled with zeros beforehand, so that no sync
/// has to write metadata. No ids, no checksums, nobody to answer.
struct RawLimit {
    /// What one slice gave.
    struct Slice {
        let seconds: Double
        let commits: Int
        let cpuMicroseconds: Double
        let latency: Histogram

        var commitsPerSecond: Double { Double(commits) / seconds }
    }

    /// As long as a segment. A run that is longer begins again at the front: overwriting bytes
    /// costs the same as overwriting zeros.
    private static let fileBytes = 64 << 20

    private let path: FilePath
    private let descriptor: Int32
    private var offset = 0

    /// Makes and fills the file.
    init(in directory: FilePath) throws {
        path = directory.appending("raw-limit")
        descriptor = open(path.string, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw RawLimit.failed("open", path) }
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        for start in stride(from: 0, to: RawLimit.fileBytes, by: zeros.count) {
            try writeAll(zeros, at: start)
        }
        guard fsync(descriptor) == 0 else { throw RawLimit.failed("sync", path) }
    }

    /// Closes and removes the file.
    func remove() {
        close(descriptor)
        unlink(path.string)
    }

    /// Commits `bytes` bytes at a time for `seconds`, or once.
    mutating func measure(bytesPerCommit bytes: Int, seconds: Double) throws -> Slice {
        let block = [UInt8](repeating: 0xa5, count: bytes)
        var latency = Histogram()
        let before = Usage.now()
        let start = MonotonicClock.now()
        let end = start + UInt64(seconds * 1e9)
        var now = start
        repeat {
            if offset + bytes > RawLimit.fileBytes { offset = 0 }
            try writeAll(block, at: offset)
            guard fdatasync(descriptor) == 0 else { throw RawLimit.failed("sync", path) }
            offset += bytes
            let done = MonotonicClock.now()
            latency.record(done - now)
            now = done
        } while now < end
        return Slice(
            seconds: Double(now - start) / 1e9, commits: Int(latency.count),
            cpuMicroseconds: Usage.now().cpuMicroseconds - before.cpuMicroseconds,
            latency: latency)
    }

    private func writeAll(_ bytes: [UInt8], at start: Int) throws {
        var done = 0
        while done < bytes.count {
            let written = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done, start + done)
            }
            // A short write gives no reason; the next one does.
            guard written > 0 else { throw RawLimit.failed("write", path) }
            done += written
        }
    }

    private static func failed(_ call: String, _ path: FilePath) -> BenchError {
        BenchError("cannot \(call) \(path): \(lastError())")
    }
}
