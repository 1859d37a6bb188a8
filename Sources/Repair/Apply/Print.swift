internal import SystemPackage
internal import WAL

/// What a file holds, told shortly.
///
/// Not by a crc: that of a frame with its own crc behind it is the same for every frame of its
/// length, so an old file and the new one could look alike.
struct Print: Hashable, Sendable {
    var size: UInt64
    var hash: UInt64

    private static let pieceBytes = 1 << 20

    /// Reads a whole file.
    static func of(_ file: any DiskFile) throws(DiskError) -> Print {
        var buffer = ByteBuffer()
        var sum = RunningPrint()
        while true {
            buffer.reset()
            let got = try file.readFully(at: sum.bytes, count: pieceBytes, into: &buffer)
            if got == 0 { return sum.print }
            sum.add(buffer.bytes)
        }
    }

    /// Nil if there is no such file.
    static func of(_ path: FilePath, on disk: any Disk) throws(DiskError) -> Print? {
        guard let status = try disk.status(path) else { return nil }
        guard status.kind == .file else {
            throw DiskError(operation: .open, path: path, errno: .isDirectory)
        }
        let file = try disk.open(path, .read)
        defer { file.close() }
        return try of(file)
    }
}

/// Computes a print piece by piece. Every piece but the last has a multiple of eight bytes.
struct RunningPrint {
    private(set) var bytes: UInt64 = 0
    private var state: UInt64 = 0x2545_F491_4F6C_DD1D

    private mutating func mix(_ word: UInt64) {
        state = (state ^ word) &* 0x9E37_79B9_7F4A_7C15
        state ^= state >> 29
    }

    mutating func add(_ piece: RawSpan) {
        var at = 0
        while at + 8 <= piece.byteCount {
            mix(piece.u64(at: at))
            at += 8
        }
        var rest: UInt64 = 0
        while at < piece.byteCount {
            rest = rest << 8 | UInt64(piece.u8(at: at))
            at += 1
        }
        if piece.byteCount % 8 != 0 { mix(rest) }
        bytes += UInt64(piece.byteCount)
    }

    var print: Print {
        var last = self
        last.mix(bytes)
        return Print(size: bytes, hash: last.state)
    }
}
