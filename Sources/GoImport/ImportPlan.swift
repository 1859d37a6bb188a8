internal import DataDirectory
internal import Inspection
internal import SystemPackage
internal import WAL

/// Which logs become which topics. Made before anything is written.
struct ImportPlan {
    /// One log of the Go program and the topic that it becomes.
    struct Job {
        let log: GoLog
        let name: TopicName
        /// Bytes of its segments, for the progress.
        let bytes: UInt64
    }

    private(set) var jobs: [Job] = []
    private(set) var issues: [ImportIssue] = []
    private let storage: Storage

    /// Looks at what is there. Throws `ImportError` and `DiskError`.
    static func make(
        _ source: FilePath, as name: TopicName?, on storage: Storage
    ) throws -> ImportPlan {
        guard let status = try storage.disk.status(source) else {
            throw ImportError.io(
                DiskError(operation: .open, path: source, errno: .noSuchFileOrDirectory))
        }
        guard status.kind == .directory else {
            throw ImportError.nothingToImport(source, isFile: true)
        }
        var plan = ImportPlan(storage: storage)
        let folder = source.lastComponent?.string ?? ""
        if let (topic, partition) = try partition(source, on: storage) {
            try plan.add(
                topic.logs.filter { $0.partition == partition },
                name?.text ?? topic.path.lastComponent?.string ?? "", hint: name == nil)
        } else if let topic = try GoLayout.topic(at: source, on: storage) {
            try plan.add(topic, name?.text ?? folder, hint: name == nil)
        } else {
            try plan.addAll(below: source, as: name)
        }
        return plan
    }

    private init(storage: Storage) { self.storage = storage }

    /// The topic whose partition `source` is. Told by the topic's meta.json, since a topic may
    /// have a number for a name.
    private static func partition(
        _ source: FilePath, on storage: Storage
    ) throws -> (topic: GoTopic, partition: UInt64)? {
        guard let number = source.lastComponent.flatMap({ UInt64($0.string) }),
            let topic = try GoLayout.topic(at: source.parentDirectory, on: storage),
            case .partitions = topic.meta, topic.logs.contains(where: { $0.partition == number })
        else { return nil }
        return (topic, number)
    }

    private mutating func addAll(below source: FilePath, as name: TopicName?) throws {
        let folder = source.appending("topics")
        guard try storage.disk.status(folder)?.kind == .directory else {
            throw ImportError.nothingToImport(source, isFile: false)
        }
        var topics: [(GoTopic, String)] = []
        for entry in try storage.disk.list(folder).sorted(by: { $0.name.string < $1.name.string }) {
            let path = folder.appending(entry.name)
            let isDirectory = try storage.disk.status(path)?.kind == .directory
            if isDirectory, let topic = try GoLayout.topic(at: path, on: storage) {
                topics.append((topic, entry.name.string))
            } else {
                note(.foreign, path, "not a topic of the Go program; not taken over")
            }
        }
        guard !topics.isEmpty else { throw ImportError.nothingToImport(source, isFile: false) }
        if name != nil, topics.count > 1 {
            throw ImportError.severalTopics(source, count: topics.count)
        }
        for (topic, folder) in topics { try add(topic, name?.text ?? folder, hint: name == nil) }
    }

    private mutating func add(_ topic: GoTopic, _ name: String, hint: Bool) throws {
        if case .unreadable(let reason) = topic.meta {
            note(.partition, topic.path.appending("meta.json"), "\(reason); its folders tell")
        }
        for number in topic.missingPartitions {
            note(
                .partition, topic.path.appending("\(number)"),
                "meta.json counts this partition, but it is not there")
        }
        try add(topic.logs, name, hint: hint)
    }

    private mutating func add(_ logs: [GoLog], _ name: String, hint: Bool) throws {
        for log in logs {
            for entry in log.foreign {
                note(
                    .foreignFile, log.path.appending(entry.name),
                    "not a file of the Go program; not taken over")
            }
            // A folder whose topic is in its partitions has no log of its own.
            if log.partition == nil, log.segments.isEmpty, !log.hasOffsets { continue }
            let text = log.partition.map { "\(name).\($0)" } ?? name
            do {
                let name = try TopicName(text)
                if jobs.contains(where: { $0.name == name }) {
                    note(.name, log.path, "another one becomes the topic \(name) already")
                    continue
                }
                jobs.append(Job(log: log, name: name, bytes: try bytes(of: log)))
            } catch let error as InvalidName {
                let way = hint ? "; give it another name with --topic" : ""
                note(.name, log.path, "not taken over: \(error)\(way)")
            }
        }
    }

    /// Topics that are there already, from the same source.
    mutating func leaveOut(_ names: [TopicName]) {
        let names = Set(names)
        jobs.removeAll { names.contains($0.name) }
    }

    private func bytes(of log: GoLog) throws(DiskError) -> UInt64 {
        var bytes: UInt64 = 0
        for segment in log.segments {
            bytes += try storage.disk.status(segment.path)?.size ?? 0
        }
        return bytes
    }

    private mutating func note(_ kind: ImportIssue.Kind, _ path: FilePath, _ text: String) {
        issues.append(ImportIssue(kind, path: path, text: text))
    }
}
