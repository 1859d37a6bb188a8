internal import DataDirectory
internal import SystemPackage
internal import WAL

/// The last step of an import: topics that are whole, closed and durable get their names, all of
/// them or none.
struct Publication {
    let layout: DataLayout
    let intent: ImportIntent

    /// The longest name is short enough for this in front of it.
    static func workDirectory(_ name: TopicName, in layout: DataLayout) -> FilePath {
        layout.topicsDirectory.appending(".importing-\(name)")
    }

    /// Gives them their names and forces those. After an error no topic is there, and nothing of
    /// them, unless it is `.unfinished`.
    func run() throws(ImportError) {
        do {
            try intent.write(in: layout)
            for name in intent.topics { try rename(name) }
            try Force.names(in: layout.topicsDirectory, of: layout.storage.disk)
        } catch {
            try takeBack(after: error)
            throw .io(error)
        }
        // All is done and durable. If it stays, the next import finds nothing left to do in it.
        try? ImportIntent.remove(in: layout)
    }

    /// Goes on where an import was stopped. Returns the topics of it that are in DATA now, and
    /// those that somebody else has made meanwhile: they keep the name.
    func resume() throws(ImportError) -> (finished: [TopicName], taken: [TopicName]) {
        let disk = layout.storage.disk
        var finished: [TopicName] = []
        var taken: [TopicName] = []
        do {
            for name in intent.topics {
                let isThere = try disk.status(layout.directory(of: name)) != nil
                if try disk.status(workDirectory(name)) == nil {
                    if isThere { finished.append(name) }
                } else if isThere {
                    taken.append(name)
                } else {
                    try rename(name)
                    finished.append(name)
                }
            }
            try Force.names(in: layout.topicsDirectory, of: disk)
        } catch {
            throw .unfinished(finished, error)
        }
        return (finished, taken)
    }

    private func workDirectory(_ name: TopicName) -> FilePath {
        Publication.workDirectory(name, in: layout)
    }

    private func rename(_ name: TopicName) throws(DiskError) {
        try layout.storage.disk.rename(workDirectory(name), to: layout.directory(of: name))
    }

    /// Only those that this import has renamed have lost the name that they were made under: what
    /// has a topic's name and its work directory beside it is somebody else's.
    private func takeBack(after error: DiskError) throws(ImportError) {
        let disk = layout.storage.disk
        var left: [TopicName] = []
        for name in intent.topics.reversed() {
            do {
                if try disk.status(workDirectory(name)) != nil { continue }
                try disk.rename(layout.directory(of: name), to: workDirectory(name))
            } catch {
                left.insert(name, at: 0)
            }
        }
        // The intent goes only when nothing is left to go on with, and what it names is removed
        // only when a power cut cannot bring it back.
        guard left.isEmpty else { throw .unfinished(left, error) }
        guard (try? ImportIntent.remove(in: layout)) != nil else { throw .unfinished([], error) }
        for name in intent.topics {
            try? RemovedTree.remove(workDirectory(name), on: layout.storage)
        }
    }
}

/// Removing what an import has left over.
enum RemovedTree {
    /// Removes `path` with everything in it; nothing if it is not there.
    static func remove(_ path: FilePath, on storage: Storage) throws(DiskError) {
        guard let status = try storage.disk.status(path) else { return }
        if status.kind == .directory {
            for entry in try storage.disk.list(path) {
                let inner = path.appending(entry.name)
                if entry.kind == .directory {
                    try remove(inner, on: storage)
                } else {
                    try storage.disk.remove(inner)
                }
            }
        }
        try storage.disk.remove(path)
    }
}
