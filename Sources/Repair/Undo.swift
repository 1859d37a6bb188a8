internal import DataDirectory
package import Inspection
package import SystemPackage
package import WAL

/// Puts back, byte for byte, with owner, group and mode, what a repair set aside.
package struct Undo {
    private let directory: FilePath
    /// The directory that lost+found is in: files are named from there.
    private let root: FilePath
    private let disk: any Disk

    /// - Parameter directory: the `lost+found/<time>` that the repair made.
    package init(_ directory: FilePath, on storage: Storage) {
        disk = storage.disk
        let actual = Undo.resolve(directory, on: disk)
        self.directory = actual
        let named = directory.parentDirectory.parentDirectory
        // lost+found may be a link to a directory elsewhere: then it is the path as given that
        // leads to the data directory. That path may be a link itself, or `.`: it is believed
        // where the lost+found of the directory that it names is the one that this is in.
        let itsOwn = Undo.resolve(named.appending(DataLayout.lostAndFoundName), on: disk)
        root =
            itsOwn == actual.parentDirectory
            ? Undo.resolve(named, on: disk) : actual.parentDirectory.parentDirectory
    }

    private static func resolve(_ path: FilePath, on disk: any Disk) -> FilePath {
        ((try? disk.resolve(path)) ?? path).lexicallyNormalized()
    }

    /// What was put back; nothing if every file is already what it was before the repair. Throws,
    /// and has changed nothing, unless each file is what the repair left or what it was before.
    /// Where a call fails after that, `RepairError.partly` tells what was put back until then.
    package func run() throws(RepairError) -> [ReportAction] {
        let manifest = try Manifest.load(directory, on: disk)
        var actions: [ReportAction] = []
        do {
            let locks = try takeLocks(manifest)
            defer { for lock in locks { lock.release() } }
            let left = try toDo(manifest)
            try check(left)
            // Files before temporary ones: our own temporary files have their names.
            let order =
                left.filter { !isTemporary($0) } + left.filter { isTemporary($0) }
            for entry in order { try putBack(entry, &actions) }
            try removeLeftOvers(manifest, &actions)
            // What is as it was already may be the work of an undo whose fsync failed.
            for folder in try folders(manifest) { try Force.names(in: folder, of: disk) }
            return actions
        } catch {
            let failure = RepairError(error)
            throw actions.isEmpty ? failure : .partly(actions, failure.asDiskError)
        }
    }

    private func path(_ entry: Manifest.Entry) -> FilePath { root.pushing(FilePath(entry.file)) }

    private func isTemporary(_ entry: Manifest.Entry) -> Bool { entry.file.hasSuffix(".tmp") }

    /// The directories with a file that is put back, in the order of their names.
    private func folders(_ manifest: Manifest) throws(DiskError) -> [FilePath] {
        let names = Set(manifest.entries.map { path($0).removingLastComponent().string })
        var folders: [FilePath] = []
        for name in names.sorted() where try disk.status(FilePath(name)) != nil {
            folders.append(FilePath(name))
        }
        return folders
    }

    /// DATA/LOCK, and each directory with a file that is put back.
    private func takeLocks(_ manifest: Manifest) throws -> [any DiskLock] {
        var locks: [any DiskLock] = []
        do {
            let data =
                root.lastComponent?.string == DataLayout.topicsName
                ? root.parentDirectory : root
            let lockFile = data.appending(DataLayout.lockName)
            if try disk.status(lockFile) != nil {
                locks.append(try DataGuard.take(lockFile, on: disk))
            }
            for folder in try folders(manifest) {
                locks.append(try DataGuard.take(folder, on: disk))
            }
            return locks
        } catch {
            for lock in locks { lock.release() }
            throw error
        }
    }

    /// The entries that are not yet as they were.
    private func toDo(_ manifest: Manifest) throws -> [Manifest.Entry] {
        // A file that the repair made anew under the name of a stale one is not in the way.
        let names = Set(manifest.entries.map(\.file))
        var left: [Manifest.Entry] = []
        for entry in manifest.entries {
            let there = try Print.of(path(entry), on: disk)
            if there == entry.old { continue }
            let isOurs = isTemporary(entry) && names.contains(String(entry.file.dropLast(4)))
            guard there == entry.new || isOurs else { throw RepairError.changedSince(path(entry)) }
            left.append(entry)
        }
        return left
    }

    /// What was set aside has to be what it was then.
    private func check(_ entries: [Manifest.Entry]) throws {
        for entry in entries {
            guard let kept = entry.kept else { continue }
            let place = directory.pushing(FilePath(kept))
            guard try Print.of(place, on: disk) == entry.old else {
                throw RepairError.keptChanged(place)
            }
        }
    }

    /// Temporary files of a repair or an undo that was interrupted.
    private func removeLeftOvers(
        _ manifest: Manifest, _ actions: inout [ReportAction]
    ) throws(DiskError) {
        let names = Set(manifest.entries.map(\.file))
        for entry in manifest.entries where !names.contains(entry.file + ".tmp") {
            let temporary = AtomicFile.temporary(of: path(entry))
            guard try disk.status(temporary)?.kind == .file else { continue }
            try disk.remove(temporary)
            let folder = temporary.removingLastComponent()
            actions.append(
                ReportAction(
                    kind: .remove, topic: folder.lastComponent?.string ?? "",
                    file: temporary.lastComponent?.string ?? "",
                    detail: "left by a repair that was interrupted"))
            try Force.names(in: folder, of: disk)
        }
    }

    private func putBack(
        _ entry: Manifest.Entry, _ actions: inout [ReportAction]
    ) throws(DiskError) {
        let path = path(entry)
        let folder = path.removingLastComponent()
        var detail = "there was no such file before the repair"
        if let kept = entry.kept {
            let source = try disk.open(directory.pushing(FilePath(kept)), .read)
            defer { source.close() }
            let temporary = AtomicFile.temporary(of: path)
            if try disk.status(temporary) != nil { try disk.remove(temporary) }
            // A copy, not a second name: what is appended later must not reach lost+found.
            try FileCopy.copy(source, to: temporary, like: source.status().access, on: disk)
            try disk.rename(temporary, to: path)
            detail = "\(entry.old?.size ?? 0) bytes as they were"
        } else {
            try disk.remove(path)
        }
        // Whoever looks finds it done, whether or not its name can be forced.
        actions.append(
            ReportAction(
                kind: .putBack, topic: folder.lastComponent?.string ?? "",
                file: path.lastComponent?.string ?? "", detail: detail))
        try Force.names(in: folder, of: disk)
    }
}
