internal import DataDirectory
package import SystemPackage
package import WAL

/// Why a path cannot be inspected.
package enum TargetError: Error, Hashable, Sendable, CustomStringConvertible {
    case io(DiskError)
    case notFound(FilePath)
    case notALog(FilePath)
    case noGoLog(FilePath)
    /// A file whose beginning and name do not tell whose it is.
    case untold(FilePath)
    case noSuchTopic(String, FilePath)

    package var description: String {
        switch self {
        case .io(let error): "\(error)"
        case .notFound(let path):
            "\(path): no such file or directory; look whether the path is right"
        case .notALog(let path):
            "\(path) is neither a data directory (with topics/ in it), nor a topic directory, "
                + "nor a segment file; give one of these"
        case .untold(let path):
            "\(path): neither its beginning nor its name is that of a segment file; if it is one "
                + "whose beginning is damaged, say who wrote it: --dialect native or --dialect go"
        case .noGoLog(let path):
            "\(path) holds no log of the Go program; leave out --dialect to read what it holds"
        case .noSuchTopic(let name, let path):
            "\(path) has no topic \(name); leave out --topic to see those that it has"
        }
    }
}

extension TargetError {
    /// As a system call that failed, for a report.
    package var asDiskError: DiskError {
        switch self {
        case .io(let error): error
        case .notFound(let path), .noGoLog(let path), .noSuchTopic(_, let path):
            DiskError(operation: .open, path: path, errno: .noSuchFileOrDirectory)
        case .notALog(let path), .untold(let path):
            DiskError(operation: .open, path: path, errno: .invalidArgument)
        }
    }
}

/// One log to inspect.
package struct TopicTarget: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// A directory of segments of ours.
        case native
        /// One file of ours outside any topic directory: its mark says where it begins, and the
        /// rules of the active segment hold.
        case loneSegment(String)
        /// Segments of the Go program.
        case go([GoSegment], offsets: FilePath?, foreign: [String])
    }

    /// The topic's name; for a partition of the Go program `<topic>.<partition>`.
    package var name: String
    package var directory: FilePath
    package var kind: Kind
    /// Only this file of the topic is asked for; the others are evidence.
    package var onlyFile: String?
    /// The data directory that it is in, if it is in one.
    package var dataDirectory: FilePath?

    /// Whether a broker would serve a topic of this name.
    fileprivate var hasTopicName: Bool { (try? TopicName(name)) != nil }
}

/// What a path on the command line stands for.
package struct Target: Sendable {
    package let path: FilePath
    package let topics: [TopicTarget]
    /// What does not belong into the data directory, by path.
    package let foreign: [String]
    /// Directories in it that hold a log of ours under a name that no topic may have. Nobody serves
    /// them, and nothing here touches them unless they are named.
    package var misnamed: [String] = []

    /// The remarks about both.
    package var foreignFindings: [Finding] {
        foreign.map { name in
            Finding(
                .foreignFile, segment: name,
                detail: "\(name) does not belong into a data directory",
                evidence: Finding.nameTells)
        } + misnamedFindings.map(\.finding)
    }

    /// The remark about each of `misnamed`, with its name.
    package var misnamedFindings: [(name: String, finding: Finding)] {
        misnamed.map { name in
            let path = "\(DataLayout.topicsName)/\(name)"
            var why = ""
            do throws(InvalidName) { _ = try TopicName(name) } catch { why = " (\(error))" }
            let finding = Finding(
                .foreignFile, segment: path,
                detail: "\(path) holds a log, but under a name that no topic may have\(why): the "
                    + "broker does not serve it, and it was not looked at; give its path to read it",
                evidence: Finding.nameTells)
            return (name, finding)
        }
    }

    /// - Parameters:
    ///   - dialect: whose logs they are; nil to tell by their first frames and names.
    ///   - topic: only this one.
    package static func resolve(
        _ given: FilePath, dialect: LogDialect? = nil, topic: String? = nil, on storage: Storage
    ) throws(TargetError) -> Target {
        let target: Target?
        do {
            target = try TargetResolver(storage: storage, dialect: dialect).target(given)
        } catch {
            let isMissing = error.errno == .noSuchFileOrDirectory && error.path == given
            throw isMissing ? .notFound(given) : .io(error)
        }
        // What is not of the dialect that was asked for is not read as another one, wherever it
        // lies.
        if dialect == .go, target?.topics.isEmpty ?? true { throw .noGoLog(given) }
        guard let target else {
            let isFile = (try? storage.disk.status(given))?.kind == .file
            throw isFile && dialect == nil ? .untold(given) : .notALog(given)
        }
        guard let topic else { return target }
        let topics = target.topics.filter { $0.name == topic }
        if topics.isEmpty { throw .noSuchTopic(topic, given) }
        return Target(path: given, topics: topics, foreign: [])
    }
}

/// Tells what a path is by what is there.
private struct TargetResolver {
    let storage: Storage
    let dialect: LogDialect?
    private var disk: any Disk { storage.disk }

    init(storage: Storage, dialect: LogDialect?) {
        self.storage = storage
        self.dialect = dialect
    }

    func target(_ path: FilePath) throws(DiskError) -> Target? {
        guard let status = try disk.status(path) else {
            throw DiskError(operation: .open, path: path, errno: .noSuchFileOrDirectory)
        }
        switch status.kind {
        case .file: return try segment(path).map { Target(path: path, topics: [$0], foreign: []) }
        case .other: return nil
        case .directory: break
        }
        let data = try enclosingData(path)
        let topics = path.appending(DataLayout.topicsName)
        if try disk.status(topics)?.kind == .directory {
            // Both a log and topics/: a log that somebody once took for a data directory, or a data
            // directory into which a segment was copied. What has logs below it is the second.
            let isLog = try !SegmentListing(disk.list(path)).names.isEmpty
            let whole = try dataDirectory(path)
            if !isLog || (data == nil && !whole.topics.isEmpty) { return whole }
        }
        let name = name(of: path)
        let found = try topic(path, name: name, in: data)
        if found.isEmpty { return try unfinished(path, name: name, in: data) }
        return Target(path: path, topics: found, foreign: [])
    }

    /// What a broker that was killed while it made them has left: a topic's directory in which
    /// there is nothing yet, or a data directory with no more than its LOCK.
    private func unfinished(
        _ path: FilePath, name: String, in data: FilePath?
    ) throws(DiskError) -> Target? {
        guard dialect != .go else { return nil }
        if data != nil, (try? TopicName(name)) != nil {
            return Target(path: path, topics: [native(path, name, in: data)], foreign: [])
        }
        guard try disk.status(path.appending(DataLayout.lockName))?.kind == .file,
            try disk.status(path.appending(DataLayout.topicsName)) == nil
        else { return nil }
        let foreign = try DataLayout(path, storage: storage).foreignEntries().map(\.name.string)
        return Target(path: path, topics: [], foreign: foreign)
    }

    /// The name of a topic is that of its folder, also where the path says `.`.
    private func name(of path: FilePath) -> String {
        if let last = path.lexicallyNormalized().lastComponent, last.kind == .regular {
            return last.string
        }
        return path.resolvingLinks?.lastComponent?.string ?? path.string
    }

    /// The data directory of a topic directory, judged by names.
    private func enclosingData(_ topic: FilePath) throws(DiskError) -> FilePath? {
        let full = topic.resolvingLinks ?? topic
        let topics = full.removingLastComponent()
        guard topics.lastComponent?.string == DataLayout.topicsName else { return nil }
        return topics.removingLastComponent()
    }

    private func dataDirectory(_ path: FilePath) throws(DiskError) -> Target {
        let layout = DataLayout(path, storage: storage)
        var foreign = try layout.foreignEntries().map(\.name.string)
        var topics: [TopicTarget] = []
        var misnamed: [String] = []
        for entry in try disk.list(layout.topicsDirectory).sorted(by: {
            $0.name.string < $1.name.string
        })
        where entry.name.string != DataLayout.lostAndFoundName {
            let directory = layout.topicsDirectory.appending(entry.name)
            let isDirectory = try disk.status(directory)?.kind == .directory
            var found: [TopicTarget] = []
            if isDirectory {
                do {
                    found = try topic(directory, name: entry.name.string, in: path)
                } catch {
                    // Its survey meets the same error and tells it; the other topics are judged.
                    found = [native(directory, entry.name.string, in: path)]
                }
            }
            if found.isEmpty, isDirectory, dialect != .go,
                (try? TopicName(entry.name.string)) != nil
            {
                // A topic whose directory was made and nothing in it yet.
                found = [native(directory, entry.name.string, in: path)]
            }
            if found.isEmpty { foreign.append("\(DataLayout.topicsName)/\(entry.name.string)") }
            // The Go program's topics may have any name.
            if found.contains(where: { $0.kind == .native && !$0.hasTopicName }) {
                misnamed.append(entry.name.string)
                continue
            }
            topics += found
        }
        return Target(path: path, topics: topics, foreign: foreign, misnamed: misnamed)
    }

    private func native(_ path: FilePath, _ name: String, in data: FilePath?) -> TopicTarget {
        TopicTarget(name: name, directory: path, kind: .native, dataDirectory: data)
    }

    /// The logs in a topic's directory; none if it does not look like one.
    private func topic(
        _ path: FilePath, name: String, in data: FilePath?
    ) throws(DiskError) -> [TopicTarget] {
        let listing = SegmentListing(try disk.list(path))
        let looksNative =
            listing.hasActive || !listing.sealed.isEmpty || !listing.companions.isEmpty
        let go = dialect == .native ? nil : try GoLayout.topic(at: path, on: storage)
        // A stray file of a Go name does not make a Go topic of one of ours.
        if let go, dialect == .go || !looksNative {
            return go.logs.filter { !$0.segments.isEmpty || $0.partition != nil }.map { log in
                TopicTarget(
                    name: log.partition.map { "\(name).\($0)" } ?? name, directory: log.path,
                    kind: .go(
                        log.segments, offsets: log.hasOffsets ? log.offsetsFile : nil,
                        foreign: log.foreign.map(\.name.string)),
                    dataDirectory: nil)
            }
        }
        let hasOffsets = try disk.status(path.appending(DataLayout.offsetsName)) != nil
        guard looksNative || hasOffsets, dialect != .go else { return [] }
        return [native(path, name, in: data)]
    }

    /// One file: part of a topic if its directory looks like one, else on its own.
    private func segment(_ path: FilePath) throws(DiskError) -> TopicTarget? {
        guard let file = path.lastComponent?.string else { return nil }
        let directory = path.lexicallyNormalized().removingLastComponent()
        let folder = directory.isEmpty ? FilePath(".") : directory
        let told: LogDialect?
        if let dialect {
            told = dialect
        } else {
            told = try GoLayout.dialect(ofFileAt: path, on: storage)
        }
        if told == .go {
            guard let only = GoSegment(path) ?? GoSegment(path, number: 0) else { return nil }
            return TopicTarget(
                name: name(of: folder), directory: folder,
                kind: .go([only], offsets: nil, foreign: []), dataDirectory: nil)
        }
        if SegmentName(file) != nil, try isTopic(folder, besides: file) {
            var target = native(folder, name(of: folder), in: try enclosingData(folder))
            target.onlyFile = file
            return target
        }
        guard told == .native || SegmentName(file) != nil || dialect == .native else { return nil }
        return TopicTarget(
            name: name(of: folder), directory: folder, kind: .loneSegment(file),
            dataDirectory: nil)
    }

    /// Whether a directory is a topic's: it stands in one named `topics`, or holds more than the
    /// one segment, or offsets.
    private func isTopic(_ folder: FilePath, besides file: String) throws(DiskError) -> Bool {
        if try enclosingData(folder) != nil { return true }
        let entries = try disk.list(folder)
        return entries.contains { entry in
            let name = entry.name.string
            return name != file && entry.kind == .file
                && (SegmentName(name) != nil || name == DataLayout.offsetsName)
        }
    }
}
