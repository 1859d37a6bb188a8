internal import DataDirectory
internal import Inspection
internal import SystemPackage
internal import WAL

/// The directory in which one run of the tool sets aside what it changes: nothing in it is ever
/// deleted again.
final class LostAndFound {
    private let disk: any Disk
    /// The directory that lost+found is in; files are named from here.
    let root: FilePath
    /// Nanoseconds since 1970.
    private let time: UInt64
    private(set) var directory: FilePath?
    /// A file is no longer what it was.
    var isNeeded = false
    private var manifest: Manifest
    /// Who may see `directory` and the manifest; nil before anything was kept, and on a disk
    /// without owners.
    private var access: KeptAccess?

    init(root: FilePath, path: FilePath, time: UInt64, on disk: any Disk) {
        self.root = root
        self.time = time
        self.disk = disk
        manifest = Manifest(path: path.string)
    }

    /// `lost+found/<time>`, made when it is first needed, its names durable up to `root`.
    private func made() throws(DiskError) -> FilePath {
        if let directory { return directory }
        let parent = root.appending(DataLayout.lostAndFoundName)
        try makeIfMissing(parent, access)
        let name = TimestampText.string(time).filter { $0 != "-" && $0 != ":" }
        var number = 1
        while true {
            let path = parent.appending(number == 1 ? name : "\(name).\(number)")
            do {
                try disk.makeDirectory(path)
                try Force.names(in: parent, of: disk)
                try Force.names(in: root, of: disk)
                directory = path
                return path
            } catch  where error.errno == .fileExists {
                number += 1
            }
        }
    }

    private func makeIfMissing(_ path: FilePath, _ access: KeptAccess?) throws(DiskError) {
        do {
            try disk.makeDirectory(path)
            if let access { try disk.setAccess(access.directories, ofDirectory: path) }
        } catch  where error.errno == .fileExists {
            guard try disk.status(path)?.kind == .directory else { throw error }
        }
    }

    /// Gives each file a second name here, or a copy where that cannot be, makes it durable and
    /// compares it. `folder` and the files in it are named from `root`.
    ///
    /// Gives what each file holds, by its name; nothing for a file that is not there.
    ///
    /// - Parameter access: nil on a disk without owners.
    func setAside(
        _ files: [String], of folder: FilePath, as label: String, for access: KeptAccess?
    ) throws(DiskError) -> [String: (kept: String, print: Print)] {
        if let access { self.access = self.access?.narrowed(to: access) ?? access }
        let directory = try made()
        // A topic may have any name, that of the manifest too.
        let topics = directory.appending(DataLayout.topicsName)
        let place = topics.appending(label)
        try makeIfMissing(topics, self.access)
        try makeIfMissing(place, access)
        if let shared = self.access {
            // Both may be there for another topic.
            try disk.setAccess(shared.directories, ofDirectory: directory)
            try disk.setAccess(shared.directories, ofDirectory: topics)
        }
        var result: [String: (kept: String, print: Print)] = [:]
        for name in files {
            let source = (folder.isEmpty ? root : root.pushing(folder)).appending(name)
            guard try disk.status(source) != nil else { continue }
            let target = place.appending(name)
            let print = try keep(source, as: target)
            result[name] = ("\(DataLayout.topicsName)/\(label)/\(name)", print)
        }
        try Force.names(in: place, of: disk)
        try Force.names(in: topics, of: disk)
        try Force.names(in: directory, of: disk)
        return result
    }

    private func keep(_ source: FilePath, as target: FilePath) throws(DiskError) -> Print {
        let file = try disk.open(source, .read)
        defer { file.close() }
        let print = try Print.of(file)
        do {
            try disk.link(source, to: target)
            // The bytes that the name leads to may be in the page cache only.
            let linked = try disk.open(target, .read)
            defer { linked.close() }
            try Force.file(linked, .everything)
            if try linked.status().identity == file.status().identity { return print }
        } catch  where error.operation == .link {
            // Another file system, or one without hard links.
            try FileCopy.copy(file, to: target, like: file.status().access, on: disk)
        }
        guard try Print.of(target, on: disk) == print else {
            throw DiskError(operation: .read, path: target, errno: .ioError)
        }
        return print
    }

    /// Writes down what is about to be changed. Nothing may be changed before this returns.
    func note(_ entries: [Manifest.Entry]) throws(DiskError) {
        manifest.entries += entries
        let bytes = manifest.render()
        let path = try made().appending(Manifest.fileName)
        try AtomicFile.replace(
            path, with: bytes.bytes, on: Storage(disk), like: access?.files)
    }
}

/// Copies files whole.
enum FileCopy {
    private static let pieceBytes = 1 << 20

    /// Writes the bytes of `source` into a new file and forces it. A copy that fails is removed.
    ///
    /// - Parameter access: owner, group and mode of the new file; nil on a disk without owners.
    @discardableResult
    static func copy(
        _ source: any DiskFile, to target: FilePath, like access: FileAccess?, on disk: any Disk
    ) throws(DiskError) -> Print {
        let file = try disk.make(target, like: access)
        defer { file.close() }
        do {
            return try write(source, into: file)
        } catch {
            try? disk.remove(target)
            throw error
        }
    }

    private static func write(
        _ source: any DiskFile, into file: any DiskFile
    ) throws(DiskError) -> Print {
        var buffer = ByteBuffer()
        var sum = RunningPrint()
        while true {
            buffer.reset()
            let got = try source.readFully(at: sum.bytes, count: pieceBytes, into: &buffer)
            if got == 0 { break }
            try file.writeAll(buffer.bytes, at: sum.bytes)
            sum.add(buffer.bytes)
        }
        try Force.file(file, .everything)
        return sum.print
    }
}
