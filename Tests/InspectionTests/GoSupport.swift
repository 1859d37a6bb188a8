import DataDirectory
import Inspection
import SystemPackage
import Threads
import WAL

/// Frames of the Go program, made by hand from the contract and not by the code under test.
enum GoBytes {
    static func frame(
        _ id: UInt64, key: String = "", payload: [UInt8] = [], timestamp: UInt64? = nil,
        visibleAt: UInt64? = nil
    ) -> [UInt8] {
        var body = little(id) + little(timestamp ?? 1_000 &+ id)
        body += little(UInt16(key.utf8.count)) + Array(key.utf8)
        body += little(UInt32(payload.count)) + payload
        if let visibleAt { body += little(visibleAt) }
        return sealed(body)
    }

    /// A frame with anything between its length and its checksum.
    static func sealed(_ body: [UInt8]) -> [UInt8] {
        little(UInt32(body.count + 4)) + body + little(CRC32.of(RawSpan(of: body)))
    }

    static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
    }

    /// Frames `ids`, each with a key or a delay now and then.
    static func frames(_ ids: Range<UInt64>) -> [[UInt8]] {
        ids.map { id in
            frame(
                id, key: id % 3 == 0 ? "k\(id)" : "", payload: text("payload \(id)"),
                visibleAt: id % 4 == 0 ? id : nil)
        }
    }

    static func joined(_ frames: [[UInt8]]) -> [UInt8] { frames.flatMap { $0 } }

    static func text(_ text: String) -> [UInt8] { Array(text.utf8) }
}

/// Files in memory that can only be read, and that count how much of them is.
final class GoMemoryDisk: ReadOnlyDisk {
    private let files: [FilePath: [UInt8]]
    private let failing: FilePath?
    private let count = Monitor<UInt64>(0)

    init(_ files: [[UInt8]], failingAt index: Int? = nil) {
        var named: [FilePath: [UInt8]] = [:]
        for (number, bytes) in files.enumerated() { named[GoMemoryDisk.path(number)] = bytes }
        self.files = named
        failing = index.map { GoMemoryDisk.path($0) }
    }

    static func path(_ number: Int) -> FilePath {
        let digits = String(number)
        let zeros = String(repeating: "0", count: 6 - digits.count)
        return FilePath("/topic/\(zeros)\(digits).log")
    }

    /// Segments 0, 1, … of these files.
    var segments: [GoSegment] {
        files.keys.compactMap { GoSegment($0) }.sorted { $0.number < $1.number }
    }

    var bytesRead: UInt64 { count.withLock { $0 } }

    fileprivate func counted(_ bytes: Int) { count.withLock { $0 += UInt64(bytes) } }

    func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
        guard case .read = mode, let bytes = files[path] else { throw .readOnly(.open, path) }
        return GoMemoryFile(path, bytes, self, fails: path == failing)
    }

    func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry] {
        throw .readOnly(.list, directory)
    }
    func status(_ path: FilePath) throws(DiskError) -> FileStatus? {
        throw .readOnly(.status, path)
    }
}

private final class GoMemoryFile: ReadOnlyFile {
    let path: FilePath
    private let bytes: [UInt8]
    private let disk: GoMemoryDisk
    private let fails: Bool

    init(_ path: FilePath, _ bytes: [UInt8], _ disk: GoMemoryDisk, fails: Bool) {
        self.path = path
        self.bytes = bytes
        self.disk = disk
        self.fails = fails
    }

    func status() throws(DiskError) -> FileStatus {
        FileStatus(
            kind: .file, size: UInt64(bytes.count), device: 0, inode: 0, modified: 0, changed: 0)
    }

    func read(
        at offset: UInt64, upTo limit: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int {
        if fails { throw DiskError(operation: .read, path: path, errno: .ioError) }
        let start = min(bytes.count, Int(offset))
        let end = min(bytes.count, start + limit)
        let all = bytes
        buffer.append(RawSpan(of: all).extracting(start..<end))
        disk.counted(end - start)
        return end - start
    }

    func close() {}
}

/// All that a walk gives.
struct GoWalkResult {
    struct Message: Hashable {
        var segment: String
        var offset: UInt64
        var id: UInt64
        var timestamp: UInt64
        var key: String?
        var payload: [UInt8]
        var visibleAt: UInt64?
    }

    var messages: [Message] = []
    var findings: [LogFinding] = []
    var summary = GoWalkSummary()

    var ids: [UInt64] { messages.map(\.id) }
    var kinds: [LogFinding.Kind] { findings.map(\.kind) }
    var lost: [ClosedRange<UInt64>] { findings.compactMap(\.lost) }

    /// Walks the segments of a disk.
    init(_ segments: [GoSegment], on disk: some Disk) throws(DiskError) {
        var walk = GoSegmentWalk(segments, on: Storage(disk))
        var messages: [Message] = []
        var findings: [LogFinding] = []
        summary = try walk.run { message in
            var key: String?
            if let bytes = message.key { key = String(decoding: bytes.copied(), as: UTF8.self) }
            messages.append(
                Message(
                    segment: message.segment, offset: message.offset, id: message.id,
                    timestamp: message.timestamp, key: key,
                    payload: message.payload.copied(), visibleAt: message.visibleAt))
            return true
        } finding: {
            findings.append($0)
        }
        self.messages = messages
        self.findings = findings
    }

    /// Walks files made of these bytes.
    init(_ files: [UInt8]...) throws(DiskError) {
        let disk = GoMemoryDisk(files)
        try self.init(disk.segments, on: disk)
    }
}

/// The samples of the repository.
enum GoFixtures {
    static func path(_ name: String, file: String = #filePath) -> FilePath {
        var path = FilePath(file)
        for _ in 0..<3 { path.removeLastComponent() }
        return path.appending("Fixtures").appending("go").pushing(FilePath(name))
    }

    static func bytes(_ path: FilePath) throws -> [UInt8] {
        let file = try PosixDisk().open(path, .read)
        defer { file.close() }
        let size = try file.status().size
        var buffer = ByteBuffer()
        _ = try file.readFully(at: 0, count: Int(size), into: &buffer)
        return buffer.bytes.copied()
    }

    static func manifest(_ sample: String) throws -> JSONValue {
        let bytes = try bytes(path(sample).appending("manifest.json"))
        return try JSONValue(parsing: RawSpan(of: bytes))
    }
}

/// SHA-256 of FIPS 180-4, for the sums in the manifests.
enum SHA256 {
    static func hexadecimal(_ message: [UInt8]) -> String {
        var hash = initial
        let bits = UInt64(message.count) * 8
        let zeros = (119 - message.count % 64) % 64
        let padded =
            message + [0x80] + Array(repeating: 0, count: zeros)
            + GoBytes.little(bits).reversed()
        padded.withUnsafeBufferPointer { bytes in
            var schedule = [UInt32](repeating: 0, count: 64)
            for start in stride(from: 0, to: bytes.count, by: 64) {
                schedule.withUnsafeMutableBufferPointer { compress(bytes, start, &hash, $0) }
            }
        }
        return hash.map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
    }

    private static func compress(
        _ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, _ hash: inout [UInt32],
        _ w: UnsafeMutableBufferPointer<UInt32>
    ) {
        for i in 0..<16 {
            let at = start + i * 4
            w[i] =
                UInt32(bytes[at]) << 24 | UInt32(bytes[at + 1]) << 16
                | UInt32(bytes[at + 2]) << 8 | UInt32(bytes[at + 3])
        }
        for i in 16..<64 {
            let s0 = right(w[i - 15], 7) ^ right(w[i - 15], 18) ^ w[i - 15] >> 3
            let s1 = right(w[i - 2], 17) ^ right(w[i - 2], 19) ^ w[i - 2] >> 10
            w[i] = w[i - 16] &+ s0 &+ w[i - 7] &+ s1
        }
        var (a, b, c, d) = (hash[0], hash[1], hash[2], hash[3])
        var (e, f, g, h) = (hash[4], hash[5], hash[6], hash[7])
        for i in 0..<64 {
            let s1 = right(e, 6) ^ right(e, 11) ^ right(e, 25)
            let t1 = h &+ s1 &+ (e & f ^ ~e & g) &+ constants[i] &+ w[i]
            let s0 = right(a, 2) ^ right(a, 13) ^ right(a, 22)
            let t2 = s0 &+ (a & b ^ a & c ^ b & c)
            (h, g, f, e) = (g, f, e, d &+ t1)
            (d, c, b, a) = (c, b, a, t1 &+ t2)
        }
        for (i, word) in [a, b, c, d, e, f, g, h].enumerated() { hash[i] = hash[i] &+ word }
    }

    private static func right(_ word: UInt32, _ count: UInt32) -> UInt32 {
        word &>> count | word &<< (32 - count)
    }

    // The first 32 bits of the fractional parts of the square and cube roots of the first primes.
    private static let initial: [UInt32] = primes.prefix(8).map {
        fraction(Double($0).squareRoot())
    }
    private static let constants: [UInt32] = primes.map { fraction(cubeRoot($0)) }

    private static let primes: [UInt64] = (2...311).filter { number in
        !(2..<number).contains { number % $0 == 0 }
    }

    private static func fraction(_ root: Double) -> UInt32 {
        UInt32((root - root.rounded(.down)) * 4_294_967_296)
    }

    /// Newton's method; 53 bits are enough for 3 before the point and 32 behind it.
    private static func cubeRoot(_ number: UInt64) -> Double {
        var root = 7.0
        for _ in 0..<60 { root -= (root * root * root - Double(number)) / (3 * root * root) }
        return root
    }
}
