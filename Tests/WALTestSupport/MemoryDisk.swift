package import SystemPackage
package import Threads
package import WAL

/// A disk in memory, for tests: quick enough to open a log at every byte, and it fails, stalls,
/// runs full and loses power when it is told to.
///
/// A sync that fails drops what was dirty: the cache goes on showing the bytes, a later sync
/// succeeds, and they are not on the disk. That is what Linux does.
package final class MemoryDisk: Disk {
    /// What a test may decide about a call before it is carried out. It runs on the calling thread
    /// with no lock held, so it may block: that is a disk that is slow.
    package typealias Script = @Sendable (DiskCall) -> DiskFault?

    package struct State {
        // By path as text: taking a FilePath apart is slow without optimisation, and a sweep
        // makes millions of calls.
        var names: [String: Node] = [:]
        var durableNames: [String: Node] = [:]
        package var locks: Set<UInt64> = []
        var nextInode: UInt64 = 1
        var clock: Int64 = 1
        var calls: UInt64 = 0
        var nextHandle: UInt64 = 1
        var descriptors = 0
        var descriptorLimit = Int.max
        /// Bytes of all files together that there is room for.
        var capacity = Int.max
        var used = 0
        var script: Script?
        var trace: [DiskCall]?
        /// The process that `lockHolder` names.
        package var holder: Int32 = 1
    }
    package let state: Monitor<State>

    package init() {
        state = Monitor(State())
        state.withLock { state in
            let root = Node(kind: .directory, inode: state.freshInode())
            state.names["/"] = root
            state.durableNames["/"] = root
            let here = Node(kind: .directory, inode: state.freshInode())
            state.names["."] = here
            state.durableNames["."] = here
        }
    }

    // MARK: What tests ask for

    /// Decides about every call from now on.
    package func follow(_ script: Script?) { state.withLock { $0.script = script } }

    /// Room for all files together, in bytes.
    package var capacity: Int {
        get { state.withLock { $0.capacity } }
        set { state.withLock { $0.capacity = newValue } }
    }

    /// How many descriptors may be open at once.
    package var descriptorLimit: Int {
        get { state.withLock { $0.descriptorLimit } }
        set { state.withLock { $0.descriptorLimit = newValue } }
    }

    package var descriptors: Int { state.withLock { $0.descriptors } }
    package var used: Int { state.withLock { $0.used } }

    /// Remembers every call from now on.
    package func startTrace() { state.withLock { $0.trace = [] } }
    package var trace: [DiskCall] { state.withLock { $0.trace ?? [] } }

    /// Bytes read while `body` runs.
    package func bytesRead(_ body: () throws -> Void) rethrows -> Int {
        startTrace()
        try body()
        return trace.filter { $0.operation == .read }.reduce(0) { $0 + $1.count }
    }

    /// Puts a file there with these bytes, durable.
    package func put(_ bytes: [UInt8], at path: FilePath) {
        state.withLock { state in
            let node = Node(kind: .file, inode: state.freshInode())
            node.bytes = bytes
            node.durable = bytes
            state.used += bytes.count - (state.names[path.string]?.bytes.count ?? 0)
            state.names[path.string] = node
            state.durableNames[path.string] = node
        }
    }

    /// Gives a file another name at once, without asking the script: for a test that looks at what
    /// is between a call and what its caller does next.
    package func renameNow(_ old: FilePath, to new: FilePath) {
        state.withLock { state in
            state.names[new.string] = state.names[old.string]
            state.names[old.string] = nil
        }
    }

    /// What is under this name is another file from now on that has the same number, the same size
    /// and the same time: that of another device, mounted over it.
    package func putOnAnotherDevice(_ path: FilePath) {
        state.withLock { $0.names[path.string]?.device += 1 }
    }

    /// Puts a directory there, durable.
    package func putDirectory(_ path: FilePath) {
        state.withLock { state in
            let node = Node(kind: .directory, inode: state.freshInode())
            state.names[path.string] = node
            state.durableNames[path.string] = node
        }
    }

    /// The bytes of a file as the cache shows them; nil if there is none.
    package func bytes(_ path: FilePath) -> [UInt8]? {
        state.withLock { $0.names[path.string]?.bytes }
    }

    /// Changes a file behind everybody's back, on the disk and in the cache.
    package func change(_ path: FilePath, _ body: (inout [UInt8]) -> Void) {
        state.withLock { state in
            guard let node = state.names[path.string] else { return }
            body(&node.bytes)
            node.durable = node.bytes
            node.dirty = []
            state.clock += 1
            node.modified = state.clock
        }
    }

    /// Every file's bytes, by path.
    package var allFiles: [String: [UInt8]] {
        state.withLock { state in
            state.names.filter { $0.value.kind == .file }.mapValues(\.bytes)
        }
    }

    /// Names and bytes of all files in a directory.
    package func files(in directory: FilePath) -> [String: [UInt8]] {
        state.withLock { state in
            var files: [String: [UInt8]] = [:]
            for (path, node) in state.names
            where node.kind == .file && path.parent == directory.string {
                files[path.lastName] = node.bytes
            }
            return files
        }
    }

    /// The disk as it comes back when the power has gone: nothing of it that was not forced. Locks
    /// are free and the script is gone.
    package func afterPowerLoss() -> MemoryDisk {
        let disk = MemoryDisk()
        let (names, inode) = state.withLock { state in
            (state.durableNames.mapValues { $0.afterPowerLoss() }, state.nextInode)
        }
        disk.state.withLock { state in
            state.names = names
            state.durableNames = names
            state.nextInode = inode
            state.used = names.values.reduce(0) { $0 + $1.bytes.count }
        }
        return disk
    }

    // MARK: Disk

    package func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
        try begin(.open, path)
        return try enter(.open, path) { state throws(Errno) in
            if let node = state.names[path.string] {
                if mode == .createNew || mode == .createPrivate { throw Errno.fileExists }
                guard node.kind == .file else { throw Errno.isDirectory }
                return try self.file(node, path, &state)
            }
            switch mode {
            case .read, .readWrite: throw Errno.noSuchFileOrDirectory
            case .create, .createNew, .createPrivate: break
            }
            guard state.names[path.string.parent]?.kind == .directory else {
                throw Errno.noSuchFileOrDirectory
            }
            let node = Node(kind: .file, inode: state.freshInode())
            let file = try self.file(node, path, &state)
            state.names[path.string] = node
            return file
        }
    }

    private func file(
        _ node: Node, _ path: FilePath, _ state: inout State
    ) throws(Errno) -> any DiskFile {
        try state.takeDescriptor()
        defer { state.nextHandle += 1 }
        return MemoryFile(self, node, path, handle: state.nextHandle)
    }

    package func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry] {
        try begin(.list, directory)
        return try enter(.list, directory) { state throws(Errno) in
            guard state.names[directory.string]?.kind == .directory else {
                throw Errno.noSuchFileOrDirectory
            }
            let directory = directory.string
            var entries: [DirectoryEntry] = []
            for (path, node) in state.names where path != directory && path.parent == directory {
                guard let name = Names.component(path.lastName) else { continue }
                entries.append(DirectoryEntry(name: name, kind: node.kind))
            }
            return entries
        }
    }

    package func status(_ path: FilePath) throws(DiskError) -> FileStatus? {
        try begin(.status, path)
        return try enter(.status, path) { state throws(Errno) in state.names[path.string]?.status }
    }

    package func makeDirectory(_ path: FilePath) throws(DiskError) {
        try begin(.makeDirectory, path)
        try enter(.makeDirectory, path) { state throws(Errno) in
            guard state.names[path.string] == nil else { throw Errno.fileExists }
            guard state.names[path.string.parent]?.kind == .directory else {
                throw Errno.noSuchFileOrDirectory
            }
            state.names[path.string] = Node(kind: .directory, inode: state.freshInode())
        }
    }

    package func rename(_ old: FilePath, to new: FilePath) throws(DiskError) {
        try begin(.rename, old)
        try enter(.rename, old) { state throws(Errno) in
            guard let node = state.names[old.string] else { throw Errno.noSuchFileOrDirectory }
            if state.names[new.string]?.kind == .directory { throw Errno.isDirectory }
            state.names[old.string] = nil
            state.names[new.string] = node
        }
    }

    package func link(_ existing: FilePath, to new: FilePath) throws(DiskError) {
        try begin(.link, existing)
        try enter(.link, existing) { state throws(Errno) in
            guard let node = state.names[existing.string] else { throw Errno.noSuchFileOrDirectory }
            guard state.names[new.string] == nil else { throw Errno.fileExists }
            state.names[new.string] = node
        }
    }

    /// Files have no owners here.
    package func setAccess(
        _ access: FileAccess, ofDirectory path: FilePath
    ) throws(DiskError) { try begin(.changeAccess, path) }

    package func remove(_ path: FilePath) throws(DiskError) {
        try begin(.remove, path)
        try enter(.remove, path) { state throws(Errno) in
            guard let node = state.names[path.string] else { throw Errno.noSuchFileOrDirectory }
            let text = path.string
            let isEmpty = !state.names.keys.contains { $0 != text && $0.parent == text }
            guard node.kind != .directory || isEmpty else { throw Errno.directoryNotEmpty }
            state.names[path.string] = nil
            state.used -= node.bytes.count
        }
    }

    package func syncDirectory(_ path: FilePath) throws(DiskError) {
        try begin(.syncDirectory, path)
        try enter(.syncDirectory, path) { state throws(Errno) in
            guard state.names[path.string]?.kind == .directory else {
                throw Errno.noSuchFileOrDirectory
            }
            // Like the real one it opens the directory for it.
            try state.takeDescriptor()
            state.descriptors -= 1
            let text = path.string
            for name in Array(state.durableNames.keys)
            where name != text && name.parent == text && state.names[name] == nil {
                state.durableNames[name] = nil
            }
            for (name, node) in state.names where name != text && name.parent == text {
                state.durableNames[name] = node
            }
        }
    }

    package func lock(_ path: FilePath) throws(DiskError) -> any DiskLock {
        try begin(.lock, path)
        return try enter(.lock, path) { state throws(Errno) in
            guard let node = state.names[path.string] else { throw Errno.noSuchFileOrDirectory }
            guard !state.locks.contains(node.inode) else { throw Errno.wouldBlock }
            try state.takeDescriptor()
            state.locks.insert(node.inode)
            return MemoryLock(self, node.inode)
        }
    }

    package func lockHolder(_ path: FilePath) -> LockHolder? {
        state.withLock { state in
            guard let inode = state.names[path.string]?.inode, state.locks.contains(inode) else {
                return nil
            }
            return .process(state.holder)
        }
    }
}

extension MemoryDisk.State {
    mutating func freshInode() -> UInt64 {
        defer { nextInode += 1 }
        return nextInode
    }

    mutating func takeDescriptor() throws(Errno) {
        guard descriptors < descriptorLimit else { throw Errno.tooManyOpenFiles }
        descriptors += 1
    }
}

extension String {
    /// The directory that a path is in, as this disk names it.
    var parent: String {
        guard let slash = utf8.lastIndex(of: 0x2F) else { return "." }
        return slash == startIndex ? "/" : String(self[..<slash])
    }

    /// The last name of a path.
    var lastName: String {
        guard let slash = utf8.lastIndex(of: 0x2F) else { return self }
        return String(self[utf8.index(after: slash)...])
    }
}

/// Names as components, parsed once in the process.
private enum Names {
    private static let known = Monitor<[String: FilePath.Component]>([:])

    static func component(_ name: String) -> FilePath.Component? {
        known.withLock { known in
            if let component = known[name] { return component }
            known[name] = FilePath.Component(name)
            return known[name]
        }
    }
}
