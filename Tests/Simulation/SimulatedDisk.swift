package import SystemPackage
internal import Threads
package import WAL

/// A disk in memory under the log's real code. It tells before every call that changes something,
/// so that an exploration can play a crash there, and it fails on demand.
package final class SimulatedDisk: Disk {
    /// A call that changes something, in the order of a run.
    package enum Call: Hashable, Sendable, CustomStringConvertible {
        case write(String, Int)
        /// The first bytes of a write, of so many: where a process may be killed.
        case partOfWrite(String, Int, of: Int)
        case truncate(String, Int)
        case sync(String)
        case create(String)
        case setAccess(String)
        case makeDirectory(String)
        case rename(String, String)
        case link(String, String)
        case remove(String)
        case syncDirectory(String)

        package var description: String {
            switch self {
            case .write(let name, let count): "write \(name) \(count)"
            case .partOfWrite(let name, let part, let count): "write \(name) \(part) of \(count)"
            case .truncate(let name, let size): "truncate \(name) \(size)"
            case .sync(let name): "sync \(name)"
            case .create(let name): "create \(name)"
            case .setAccess(let name): "set access of \(name)"
            case .makeDirectory(let name): "mkdir \(name)"
            case .rename(let old, let new): "rename \(old) \(new)"
            case .link(let old, let new): "link \(old) \(new)"
            case .remove(let name): "remove \(name)"
            case .syncDirectory(let name): "sync directory \(name)"
            }
        }
    }

    /// What a call does instead of succeeding.
    package enum Fault: Hashable, Sendable {
        /// Nothing happens but the error.
        case fails(Errno)
        /// A write of only so many bytes succeeds; the rest fails when it is tried.
        case short(Int)
        /// A sync fails and the pages are marked clean.
        case syncLosesPages
    }

    /// What a read does instead of succeeding.
    package enum ReadFault: Hashable, Sendable {
        /// Nothing happens but the error.
        case fails(Errno)
        /// One bit of what was read, counted from its beginning and around its end, is wrong.
        case flips(bit: Int)
    }

    private struct Inner: Sendable {
        var state: SimulatedState
        var calls: [Call] = []
        var faults: [Int: Fault] = [:]
        var reads = 0
        var readFaults: [Int: ReadFault] = [:]
        var locks = Set<SimulatedState.InodeNumber>()
    }

    private let inner: Monitor<Inner>
    private let observer: (@Sendable (SimulatedState, Call) -> Void)?
    /// Within a write the observer is shown so many of its parts at most.
    private let partsOfWrites: Int

    /// - Parameter observer: is shown the state before each call that changes something, after
    ///   all earlier ones, and in the midst of a write. Called on the thread that makes the call.
    package init(
        _ state: SimulatedState = SimulatedState(), partsOfWrites: Int = 3,
        observer: (@Sendable (SimulatedState, Call) -> Void)? = nil
    ) {
        inner = Monitor(Inner(state: state))
        self.partsOfWrites = partsOfWrites
        self.observer = observer
    }

    package var state: SimulatedState { inner.withLock { $0.state } }
    package var calls: [Call] { inner.withLock { $0.calls } }

    /// Has the n-th changing call (0 is the first) end otherwise.
    package func inject(_ fault: Fault, at call: Int) {
        inner.withLock { $0.faults[call] = fault }
    }

    /// How many reads there were.
    package var reads: Int { inner.withLock { $0.reads } }

    /// Has the n-th read (0 is the first) end otherwise.
    package func inject(_ fault: ReadFault, atRead read: Int) {
        inner.withLock { $0.readFaults[read] = fault }
    }

    /// The process that had files open and locks is killed, or the power is cut, which leaves
    /// `state`.
    package func endProcess(leaving state: SimulatedState? = nil) {
        inner.withLock { inner in
            inner.locks = []
            if let state { inner.state = state }
        }
    }

    func perform<R>(
        _ call: Call, _ path: FilePath, _ operation: DiskError.Operation,
        _ body: (inout SimulatedState) -> Result<R, Errno>
    ) throws(DiskError) -> R {
        if let observer { observer(inner.withLock { $0.state }, call) }
        let result = inner.withLock { inner -> Result<R, Errno> in
            let fault = inner.faults[inner.calls.count]
            inner.calls.append(call)
            if case .fails(let errno)? = fault { return .failure(errno) }
            return body(&inner.state)
        }
        switch result {
        case .success(let value): return value
        case .failure(let errno):
            throw DiskError(operation: operation, path: path, errno: errno)
        }
    }

    /// A process may be killed in the middle of a write: the cache then has its first bytes.
    func showPartialWrites(_ bytes: [UInt8], _ inode: UInt64, _ offset: Int, _ name: String) {
        guard let observer, bytes.count > 1 else { return }
        let places = bytes.count - 1
        let parts = min(places, partsOfWrites)
        for part in 0..<parts {
            // The first byte, all but the last, and as many as are asked for evenly between.
            let count = parts == 1 ? places : 1 + part * (places - 1) / (parts - 1)
            var partly = inner.withLock { $0.state }
            partly.write(Array(bytes.prefix(count)), to: inode, at: offset)
            observer(partly, .partOfWrite(name, count, of: bytes.count))
        }
    }

    func fault() -> Fault? { inner.withLock { $0.faults[$0.calls.count] } }

    func nextReadFault() -> ReadFault? {
        inner.withLock { inner in
            defer { inner.reads += 1 }
            return inner.readFaults[inner.reads]
        }
    }

    func read<R: Sendable>(_ body: (SimulatedState) -> R) -> R {
        inner.withLock { body($0.state) }
    }

    package func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
        let found = read { $0.resolve(path) }
        if let found {
            guard mode != .createNew, mode != .createPrivate else {
                throw DiskError(operation: .open, path: path, errno: .fileExists)
            }
            guard read({ $0.file(found) != nil }) else {
                throw DiskError(operation: .open, path: path, errno: .isDirectory)
            }
            return SimulatedFile(self, found, path)
        }
        guard mode != .read, mode != .readWrite, let (parent, name) = read({ $0.parent(path) })
        else {
            throw DiskError(operation: .open, path: path, errno: .noSuchFileOrDirectory)
        }
        let inode = try perform(.create(name), path, .open) { (state) -> Result<UInt64, Errno> in
            let inode = state.nextInode
            state.nextInode += 1
            var file = SimulatedState.File()
            if mode == .createPrivate { file.access.permissions = 0o600 }
            state.inodes[inode] = .file(file)
            state.change(parent, .add(name, inode))
            return .success(inode)
        }
        return SimulatedFile(self, inode, path)
    }

    package func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry] {
        let entries = read { state -> [DirectoryEntry]? in
            guard let inode = state.resolve(directory), let found = state.directory(inode) else {
                return nil
            }
            return found.cached.sorted { $0.key < $1.key }.compactMap { name, inode in
                guard let component = FilePath.Component(name) else { return nil }
                return DirectoryEntry(
                    name: component, kind: state.directory(inode) == nil ? .file : .directory)
            }
        }
        guard let entries else {
            throw DiskError(operation: .list, path: directory, errno: .noSuchFileOrDirectory)
        }
        return entries
    }

    package func status(_ path: FilePath) throws(DiskError) -> FileStatus? {
        read { state in state.resolve(path).map { SimulatedDisk.status(state, $0) } }
    }

    static func status(_ state: SimulatedState, _ inode: UInt64) -> FileStatus {
        let file = state.file(inode)
        return FileStatus(
            kind: file == nil ? .directory : .file, size: UInt64(file?.cached.count ?? 0),
            device: 1, inode: inode, modified: file?.modified ?? 0, changed: file?.modified ?? 0,
            access: file?.access ?? SimulatedState.directoryAccess)
    }

    package func makeDirectory(_ path: FilePath) throws(DiskError) {
        guard let (parent, name) = read({ $0.parent(path) }) else {
            throw DiskError(operation: .makeDirectory, path: path, errno: .noSuchFileOrDirectory)
        }
        try perform(.makeDirectory(name), path, .makeDirectory) { (state) -> Result<Void, Errno> in
            if state.resolve(path) != nil { return .failure(.fileExists) }
            state.inodes[state.nextInode] = .directory(.init())
            state.change(parent, .add(name, state.nextInode))
            state.nextInode += 1
            return .success(())
        }
    }

    package func rename(_ old: FilePath, to new: FilePath) throws(DiskError) {
        guard let (parent, from) = read({ $0.parent(old) }),
            let (target, to) = read({ $0.parent(new) }), parent == target
        else { throw DiskError(operation: .rename, path: old, errno: .noSuchFileOrDirectory) }
        try perform(.rename(from, to), old, .rename) { (state) -> Result<Void, Errno> in
            guard let inode = state.resolve(old) else { return .failure(.noSuchFileOrDirectory) }
            state.change(parent, .rename(from, to, inode))
            return .success(())
        }
    }

    package func link(_ existing: FilePath, to new: FilePath) throws(DiskError) {
        guard let (target, to) = read({ $0.parent(new) }) else {
            throw DiskError(operation: .link, path: new, errno: .noSuchFileOrDirectory)
        }
        try perform(.link(existing.string, to), existing, .link) { (state) -> Result<Void, Errno> in
            guard let inode = state.resolve(existing) else {
                return .failure(.noSuchFileOrDirectory)
            }
            if state.resolve(new) != nil { return .failure(.fileExists) }
            state.change(target, .add(to, inode))
            return .success(())
        }
    }

    /// All directories are the system's, and stay so.
    package func setAccess(
        _ access: FileAccess, ofDirectory path: FilePath
    ) throws(DiskError) {
        let name = path.lastComponent?.string ?? "/"
        try perform(.setAccess(name), path, .changeAccess) { (state) -> Result<Void, Errno> in
            state.resolve(path) == nil ? .failure(.noSuchFileOrDirectory) : .success(())
        }
    }

    package func remove(_ path: FilePath) throws(DiskError) {
        guard let (parent, name) = read({ $0.parent(path) }) else {
            throw DiskError(operation: .remove, path: path, errno: .noSuchFileOrDirectory)
        }
        try perform(.remove(name), path, .remove) { (state) -> Result<Void, Errno> in
            guard state.resolve(path) != nil else { return .failure(.noSuchFileOrDirectory) }
            state.change(parent, .remove(name))
            return .success(())
        }
    }

    package func syncDirectory(_ path: FilePath) throws(DiskError) {
        try perform(.syncDirectory(path.lastComponent?.string ?? "/"), path, .syncDirectory) {
            (state) -> Result<Void, Errno> in
            guard let inode = state.resolve(path) else { return .failure(.noSuchFileOrDirectory) }
            state.syncDirectory(inode)
            return .success(())
        }
    }

    package func lock(_ path: FilePath) throws(DiskError) -> any DiskLock {
        guard let inode = read({ $0.resolve(path) }) else {
            throw DiskError(operation: .lock, path: path, errno: .noSuchFileOrDirectory)
        }
        guard inner.withLock({ $0.locks.insert(inode).inserted }) else {
            throw DiskError(operation: .lock, path: path, errno: .wouldBlock)
        }
        return SimulatedLock(self, inode)
    }

    fileprivate func unlock(_ inode: UInt64) { _ = inner.withLock { $0.locks.remove(inode) } }

    package func lockHolder(_ path: FilePath) -> LockHolder? { nil }
}

private final class SimulatedLock: DiskLock {
    private let disk: SimulatedDisk
    private let inode: UInt64
    private let isHeld = Monitor(true)

    init(_ disk: SimulatedDisk, _ inode: UInt64) {
        self.disk = disk
        self.inode = inode
    }

    func release() {
        let held = isHeld.withLock { held in
            defer { held = false }
            return held
        }
        if held { disk.unlock(inode) }
    }
}
