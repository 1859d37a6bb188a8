public import SystemPackage
public import WAL

/// Where everything is in a data directory, and how its directories come to be durable.
///
///     DATA/LOCK                     DataLock
///     DATA/topics/<topic>/          the log's own directory (module WAL)
///     DATA/topics/<topic>/offsets.json   OffsetsFile
///     DATA/lost+found/              what a repair set aside
///
/// Nothing relies on a new directory before its parent has been fsynced, up to DATA and its own
/// entry: a directory that a power loss takes back takes everything in it with it.
public struct DataLayout: Sendable {
    /// DATA.
    public let root: FilePath
    /// Where it is kept.
    public let storage: Storage

    /// The layout below `root`; touches nothing.
    public init(_ root: FilePath, storage: Storage = .local) {
        self.root = root
        self.storage = storage
    }

    /// `DATA/LOCK`
    public var lockFile: FilePath { root.appending(DataLayout.lockName) }
    /// `DATA/topics`
    public var topicsDirectory: FilePath { root.appending(DataLayout.topicsName) }
    /// `DATA/lost+found`
    public var lostAndFound: FilePath { root.appending(DataLayout.lostAndFoundName) }
    /// `DATA/topics/<topic>`
    public func directory(of topic: TopicName) -> FilePath {
        topicsDirectory.appending(topic.text)
    }
    /// `DATA/topics/<topic>/offsets.json`
    public func offsetsFile(of topic: TopicName) -> FilePath {
        directory(of: topic).appending(DataLayout.offsetsName)
    }

    /// The name of `lockFile`.
    package static let lockName = "LOCK"
    /// The name of `topicsDirectory`.
    package static let topicsName = "topics"
    /// The name of `lostAndFound`, and of what mkfs leaves in the root of a file system.
    package static let lostAndFoundName = "lost+found"
    /// The name of a topic's `offsetsFile`.
    package static let offsetsName = "offsets.json"

    /// Refuses what is a topic's directory, or the `topics` of a data directory: made a data
    /// directory itself, nobody could tell which of the two a path means. To be called before
    /// `create`.
    public func checkPlace() throws(DataLockError) {
        let reason: String?
        do throws(DiskError) {
            reason = try misplacement()
        } catch { throw .io(error) }
        if let reason { throw .misplaced(path: root, reason: reason) }
    }

    private func misplacement() throws(DiskError) -> String? {
        let disk = storage.disk
        guard try disk.status(topicsDirectory) == nil, try disk.status(root)?.kind == .directory
        else { return nil }
        if let segment = try SegmentListing(disk.list(root)).names.first {
            return "holds \(segment.fileName), so it is the directory of a topic; give the data "
                + "directory, which holds topics/"
        }
        let full = root.resolvingLinks ?? root
        let parent = full.parentDirectory
        guard full.lastComponent?.string == DataLayout.topicsName,
            try disk.status(parent.appending(DataLayout.lockName)) != nil
        else { return nil }
        return "holds the topics of the data directory \(parent); give that one"
    }

    /// Creates DATA and DATA/topics where they are missing and fsyncs DATA's parent and DATA, also
    /// where they were there: whoever made them may have been killed before its fsync.
    ///
    /// DATA's parent has to exist. Blocks.
    public func create() throws(DiskError) {
        try makeIfMissing(root)
        try Force.names(in: root.parentDirectory, of: storage.disk)
        try makeIfMissing(topicsDirectory)
        try Force.names(in: root, of: storage.disk)
    }

    /// `create`, and the same for the directory of `topic`. Blocks.
    public func create(_ topic: TopicName) throws(DiskError) {
        try create()
        try makeIfMissing(directory(of: topic))
        try Force.names(in: topicsDirectory, of: storage.disk)
    }

    /// Fsyncs every directory from that of `topic` up to DATA's parent. Opening a topic does this
    /// first: a name that can be seen may still be in the page cache only. Blocks.
    public func syncChain(for topic: TopicName) throws(DiskError) {
        try Force.names(in: root.parentDirectory, of: storage.disk)
        try Force.names(in: root, of: storage.disk)
        try Force.names(in: topicsDirectory, of: storage.disk)
        try Force.names(in: directory(of: topic), of: storage.disk)
    }

    /// Makes a directory that may be there already, by another process even in this moment.
    private func makeIfMissing(_ path: FilePath) throws(DiskError) {
        if try isDirectory(path) { return }
        do {
            try storage.disk.makeDirectory(path)
        } catch {
            guard error.errno == .fileExists, try isDirectory(path) else { throw error }
        }
    }

    /// False if nothing is there; throws if it is something else.
    private func isDirectory(_ path: FilePath) throws(DiskError) -> Bool {
        guard let status = try storage.disk.status(path) else { return false }
        guard status.kind == .directory else {
            throw DiskError(operation: .makeDirectory, path: path, errno: .notDirectory)
        }
        return true
    }
}

/// What is in `DATA/topics`.
public struct TopicListing: Hashable, Sendable {
    /// The directories that have a topic's name, in the order of their names.
    public let topics: [TopicName]
    /// Everything else but lost+found, in the order of the names.
    package let foreign: [DirectoryEntry]
}

extension DataLayout {
    /// The topics. None if DATA/topics was not made yet; an error if DATA is not there.
    public func topics() throws(DiskError) -> TopicListing {
        guard try storage.disk.status(topicsDirectory) != nil else {
            guard try storage.disk.status(root) != nil else {
                throw DiskError(operation: .list, path: root, errno: .noSuchFileOrDirectory)
            }
            return TopicListing(topics: [], foreign: [])
        }
        var topics: [TopicName] = []
        var foreign: [DirectoryEntry] = []
        for entry in try storage.disk.list(topicsDirectory) {
            let name = entry.name.string
            if name == DataLayout.lostAndFoundName { continue }
            if let topic = try? TopicName(name), try leadsToDirectory(entry) {
                topics.append(topic)
            } else {
                foreign.append(entry)
            }
        }
        return TopicListing(topics: topics.sorted(), foreign: foreign.sortedByName())
    }

    /// What is in DATA and does not belong there, in the order of the names.
    package func foreignEntries() throws(DiskError) -> [DirectoryEntry] {
        let own = [DataLayout.lockName, DataLayout.topicsName, DataLayout.lostAndFoundName]
        return try storage.disk.list(root).filter { !own.contains($0.name.string) }.sortedByName()
    }

    /// Creating a topic would be content with a symbolic link to a directory, so listing is too.
    private func leadsToDirectory(_ entry: DirectoryEntry) throws(DiskError) -> Bool {
        if entry.kind != .other { return entry.kind == .directory }
        return try storage.disk.status(topicsDirectory.appending(entry.name))?.kind == .directory
    }
}

extension [DirectoryEntry] {
    fileprivate func sortedByName() -> [DirectoryEntry] {
        sorted { $0.name.string < $1.name.string }
    }
}

extension FilePath {
    /// The directory that holds this name: `.` for a bare name, the root for the root.
    package var parentDirectory: FilePath {
        guard let last = lastComponent else { return root == nil ? ".." : self }
        // The parent of `.` and of `..` is not what is left when the component is taken away.
        guard last.kind == .regular else { return appending("..") }
        let parent = removingLastComponent()
        return parent.isEmpty ? "." : parent
    }
}
