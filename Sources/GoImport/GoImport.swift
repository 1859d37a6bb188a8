public import DataDirectory
internal import Inspection
public import SystemPackage
internal import WAL

/// Takes topics of the Go program of the same name over into a data directory.
///
/// Every topic is made in `DATA/topics/.importing-<name>` and gets its name when all of them are
/// whole, closed and durable: whatever stops the import before, DATA has none of them, and what is
/// left over is removed by the next one.
public struct GoImport: Sendable {
    /// The Go data directory, topic folder or partition folder.
    public let source: FilePath
    /// Where the topics are to be.
    public let layout: DataLayout
    /// What the topic is to be called, if not as its folder.
    public let name: TopicName?

    /// An import; nothing is touched yet.
    public init(_ source: FilePath, into layout: DataLayout, as name: TopicName? = nil) {
        self.source = source
        self.layout = layout
        self.name = name
    }

    /// Plans, takes DATA's lock, builds, and gives the topics their names. Blocks; `progress` is
    /// called by the calling thread, every megabyte or so.
    ///
    /// When it throws, no topic has been added, unless the error is that of the last step, in
    /// which the topics are renamed one after the other.
    public func run(
        progress: (ImportProgress) -> Void = { _ in }
    ) throws(ImportError) -> ImportReport {
        var report = ImportReport()
        let plan: ImportPlan
        do {
            try refuseOverlap()
            plan = try ImportPlan.make(source, as: name, on: layout.storage)
        } catch let error as ImportError {
            throw error
        } catch let error as DiskError {
            throw .io(error)
        } catch { preconditionFailure("only typed errors are thrown above: \(error)") }
        report.issues = plan.issues
        // With nothing to take over, DATA is not even made.
        guard !plan.jobs.isEmpty else { return report }
        do {
            try layout.checkPlace()
            try layout.create()
            let lock = try DataLock.acquire(layout)
            defer { lock.release() }
            try refuseExisting(plan)
            try build(plan, &report, progress)
        } catch let error as ImportError {
            throw error
        } catch let error as DataLockError {
            throw .lock(error)
        } catch let error as DiskError {
            throw .io(error)
        } catch { preconditionFailure("only typed errors are thrown above: \(error)") }
        return report
    }

    /// Nothing is changed under the Go program's directory, and nothing is imported from where it
    /// is imported to.
    private func refuseOverlap() throws {
        let from = try resolved(source)
        let to = try resolved(layout.root)
        if from.starts(with: to) || to.starts(with: from) {
            throw ImportError.overlap(source, layout.root)
        }
    }

    /// Where a path leads, also if not all of it is there yet.
    private func resolved(_ path: FilePath) throws(DiskError) -> FilePath {
        let disk = layout.storage.disk
        if try disk.status(path) != nil { return try disk.resolve(path) }
        guard let name = path.lastComponent else { return path }
        return try resolved(path.parentDirectory).appending(name)
    }

    /// Before anything is built: either all topics are taken over or none.
    private func refuseExisting(_ plan: ImportPlan) throws {
        for job in plan.jobs {
            let directory = layout.directory(of: job.name)
            if try layout.storage.disk.status(directory) != nil {
                throw ImportError.exists(job.name, directory)
            }
        }
    }

    private func build(
        _ plan: ImportPlan, _ report: inout ImportReport, _ progress: (ImportProgress) -> Void
    ) throws {
        let host = LogHost(storage: layout.storage)
        defer { host.shutdown() }
        let total = plan.jobs.reduce(UInt64(0)) { $0 + $1.bytes }
        var done: UInt64 = 0
        do {
            for job in plan.jobs {
                let builder = TopicBuilder(
                    job: job, directory: workDirectory(job.name), host: host,
                    now: host.options.clock())
                let built = try builder.build { bytes in
                    progress(
                        ImportProgress(topic: job.name, bytes: done + bytes, totalBytes: total))
                }
                done += job.bytes
                report.topics.append(built.topic)
                report.issues += built.issues
            }
        } catch {
            // The space is given back if that can be done; the first error is the one to tell.
            for job in plan.jobs {
                try? RemovedTree.remove(workDirectory(job.name), on: layout.storage)
            }
            throw error
        }
        try publish(plan)
    }

    /// Gives the topics, which are durable, their names, and forces those.
    private func publish(_ plan: ImportPlan) throws(DiskError) {
        let disk = layout.storage.disk
        for job in plan.jobs {
            try disk.rename(workDirectory(job.name), to: layout.directory(of: job.name))
        }
        try Force.names(in: layout.topicsDirectory, of: disk)
    }

    /// No topic's name begins with a dot, so nobody takes it for one; the longest name is short
    /// enough for this in front of it.
    private func workDirectory(_ name: TopicName) -> FilePath {
        layout.topicsDirectory.appending(".importing-\(name)")
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
