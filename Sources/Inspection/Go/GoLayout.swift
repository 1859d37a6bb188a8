internal import DataDirectory
package import SystemPackage
package import WAL

/// A segment file of a Go log: `000000.log`, `000001.log`, …
package struct GoSegment: Hashable, Sendable {
    /// The number in its name.
    package let number: UInt64
    /// Where it is.
    package let path: FilePath
    /// The file name.
    package let name: String

    /// The segment at `path`; nil if its file has another kind of name.
    package init?(_ path: FilePath) {
        guard let name = path.lastComponent?.string, let number = GoSegment.number(name) else {
            return nil
        }
        self.number = number
        self.path = path
        self.name = name
    }

    /// A file of any name, taken for a segment because its first frame or somebody says so.
    package init?(_ path: FilePath, number: UInt64) {
        guard let name = path.lastComponent?.string else { return nil }
        self.number = number
        self.path = path
        self.name = name
    }

    /// The number in a name; nil if it is none of a segment.
    package static func number(_ name: String) -> UInt64? { GoSegmentName.number(name) }
}

/// A log of its own: a topic, or one partition of it.
package struct GoLog: Hashable, Sendable {
    /// The partition's number; nil where the topic has none and the folder is the topic's.
    package let partition: UInt64?
    /// Its folder.
    package let path: FilePath
    /// In the order of their numbers.
    package let segments: [GoSegment]
    /// Whether there is an offsets.json.
    package let hasOffsets: Bool
    /// What is neither, in the order of the names.
    package let foreign: [DirectoryEntry]

    /// Where its offsets.json is, or would be.
    package var offsetsFile: FilePath { path.appending(DataLayout.offsetsName) }
}

/// A topic folder of the Go program.
package struct GoTopic: Hashable, Sendable {
    /// What meta.json says.
    package enum Meta: Hashable, Sendable {
        /// There is none: a topic without partitions.
        case missing
        /// How many partitions there are; their numbers begin with 0.
        case partitions(UInt64)
        /// It is there, but does not say.
        case unreadable(String)
    }

    /// Its folder.
    package let path: FilePath
    /// What its meta.json says.
    package let meta: Meta
    /// The topic's own log, if it has files, and those of its partitions in their order.
    package let logs: [GoLog]

    /// Partitions that meta.json promises and that have no folder.
    package var missingPartitions: [UInt64] {
        guard case .partitions(let count) = meta else { return [] }
        let present = Set(logs.compactMap(\.partition))
        // A number from a file: bounded before anything is made of it.
        return (0..<min(count, UInt64(GoLayout.partitionLimit))).filter { !present.contains($0) }
    }
}

/// Recognises what the Go program left.
package enum GoLayout {
    /// More partitions than anybody has; a bound for what a damaged meta.json can make us do.
    static let partitionLimit = 65_536
    /// meta.json is some 20 bytes; a larger one is not read.
    private static let metaLimit = 65_536
    static let metaName = "meta.json"

    /// The topic in `folder`; nil if it does not look like one: no segment of a Go name, directly
    /// or in a numbered folder, and no meta.json that counts partitions. Blocks.
    package static func topic(
        at folder: FilePath, on storage: Storage = .local
    ) throws(DiskError) -> GoTopic? {
        let entries = try storage.disk.list(folder)
        var logs: [GoLog] = []
        var rest: [DirectoryEntry] = []
        for entry in entries {
            guard entry.kind == .directory, let number = UInt64(canonical: entry.name.string)
            else {
                rest.append(entry)
                continue
            }
            let path = folder.appending(entry.name)
            logs.append(log(at: path, partition: number, try storage.disk.list(path)))
        }
        logs.sort { $0.partition ?? 0 < $1.partition ?? 0 }
        let hasMeta = rest.contains { $0.name.string == metaName && $0.kind == .file }
        rest.removeAll { $0.name.string == metaName && $0.kind == .file }
        let meta = hasMeta ? try readMeta(folder.appending(metaName), storage) : .missing
        let own = log(at: folder, partition: nil, rest)
        if logs.isEmpty || !own.segments.isEmpty || own.hasOffsets || !own.foreign.isEmpty {
            logs.insert(own, at: 0)
        }
        let hasSegments = logs.contains { !$0.segments.isEmpty }
        if case .partitions = meta { return GoTopic(path: folder, meta: meta, logs: logs) }
        return hasSegments ? GoTopic(path: folder, meta: meta, logs: logs) : nil
    }

    private static func log(
        at path: FilePath, partition: UInt64?, _ entries: [DirectoryEntry]
    ) -> GoLog {
        var segments: [GoSegment] = []
        var hasOffsets = false
        var foreign: [DirectoryEntry] = []
        for entry in entries {
            let isSegment = entry.kind == .file && GoSegment.number(entry.name.string) != nil
            if isSegment, let segment = GoSegment(path.appending(entry.name)) {
                segments.append(segment)
            } else if entry.kind == .file, entry.name.string == DataLayout.offsetsName {
                hasOffsets = true
            } else {
                foreign.append(entry)
            }
        }
        return GoLog(
            partition: partition, path: path, segments: segments.sorted { $0.number < $1.number },
            hasOffsets: hasOffsets, foreign: foreign.sorted { $0.name.string < $1.name.string })
    }

    private static func readMeta(
        _ path: FilePath, _ storage: Storage
    ) throws(DiskError) -> GoTopic.Meta {
        let file = try storage.disk.open(path, .read)
        defer { file.close() }
        guard try file.status().size <= UInt64(metaLimit) else { return .unreadable("too large") }
        var bytes = ByteBuffer()
        _ = try file.readFully(at: 0, count: metaLimit, into: &bytes)
        do throws(JSONError) {
            let count = try JSONValue(parsing: bytes.bytes)["partitions"]?.integer
            return count.map { .partitions($0) } ?? .unreadable("no number of partitions")
        } catch {
            return .unreadable(error.description)
        }
    }
}

/// Which program wrote a log.
package enum LogDialect: String, Hashable, Sendable {
    /// This one: docs/FORMAT.md.
    case native
    /// The Go program of the same name.
    case go
}

/// The values of `--dialect`.
package enum DialectOption: String, CaseIterable, Sendable {
    case auto
    case native
    case go

    /// Nil where the files are to tell.
    package var dialect: LogDialect? {
        switch self {
        case .auto: nil
        case .native: .native
        case .go: .go
        }
    }
}

extension GoLayout {
    /// Which program wrote a segment, told by its first frame or, where that is not whole, by its
    /// name; nil if neither tells. `first` are its first bytes, the first frame at least.
    ///
    /// A frame cannot be one of both: one checksum covers the length field, the other does not.
    package static func dialect(of first: RawSpan, name: String) -> LogDialect? {
        switch FrameDecoder.decode(first) {
        case .success, .failure(.newer), .failure(.inner): return .native
        case .failure(.crc), .failure(.length): break
        }
        switch GoFrameDecoder.decode(first) {
        case .success, .failure(.inner): return .go
        case .failure(.crc), .failure(.length): break
        }
        if SegmentName(name) != nil { return .native }
        return GoSegment.number(name) != nil ? .go : nil
    }

    /// The same for the file at `path`, of which one frame at most is read. Blocks.
    package static func dialect(
        ofFileAt path: FilePath, on storage: Storage = .local
    ) throws(DiskError) -> LogDialect? {
        let file = try storage.disk.open(path, .read)
        defer { file.close() }
        var bytes = ByteBuffer()
        var count = GoFrameLayout.smallestFrame
        _ = try file.readFully(at: 0, count: count, into: &bytes)
        // Only what the first frame claims is read, if a frame may be that long.
        if bytes.count == count,
            let size = GoFrameLayout.frameBytes(length: bytes.bytes.u32(at: 0)), size > count
        {
            count = size - count
            _ = try file.readFully(at: UInt64(bytes.count), count: count, into: &bytes)
        }
        return dialect(of: bytes.bytes, name: path.lastComponent?.string ?? "")
    }
}
