import DataDirectory
import Glibc
import Inspection
import SystemPackage
import WAL

/// The file that `--report` names. It is never one of the checked data, whatever path leads there.
struct ReportFile {
    let path: FilePath
    private let disk: any Disk = Storage.local.disk

    init(_ path: String) { self.path = FilePath(path) }

    /// Writes it, as a whole or not at all.
    func write(_ page: [UInt8]) throws(DiskError) {
        try AtomicFile.replaceBesideOthers(path, with: RawSpan(of: page), on: .local)
    }

    /// What stands there that no page may replace, in words; nil if nothing does. Writing ends in a
    /// rename, which takes whatever has the name away: a device, a socket that somebody listens on,
    /// a link in place of what it leads to.
    var obstacle: String? {
        var status = stat()
        // What cannot be looked at cannot be written either, and writing says why.
        guard path.withPlatformString({ lstat($0, &status) }) == 0 else { return nil }
        return switch status.st_mode & S_IFMT {
        case S_IFREG: nil
        case S_IFDIR: "a directory"
        case S_IFLNK: "a symbolic link"
        default: "a device, a pipe or a socket"
        }
    }

    /// Whether writing it would replace or add a file of what is checked.
    func belongs(to target: Target) throws(DiskError) -> Bool {
        let (directories, files) = try own(target)
        if let status = try disk.status(path), files.contains(status.identity) { return true }
        // Both the name itself and what it leads to.
        let parent = path.parentDirectory
        var name = ReportFile.withoutLinks(parent)
        if let last = path.lastComponent { name.append(last) }
        let root = try identity(root(of: target))
        for place in [name, ReportFile.withoutLinks(path)] {
            if try isWithin(directories, place) { return true }
            if try isWithinLostAndFound(of: root, place) { return true }
        }
        guard let data = data(of: target), let name = path.lastComponent?.string,
            [DataLayout.lockName, DataLayout.topicsName, DataLayout.lostAndFoundName]
                .contains(name)
        else { return false }
        return try identity(parent) == identity(data)
    }

    private func identity(_ path: FilePath) throws(DiskError) -> FileIdentity? {
        try disk.status(path).map(\.identity)
    }

    /// Whether a path without links is, or is below, one of some directories.
    private func isWithin(
        _ directories: Set<FileIdentity>, _ path: FilePath
    ) throws(DiskError) -> Bool {
        var place = path
        while !place.isEmpty {
            if let here = try identity(place), directories.contains(here) { return true }
            guard place.lastComponent != nil else { return false }
            place.removeLastComponent()
        }
        return false
    }

    /// Whether a path without links is, or is below, `lost+found` in `root`. By name: a repair makes
    /// that directory where there is none, and the page is written behind it.
    private func isWithinLostAndFound(
        of root: FileIdentity?, _ path: FilePath
    ) throws(DiskError) -> Bool {
        var place = path
        while let last = place.lastComponent {
            if last.string == DataLayout.lostAndFoundName, let root,
                try identity(place.parentDirectory) == root
            {
                return true
            }
            place.removeLastComponent()
        }
        return false
    }

    /// A path without links as far as there is anything; what is not there stays as it was named,
    /// behind a link that leads nowhere yet too.
    private static func withoutLinks(_ path: FilePath, links: Int = 40) -> FilePath {
        if let there = path.resolvingLinks { return there }
        guard let last = path.lastComponent, last.kind == .regular, links > 0 else { return path }
        let parent = withoutLinks(path.parentDirectory, links: links - 1)
        let here = parent.appending(last)
        guard let end = end(of: here) else { return here }
        return withoutLinks(parent.pushing(end), links: links - 1)
    }

    /// What a link says; nil if it is none. readlink(2)
    private static func end(of link: FilePath) -> FilePath? {
        var name = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = link.withPlatformString { readlink($0, &name, Int(PATH_MAX)) }
        return count > 0 ? FilePath(platformString: name) : nil
    }

    /// Where a repair makes `lost+found`.
    private func root(of target: Target) -> FilePath {
        data(of: target) ?? target.path.parentDirectory
    }

    /// The data directory; nil for a log that is in none.
    private func data(of target: Target) -> FilePath? {
        if target.isDataDirectory(on: disk) { return target.path }
        return target.topics.lazy.compactMap(\.dataDirectory).first
    }

    /// The directories in which everything is of the data, and the files elsewhere.
    private func own(
        _ target: Target
    ) throws(DiskError) -> (directories: Set<FileIdentity>, files: Set<FileIdentity>) {
        var folders = target.topics.filter { target.ownsDirectory(of: $0, on: disk) }
            .map(\.directory)
        var files: [FilePath] = [target.path]
        if let data = data(of: target) {
            let topics = data.appending(DataLayout.topicsName)
            folders += [topics, data.appending(DataLayout.lostAndFoundName)]
            files.append(data.appending(DataLayout.lockName))
            if try disk.status(topics)?.kind == .directory {
                folders += try disk.list(topics).map { topics.appending($0.name) }
            }
        } else {
            folders.append(
                target.path.parentDirectory.appending(DataLayout.lostAndFoundName))
        }
        var directories: Set<FileIdentity> = []
        for folder in folders {
            guard let status = try disk.status(folder), status.kind == .directory else { continue }
            directories.insert(status.identity)
            // A second name of one of these files may stand anywhere.
            if let entries = try? disk.list(folder) {
                files += entries.map { folder.appending($0.name) }
            }
        }
        var identities: Set<FileIdentity> = []
        for file in files { if let found = try identity(file) { identities.insert(found) } }
        return (directories, identities)
    }
}

extension Target {
    fileprivate func isDataDirectory(on disk: any Disk) -> Bool {
        (try? disk.status(path.appending(DataLayout.topicsName)))??.kind == .directory
    }

    /// Whether all of a topic's directory is the topic's: not where one file was named that stands
    /// among others.
    fileprivate func ownsDirectory(of topic: TopicTarget, on disk: any Disk) -> Bool {
        topic.onlyFile != nil || (try? disk.status(path))??.kind == .directory
    }
}
