import SystemPackage
import Threads
import WAL
import WALTestSupport

/// A disk that writes down what is asked of it, and that stops at a chosen call: that one and all
/// after it fail, as they would for a process that was killed there.
final class RecordingDisk: WrappedDisk {
    /// The calls that change something, in order: `write offsets.json.tmp`.
    struct State {
        var calls: [String] = []
        var limit: Int?
        var failsOnce = false
    }

    let base: any Disk
    private let state = Monitor(State())

    init(_ base: any Disk = PosixDisk(), stoppingBefore call: Int? = nil, onlyOnce: Bool = false) {
        self.base = base
        state.withLock {
            $0.limit = call
            $0.failsOnce = onlyOnce
        }
    }

    var calls: [String] { state.withLock { $0.calls } }

    fileprivate func record(
        _ operation: DiskError.Operation, _ path: FilePath
    ) throws(DiskError) {
        let fails = state.withLock { state in
            let index = state.calls.count
            state.calls.append("\(operation.rawValue) \(path.lastComponent?.string ?? "/")")
            guard let limit = state.limit else { return false }
            return state.failsOnce ? index == limit : index >= limit
        }
        if fails { throw DiskError(operation: operation, path: path, errno: .ioError) }
    }

    func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
        if mode != .read { try record(.open, path) }
        return RecordedFile(try base.open(path, mode), self)
    }

    func makeDirectory(_ path: FilePath) throws(DiskError) {
        try record(.makeDirectory, path)
        try base.makeDirectory(path)
    }

    func rename(_ old: FilePath, to new: FilePath) throws(DiskError) {
        try record(.rename, old)
        try base.rename(old, to: new)
    }

    func link(_ existing: FilePath, to new: FilePath) throws(DiskError) {
        try record(.link, existing)
        try base.link(existing, to: new)
    }

    func remove(_ path: FilePath) throws(DiskError) {
        try record(.remove, path)
        try base.remove(path)
    }

    func syncDirectory(_ path: FilePath) throws(DiskError) {
        try record(.syncDirectory, path)
        try base.syncDirectory(path)
    }
}

private final class RecordedFile: DiskFile {
    private let base: any DiskFile
    private let disk: RecordingDisk
    var path: FilePath { base.path }

    init(_ base: any DiskFile, _ disk: RecordingDisk) {
        self.base = base
        self.disk = disk
    }

    func status() throws(DiskError) -> FileStatus { try base.status() }

    func read(
        at offset: UInt64, upTo limit: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int {
        try base.read(at: offset, upTo: limit, into: &buffer)
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) -> Int {
        try disk.record(.write, path)
        return try base.write(bytes, at: offset)
    }

    func truncate(to size: UInt64) throws(DiskError) {
        try disk.record(.truncate, path)
        try base.truncate(to: size)
    }

    func setAccess(_ access: FileAccess) throws(DiskError) {
        try disk.record(.changeAccess, path)
        try base.setAccess(access)
    }

    func sync(_ extent: SyncExtent) throws(DiskError) {
        try disk.record(.sync, path)
        try base.sync(extent)
    }

    func close() { base.close() }
}
