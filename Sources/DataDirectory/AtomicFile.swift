package import SystemPackage
package import WAL

/// Replaces a file as a whole: whatever stops it, the name leads to the old bytes or to the new
/// ones, never to a mixture and never to a part.
package enum AtomicFile {
    /// The name of the temporary file of `path`; one may be left over from a crash.
    package static func temporary(of path: FilePath) -> FilePath {
        var temporary = path
        temporary.lastComponent.map {
            temporary.removeLastComponent()
            temporary.append($0.string + ".tmp")
        }
        return temporary
    }

    /// Writes `bytes` to the temporary file, fsyncs it, renames it to `path` and fsyncs the
    /// directory. When it returns, the new bytes are durable. The new file has the owner, group and
    /// mode of the old one: this may be root, and whoever reads it next not.
    ///
    /// When it throws, the old bytes or the new ones are there. If the error is that of the
    /// directory's fsync, the new ones are seen, but a power loss may bring the old ones back.
    ///
    /// - Parameter access: owner, group and mode where there is no old file; nil leaves them to the
    ///   system.
    package static func replace(
        _ path: FilePath, with bytes: RawSpan, on storage: Storage, like access: FileAccess? = nil
    ) throws(DiskError) {
        let disk = storage.disk
        let temporary = temporary(of: path)
        do {
            let access = try disk.status(path)?.access ?? access
            let file = try makeAnew(temporary, like: access, on: disk)
            try put(bytes, into: file, temporary, over: path, on: disk)
        } catch {
            // The space is given back if that can be done; the first error is the one to tell.
            try? disk.remove(temporary)
            throw error
        }
        if Mutant.offsetsRenameNotSynced.isOn { return }
        try Force.names(in: path.parentDirectory, of: disk)
    }

    /// A left-over is not written over but removed: after a failed fsync its pages cannot be
    /// trusted, and a new file (O_EXCL) is ours whatever had its name, a link that leads nowhere
    /// too.
    private static func makeAnew(
        _ path: FilePath, like access: FileAccess?, on disk: any Disk
    ) throws(DiskError) -> any DiskFile {
        do {
            return try disk.make(path, like: access)
        } catch {
            guard error.errno == .fileExists else { throw error }
            try disk.remove(path)
            return try disk.make(path, like: access)
        }
    }

    /// The same in a directory that is not ours: what has the name of the temporary file is
    /// somebody's and stays, and ours gets the next name that is free.
    package static func replaceBesideOthers(
        _ path: FilePath, with bytes: RawSpan, on storage: Storage
    ) throws(DiskError) {
        let disk = storage.disk
        let access = try disk.status(path)?.access
        let (file, temporary) = try openFree(temporary(of: path), like: access, on: disk)
        do {
            try put(bytes, into: file, temporary, over: path, on: disk)
        } catch {
            try? disk.remove(temporary)
            throw error
        }
        try Force.names(in: path.parentDirectory, of: disk)
    }

    /// A new file of that name, or with `.2`, `.3` … behind it, the first that nobody has.
    private static func openFree(
        _ first: FilePath, like access: FileAccess?, on disk: any Disk
    ) throws(DiskError) -> (file: any DiskFile, path: FilePath) {
        var path = first
        var number = 1
        while true {
            do {
                return (try disk.make(path, like: access), path)
            } catch {
                guard error.errno == .fileExists else { throw error }
                number += 1
                path = FilePath("\(first).\(number)")
            }
        }
    }

    private static func put(
        _ bytes: RawSpan, into file: any DiskFile, _ temporary: FilePath, over path: FilePath,
        on disk: any Disk
    ) throws(DiskError) {
        defer { file.close() }
        try file.writeAll(bytes, at: 0)
        // Before the rename: a name may be durable before the bytes that it leads to.
        if !Mutant.offsetsNotSynced.isOn { try Force.file(file, .everything) }
        try disk.rename(temporary, to: path)
    }
}
