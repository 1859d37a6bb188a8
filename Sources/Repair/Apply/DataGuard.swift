internal import DataDirectory
internal import SystemPackage
internal import WAL

/// Holds the locks under which a repair works.
final class DataGuard {
    private let disk: any Disk
    private let lockFile: FilePath?
    private var lock: (any DiskLock)?

    /// - Parameter data: the data directory; nil for a log that is in none.
    init(_ data: FilePath?, on disk: any Disk) {
        self.disk = disk
        lockFile = data.map { $0.appending(DataLayout.lockName) }
    }

    deinit { lock?.release() }

    /// Takes DATA/LOCK if it is there. Nothing is written, its content neither.
    func takeIfThere() throws(RepairError) {
        guard let lockFile, lock == nil else { return }
        do throws(DiskError) {
            guard try disk.status(lockFile) != nil else { return }
        } catch { throw .io(error) }
        lock = try DataGuard.take(lockFile, on: disk)
    }

    /// Takes it, and makes the file if it is missing: from here on something is written.
    func take() throws(RepairError) {
        guard let lockFile, lock == nil else { return }
        do throws(DiskError) {
            try DataLock.open(lockFile, on: disk).close()
        } catch { throw .io(error) }
        lock = try DataGuard.take(lockFile, on: disk)
    }

    static func take(_ path: FilePath, on disk: any Disk) throws(RepairError) -> any DiskLock {
        do throws(DiskError) {
            return try disk.lock(path)
        } catch {
            guard error.operation == .lock, error.errno == .wouldBlock else { throw .io(error) }
            throw .inUse(path, disk.lockHolder(path))
        }
    }
}
