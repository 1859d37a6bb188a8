public import DataDirectory
internal import Inspection
public import SystemPackage
internal import WAL

/// Takes topics of the Go program of the same name over into a data directory.
///
/// Every topic is made in `DATA/topics/.importing-<name>` and gets its name when all of them are
/// whole, closed and durable: whatever stops the import before, DATA has none of them, and what is
/// left over is removed by the next one. One that is stopped while they get their names is finished
/// by the next one, whatever that imports.
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
    /// called by the calling thread, every megabyte or so. Before anything is built, an import that
    /// was stopped in its last step is finished, and `finished` called with its topics, which are
    /// in DATA then, also if this import fails. Those of them that it would make itself, from the
    /// same source, are left out.
    ///
    /// When it throws, it has added no topic, unless the error is `.unfinished`.
    public func run(
        progress: (ImportProgress) -> Void = { _ in },
        finished: ([TopicName]) -> Void = { _ in }
    ) throws(ImportError) -> ImportReport {
        var report = ImportReport()
        var plan: ImportPlan
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
            try finishInterrupted(&plan, &report, finished)
            try refuseExisting(plan)
            guard !plan.jobs.isEmpty else { return report }
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

    /// Finishes what an import was stopped in, and leaves out of `plan` what that one had taken over
    /// from the same source.
    private func finishInterrupted(
        _ plan: inout ImportPlan, _ report: inout ImportReport, _ told: ([TopicName]) -> Void
    ) throws {
        if let intent = try ImportIntent.read(in: layout) {
            let (finished, taken) = try Publication(layout: layout, intent: intent).resume()
            told(finished)
            for name in taken { report.issues.append(.taken(name, in: layout)) }
            if intent.source == (try resolved(source)).string {
                plan.leaveOut(finished)
                if !intent.isComplete { report.issues.append(.interrupted(source)) }
            }
        }
        try ImportIntent.remove(in: layout)
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
        let intent = ImportIntent(
            source: try resolved(source).string, isComplete: report.isComplete,
            topics: plan.jobs.map(\.name))
        try Publication(layout: layout, intent: intent).run()
    }

    private func workDirectory(_ name: TopicName) -> FilePath {
        Publication.workDirectory(name, in: layout)
    }
}
