internal import SystemPackage
internal import WAL

/// A part of a file that a repair will write.
enum Piece: Hashable, Sendable {
    /// Bytes of the file that is repaired, as they are.
    case kept(offset: UInt64, bytes: UInt64)
    /// Marks back to back.
    case marks(count: UInt64, at: FrameEncoder.Place)
    /// One `lost` frame of so many bytes.
    case lost(ids: UInt64, bytes: Int, at: FrameEncoder.Place)

    var bytes: UInt64 {
        switch self {
        case .kept(_, let bytes): bytes
        case .marks(let count, _): count * UInt64(FrameLayout.smallestFrame)
        case .lost(_, let bytes, _): UInt64(bytes)
        }
    }
}

/// What a file is, or will be once the repair is done: a plan can be read, and so examined, before
/// a single byte of it is written.
indirect enum PlannedContent: Hashable, Sendable {
    /// A file of the disk, as it is.
    case file(FilePath)
    /// Pieces, the kept ones out of `source`; nil if nothing is kept.
    case pieces([Piece], source: PlannedContent?)

    /// Opens it for reading.
    func open(on disk: any Disk, as path: FilePath) throws(DiskError) -> any DiskFile {
        switch self {
        case .file(let actual): return try disk.open(actual, .read)
        case .pieces(let pieces, let source):
            let inner = try source?.open(on: disk, as: path)
            return PlannedFile(pieces, source: inner, path: path)
        }
    }

    /// The file of the disk that its kept bytes are from; nil if none are kept.
    var original: PlannedContent? {
        guard case .pieces(let pieces, let source) = self else { return self }
        let keeps = pieces.contains { if case .kept = $0 { true } else { false } }
        return keeps ? source?.original : nil
    }
}

/// Reads pieces as one file. Frames are made when they are read: at most one `lost` frame is held
/// in memory, however long the file is.
private final class PlannedFile: ReadOnlyFile {
    let path: FilePath
    private let source: (any DiskFile)?
    private let pieces: [Piece]
    /// Where each piece begins, and behind the last one the size.
    private let starts: [UInt64]

    init(_ pieces: [Piece], source: (any DiskFile)?, path: FilePath) {
        self.path = path
        self.source = source
        self.pieces = pieces
        var starts: [UInt64] = [0]
        starts.reserveCapacity(pieces.count + 1)
        for piece in pieces { starts.append(starts[starts.count - 1] + piece.bytes) }
        self.starts = starts
    }

    func status() throws(DiskError) -> FileStatus {
        FileStatus(
            kind: .file, size: starts[pieces.count], device: 0, inode: 0, modified: 0, changed: 0)
    }

    func read(
        at offset: UInt64, upTo limit: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int {
        guard limit > 0, offset < starts[pieces.count] else { return 0 }
        let index = piece(at: offset)
        let within = offset - starts[index]
        let wanted = Int(min(UInt64(limit), pieces[index].bytes - within))
        switch pieces[index] {
        case .kept(let start, _):
            let got = try source?.read(at: start + within, upTo: wanted, into: &buffer)
            // The file has become shorter: what was planned is not there any more.
            guard let got, got > 0 else {
                throw DiskError(operation: .read, path: path, errno: .ioError)
            }
            return got
        case .marks(_, let place):
            let (number, from) = within.quotientAndRemainder(
                dividingBy: UInt64(FrameLayout.smallestFrame))
            return mark(number: number, of: place, from: Int(from), wanted, &buffer)
        case .lost(let ids, let bytes, let place):
            var frame = ByteBuffer(capacity: bytes)
            FrameEncoder.appendLost(ids, frameBytes: bytes, at: place, to: &frame)
            buffer.append(frame.bytes.extracting(Int(within)..<Int(within) + wanted))
            return wanted
        }
    }

    private func mark(
        number: UInt64, of place: FrameEncoder.Place, from within: Int, _ wanted: Int,
        _ buffer: inout ByteBuffer
    ) -> Int {
        var frame = ByteBuffer(capacity: FrameLayout.smallestFrame)
        var place = place
        place.position &+= number * UInt64(FrameLayout.smallestFrame)
        FrameEncoder.appendMark(at: place, to: &frame)
        let end = min(frame.count, within + wanted)
        buffer.append(frame.bytes.extracting(within..<end))
        return end - within
    }

    /// The piece that holds `offset`.
    private func piece(at offset: UInt64) -> Int {
        var low = 0
        var high = pieces.count - 1
        while low < high {
            let middle = (low + high + 1) / 2
            if starts[middle] <= offset { low = middle } else { high = middle - 1 }
        }
        // A piece of no bytes has the start of the next one, which is the one found.
        return low
    }

    func close() { source?.close() }
}
