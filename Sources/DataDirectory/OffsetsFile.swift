public import SystemPackage
public import WAL

/// Why an offsets.json was not read or not written.
public enum OffsetsFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A system call failed: it says nothing about the file.
    case io(DiskError)
    /// The file is not what anybody wrote.
    case damaged(path: FilePath, OffsetsDamage)
    /// It would have become larger than what is read again; the old one is untouched.
    case tooLarge(path: FilePath, bytes: Int)

    /// One line for people.
    public var description: String {
        switch self {
        case .io(let error): error.description
        case .damaged(let path, let damage): "\(path) is damaged: \(damage)"
        case .tooLarge(let path, let bytes):
            "\(path) would have \(bytes) bytes, at most \(OffsetsFormat.byteLimit) are allowed"
        }
    }
}

/// The file with a topic's acknowledged positions. All calls block; one thread at a time.
public struct OffsetsFile: Sendable {
    /// Where it is.
    public let path: FilePath
    private let storage: Storage

    /// The file at `path`; touches nothing.
    public init(_ path: FilePath, storage: Storage = .local) {
        self.path = path
        self.storage = storage
    }

    /// What the file says; nil if there is none, which is no evidence for anything.
    ///
    /// Never throws `.tooLarge`: a file that is too large is damaged, since nobody writes one.
    public func load() throws(OffsetsFileError) -> Offsets? {
        var bytes = ByteBuffer()
        guard try read(into: &bytes) else { return nil }
        do {
            return try OffsetsFormat.parse(bytes.bytes)
        } catch {
            throw .damaged(path: path, error)
        }
    }

    /// Replaces the file as a whole and makes that durable.
    ///
    /// After an error the old file or the new one is there, whole; either is right, the old one
    /// costs redelivery. It may simply be called again: each time a new file is written.
    public func store(_ offsets: Offsets) throws(OffsetsFileError) {
        let bytes = OffsetsFormat.render(offsets)
        guard bytes.count <= OffsetsFormat.byteLimit else {
            throw .tooLarge(path: path, bytes: bytes.count)
        }
        do {
            // The first one is as the segment that it speaks of.
            let segment = SegmentName.active.path(in: path.parentDirectory)
            try AtomicFile.replace(
                path, with: bytes.bytes, on: storage, like: storage.disk.status(segment)?.access)
        } catch {
            throw .io(error)
        }
    }

    /// Opens the file; nil if there is no such name. A link that leads nowhere is a name: what was
    /// acknowledged may be where it led, on a disk that is not mounted now.
    private func open() throws(DiskError) -> (any DiskFile)? {
        do {
            return try storage.disk.open(path, .read)
        } catch  where error.errno == .noSuchFileOrDirectory {
            guard try isNamed() else { return nil }
        }
        // Unless it is a link, somebody has just made it.
        return try storage.disk.open(path, .read)
    }

    private func isNamed() throws(DiskError) -> Bool {
        do {
            return try storage.disk.list(path.parentDirectory).contains {
                $0.name == path.lastComponent
            }
        } catch  where error.errno == .noSuchFileOrDirectory {
            return false
        }
    }

    /// False if there is no file. The size is asked for first: nothing is allocated for a file
    /// that is too large, nor for a sparse terabyte.
    private func read(into buffer: inout ByteBuffer) throws(OffsetsFileError) -> Bool {
        var size: UInt64
        do throws(DiskError) {
            guard let file = try open() else { return false }
            defer { file.close() }
            size = try file.status().size
            while size <= UInt64(OffsetsFormat.byteLimit) {
                // One byte more than there should be, to see that the file has not grown.
                _ = try file.readFully(
                    at: UInt64(buffer.count), count: Int(size) + 1 - buffer.count, into: &buffer)
                if UInt64(buffer.count) <= size { return true }
                size += 65_536
            }
        } catch {
            throw .io(error)
        }
        throw .damaged(path: path, OffsetsDamage(reason: .tooLarge(bytes: size), offset: 0))
    }
}
