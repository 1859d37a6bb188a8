internal import DataDirectory
internal import Inspection
internal import SystemPackage
internal import WAL

/// Carries out the plan for one topic: sets aside, writes down what will change, writes new files
/// beside the old ones, checks them, and only then gives them their names.
struct TopicApply {
    let plan: TopicPlan
    let planning: TopicPlanning
    let lostAndFound: LostAndFound
    /// The topic's directory, named from that of lost+found.
    let folder: FilePath
    let disk: any Disk

    private var directory: FilePath { planning.target.directory }

    /// How far it has come.
    private struct Work {
        var temporaries: [String] = []
        /// Stale files that had the name of one of ours, by where they are kept.
        var displaced: [(name: String, kept: FilePath)] = []
        /// Names of the changes that whoever looks finds made, durable or not.
        var done: Set<String> = []
    }

    /// Does it, and tells what was done. When it throws, every file is what it was, but for
    /// `RepairError.partly`, which tells what was done until then.
    func run() throws(RepairError) -> [ReportAction] {
        do {
            try checkFiles()
            try tryWriting()
            try checkUnchanged()
            let label = planning.target.name
            let kept = try lostAndFound.setAside(
                plan.changes.map(\.name), of: folder, as: label, for: keptAccess())
            let prints = try plannedPrints()
            try lostAndFound.note(
                plan.changes.map { change in
                    Manifest.Entry(
                        file: folder.appending(change.name).string,
                        kept: kept[change.name]?.kept, old: kept[change.name]?.print,
                        new: prints[change.name])
                })
            var work = Work()
            var failure: RepairError?
            do {
                try write(&work, prints, kept)
                try checkResult(work)
                try checkUnchanged(without: work)
                try putInPlace(&work)
            } catch {
                failure = RepairError(error)
                withdraw(&work)
            }
            if !work.done.isEmpty { lostAndFound.isNeeded = true }
            let actions = plan.changes.filter { work.done.contains($0.name) }.map {
                action($0, kept[$0.name]?.kept)
            }
            if let failure {
                throw actions.isEmpty ? failure : .partly(actions, failure.asDiskError)
            }
            return actions
        } catch { throw RepairError(error) }
    }

    private func action(_ change: FileChange, _ kept: String?) -> ReportAction {
        let kind: ReportAction.Kind =
            change.content == nil ? .remove : kept == nil ? .create : .replace
        return ReportAction(
            kind: kind, topic: planning.target.name, file: change.name, detail: change.detail,
            kept: kept.flatMap { kept in
                lostAndFound.directory.map { $0.pushing(FilePath(kept)).string }
            })
    }

    private static func temporary(_ name: String) -> String { name + ".tmp" }

    // MARK: Owner, group and mode

    /// Those of the file that is replaced. A new one has those of the segment that its bytes are
    /// from, and one that is made up those of the others. This is mostly root, and the broker not.
    private func access(of change: FileChange) -> FileAccess? {
        if let replaced = plan.seen[change.name] { return replaced.access }
        if case .file(let source)? = change.content?.original,
            let segment = source.lastComponent.flatMap({ plan.seen[$0.string] })
        {
            return segment.access
        }
        return topicAccess
    }

    /// Those of `segment.log`, else of the newest segment there is, else of any file.
    private var topicAccess: FileAccess? {
        let names = plan.seen.keys.sorted()
        let segments = names.filter { SegmentName($0) != nil }
        return [segments.last, names.last].lazy.compactMap(\.self)
            .compactMap { plan.seen[$0]?.access }.first
    }

    private func keptAccess() throws(DiskError) -> KeptAccess? {
        guard let segment = topicAccess, let topic = try disk.status(directory)?.access else {
            return nil
        }
        return KeptAccess(segment: segment, directory: topic)
    }

    // MARK: Checks

    /// A rename replaces a link, and not what it leads to; and a name that is needed for a new file
    /// is taken from nobody but a repair before.
    private func checkFiles() throws {
        var there: [String: DirectoryEntry] = [:]
        for entry in try disk.list(directory) { there[entry.name.string] = entry }
        let changed = Set(plan.changes.map(\.name))
        for change in plan.changes {
            if let entry = there[change.name], entry.kind != .file || entry.isLink {
                throw RepairError.notAFile(directory.appending(change.name))
            }
            let temporary = TopicApply.temporary(change.name)
            if change.content != nil, there[temporary] != nil, !changed.contains(temporary) {
                throw RepairError.nameTaken(directory.appending(temporary))
            }
        }
    }

    /// Nothing is set aside for a directory in which nothing can be made.
    private func tryWriting() throws(DiskError) {
        var name = TopicApply.temporary(
            plan.changes.first { $0.segment != nil }?.name ?? SegmentName.activeName)
        var number = 0
        while true {
            let path = directory.appending(name)
            do {
                try disk.open(path, .createNew).close()
                return try disk.remove(path)
            } catch  where error.errno == .fileExists {
                // Whatever its name, one that opening would remove if this process ended here.
                name = TopicApply.temporary("\(SegmentName.activeName).torn-\(number)")
                number += 1
            }
        }
    }

    /// Nobody but us writes here as long as everybody keeps to the locks.
    private func checkUnchanged(without work: Work = Work()) throws {
        var now = try planning.seen()
        var before = plan.seen
        for name in work.temporaries {
            now[name] = nil
            before[name] = nil
        }
        for name in Set(now.keys).union(before.keys) where now[name] != before[name] {
            throw RepairError.changed(directory.appending(name))
        }
    }

    /// What every new file will hold.
    private func plannedPrints() throws(DiskError) -> [String: Print] {
        var prints: [String: Print] = [:]
        for change in plan.changes {
            guard let content = change.content else { continue }
            let file = try content.open(on: disk, as: directory.appending(change.name))
            defer { file.close() }
            prints[change.name] = try Print.of(file)
        }
        return prints
    }

    /// Examines the topic with the new files as they came out, before any has its name.
    private func checkResult(_ work: Work) throws {
        guard planning.target.onlyFile == nil else { return }
        var topic = plan.topic
        for change in plan.changes {
            guard let segment = change.segment, change.content != nil else { continue }
            topic.segments[segment] = .file(
                directory.appending(TopicApply.temporary(change.name)))
        }
        let found = try topic.examine(
            in: directory, on: disk, knownDurable: plan.acknowledged)
        guard found.verdict <= .zeroTail else {
            let finding = found.findings.first { $0.kind.isDamage }
            throw RepairError.notAsPlanned(
                directory, finding.map { "\($0.kind.rawValue), \($0.detail)" } ?? "not sound")
        }
    }

    // MARK: Changes

    private func write(
        _ work: inout Work, _ prints: [String: Print],
        _ kept: [String: (kept: String, print: Print)]
    ) throws {
        for change in plan.changes {
            guard let content = change.content else { continue }
            let name = TopicApply.temporary(change.name)
            let path = directory.appending(name)
            if try disk.status(path) != nil {
                guard let stale = kept[name], let place = lostAndFound.directory else {
                    throw RepairError.changed(path)
                }
                // It is set aside already, and the name is needed.
                try disk.remove(path)
                work.displaced.append((name, place.pushing(FilePath(stale.kept))))
            }
            work.temporaries.append(name)
            let source = try content.open(on: disk, as: path)
            defer { source.close() }
            try FileCopy.copy(source, to: path, like: access(of: change), on: disk)
            // Read back: the copy is told by what it is, not by what was written.
            guard try Print.of(path, on: disk) == prints[change.name] else {
                throw RepairError.notAsPlanned(path, "it does not read back as written")
            }
        }
        try Force.names(in: directory, of: disk)
    }

    private func putInPlace(_ work: inout Work) throws(DiskError) {
        for change in plan.changes {
            let path = directory.appending(change.name)
            if change.content != nil {
                let temporary = directory.appending(TopicApply.temporary(change.name))
                try disk.rename(temporary, to: path)
            } else if try disk.status(path) != nil {
                try disk.remove(path)
            }
            work.done.insert(change.name)
            // Each change is durable before the next: a later one may take away what would prove
            // an earlier one.
            try Force.names(in: directory, of: disk)
        }
        for change in plan.changes where change.isTransient {
            try disk.remove(directory.appending(change.name))
            work.done.remove(change.name)
            try Force.names(in: directory, of: disk)
        }
    }

    /// Takes back what was made for changes that did not come about. Those that did stay: the next
    /// run goes on from them, and what they replaced is set aside. What cannot be taken back counts
    /// as done.
    private func withdraw(_ work: inout Work) {
        for name in work.temporaries { try? disk.remove(directory.appending(name)) }
        // A second name is in nobody's way, but once another file has been replaced it may be the
        // only one that its bytes have.
        if work.done.isSubset(of: plan.changes.lazy.filter(\.isTransient).map(\.name)) {
            work.done = work.done.filter { name in
                (try? disk.remove(directory.appending(name))) == nil
            }
        }
        // The plan takes each of these away, and to undo the rest needs their names.
        for (name, kept) in work.displaced {
            if !work.done.isEmpty || !putBack(kept, to: directory.appending(name)) {
                work.done.insert(name)
            }
        }
        try? Force.names(in: directory, of: disk)
    }

    /// Whether a stale file has its name again.
    private func putBack(_ kept: FilePath, to path: FilePath) -> Bool {
        if (try? disk.link(kept, to: path)) != nil { return true }
        guard let source = try? disk.open(kept, .read) else { return false }
        defer { source.close() }
        // Where something of ours is left in its place this fails as well.
        return (try? FileCopy.copy(source, to: path, like: source.status().access, on: disk)) != nil
    }
}
