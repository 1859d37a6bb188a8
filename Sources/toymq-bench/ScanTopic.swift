import Glibc
import NIOConcurrencyHelpers
import SystemPackage
import WAL

/// A topic to be scanned, and its bytes in memory.
///
/// Unchecked, since nothing changes the memory after it was filled.
final class ScanTopic: @unchecked Sendable {
    static let payloadBytes = 256
    /// A frame without key and headers (docs/FORMAT.md).
    static let frameBytes = payloadBytes + 38

    let directory: FilePath
    private let memory: UnsafeMutableRawBufferPointer

    /// Appends to the log in `directory` until it has so many bytes; one that has is used as it is.
    init(_ directory: FilePath, atLeast bytes: Int, host: LogHost) throws {
        self.directory = directory
        try ScanTopic.fill(directory, bytes, host)
        memory = try ScanTopic.load(directory)
    }

    deinit { memory.deallocate() }

    var bytes: Int { memory.count }

    private static func fill(_ directory: FilePath, _ bytes: Int, _ host: LogHost) throws {
        let log = try Log.open(directory, host: host)
        let wanted = UInt64(bytes / frameBytes + 1)
        let counter = FailureNote()
        let payload = (0..<payloadBytes).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 13) }
        let first = log.durable.upperBound.rawValue
        for id in first..<max(first, wanted) {
            try append(payload, to: log, counter)
            // Now and then: what waits is committed while more is appended.
            if id.isMultiple(of: 1024) { log.commit() }
        }
        log.commit()
        try log.close()
        if let failure = counter.failure { throw failure }
    }

    private static func append(
        _ payload: [UInt8], to log: Log, _ note: FailureNote
    ) throws(LogError) {
        while true {
            do {
                return try log.append(
                    Message(payload: payload.span.bytes), observer: note, tag: 0)
            } catch .overloaded {
                log.commit()
                let room = Semaphore()
                log.notifyRoom { room.signal() }
                room.wait()
            }
        }
    }

    /// The segments, one behind the other; the sealed ones come first by their names.
    private static func load(_ directory: FilePath) throws -> UnsafeMutableRawBufferPointer {
        let files = try names(in: directory).filter { $0.hasSuffix(".log") }
        var descriptors: [(descriptor: Int32, size: Int)] = []
        defer { for file in descriptors { close(file.descriptor) } }
        for name in files {
            let descriptor = open(directory.appending(name).string, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw BenchError("cannot open \(name): \(lastError())") }
            descriptors.append((descriptor, lseek(descriptor, 0, SEEK_END)))
        }
        let total = descriptors.reduce(0) { $0 + $1.size }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: total, alignment: 4096)
        var start = 0
        for file in descriptors {
            var done = 0
            while done < file.size {
                let got = pread(
                    file.descriptor, memory.baseAddress.map { $0 + start + done },
                    file.size - done, done)
                guard got > 0 else {
                    memory.deallocate()
                    throw BenchError("cannot read \(directory): \(lastError())")
                }
                done += got
            }
            start += done
        }
        return memory
    }

    /// Gives each frame without its checksum to `body`.
    func forEachPiece(_ body: (UnsafeRawBufferPointer) -> Void) {
        var offset = 0
        while offset + 4 <= memory.count {
            // The length field counts what follows it; less the checksum it is as many bytes from
            // the beginning of the frame.
            let length = Int(
                UInt32(littleEndian: memory.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            guard length >= 34, offset + 4 + length <= memory.count else { return }
            body(UnsafeRawBufferPointer(rebasing: memory[offset..<offset + length]))
            offset += length + 4
        }
    }
}

/// Notes the first failure of many appends.
private final class FailureNote: AppendObserver {
    private let first = NIOLockedValueBox<LogError?>(nil)

    var failure: LogError? { first.withLockedValue { $0 } }

    func appended(first: MessageID, count: Int, tag: UInt64) {}

    func appendFailed(count: Int, tag: UInt64, error: LogError) {
        first.withLockedValue { $0 = $0 ?? error }
    }
}
