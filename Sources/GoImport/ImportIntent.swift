internal import DataDirectory
internal import SystemPackage
internal import WAL

/// That an import has all its topics whole and durable, and is giving them their names: written
/// before the first one gets its name, removed when all have theirs. Whatever stops it between,
/// the next import into this DATA goes on from here, so that it is not left at some of them.
///
///     DATA/topics/.importing           this
///     DATA/topics/.importing-<topic>   a topic that has not got its name yet
///
/// Eight digits of a CRC-32 and a newline, and what it is of: `complete` or `incomplete`, the
/// topics, a line each, an empty line, the source.
struct ImportIntent: Equatable {
    /// What was imported, as an absolute path.
    var source: String
    /// Whether there was nothing to tell but remarks.
    var isComplete: Bool
    var topics: [TopicName]

    /// More than any directory has topics for.
    private static let byteLimit: UInt64 = 1 << 28

    /// No topic's name begins with a dot, so nobody takes it for one.
    private static func path(in layout: DataLayout) -> FilePath {
        layout.topicsDirectory.appending(".importing")
    }

    /// Writes it as a whole and makes that durable.
    func write(in layout: DataLayout) throws(DiskError) {
        let bytes = render()
        try AtomicFile.replace(
            ImportIntent.path(in: layout), with: RawSpan(of: bytes), on: layout.storage)
    }

    /// Removes it, if it is there, and makes that durable. Nothing may be built before: an intent
    /// that a power cut brings back would give a topic its name that is not whole.
    static func remove(in layout: DataLayout) throws(DiskError) {
        let disk = layout.storage.disk
        if try disk.status(path(in: layout)) != nil { try disk.remove(path(in: layout)) }
        // Also where it is gone: whoever removed it may have been killed before this.
        try Force.names(in: layout.topicsDirectory, of: disk)
    }

    /// What an import has left; nil if none has, or if it is not what one wrote.
    static func read(in layout: DataLayout) throws(DiskError) -> ImportIntent? {
        let disk = layout.storage.disk
        guard let status = try disk.status(path(in: layout)), status.kind == .file,
            status.size <= byteLimit
        else { return nil }
        let file = try disk.open(path(in: layout), .read)
        defer { file.close() }
        var buffer = ByteBuffer()
        _ = try file.readFully(at: 0, count: Int(status.size), into: &buffer)
        return ImportIntent(parsing: buffer.bytes.copied())
    }

    func render() -> [UInt8] {
        let lines = [isComplete ? "complete" : "incomplete"] + topics.map(\.text) + ["", source]
        let body = Array(lines.joined(separator: "\n").utf8)
        return ImportIntent.checksum(of: body) + body
    }

    init(source: String, isComplete: Bool, topics: [TopicName]) {
        self.source = source
        self.isComplete = isComplete
        self.topics = topics
    }

    init?(parsing bytes: [UInt8]) {
        let body = Array(bytes.dropFirst(9))
        guard Array(bytes.prefix(9)) == ImportIntent.checksum(of: body) else { return nil }
        var lines = String(decoding: body, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)[...]
        guard let first = lines.popFirst() else { return nil }
        isComplete = first == "complete"
        topics = []
        while let line = lines.popFirst(), !line.isEmpty {
            guard let name = try? TopicName(String(line)) else { return nil }
            topics.append(name)
        }
        // A path may have newlines in it.
        source = lines.joined(separator: "\n")
    }

    private static func checksum(of body: [UInt8]) -> [UInt8] {
        let digits = String(CRC32.of(RawSpan(of: body)), radix: 16)
        return Array((String(repeating: "0", count: 8 - digits.count) + digits + "\n").utf8)
    }
}
