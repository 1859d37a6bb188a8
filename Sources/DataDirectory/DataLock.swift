internal import Glibc
public import SystemPackage
public import WAL

/// Why the lock of a data directory was not taken.
public enum DataLockError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Somebody else holds it: the process with this id, or nil where the system does not say.
    case held(path: FilePath, processID: Int32?)
    /// It is no place for a data directory: it is part of one, or a log. Why, in words.
    case misplaced(path: FilePath, reason: String)
    /// A system call failed.
    case io(DiskError)

    /// One line for people that says what to do.
    public var description: String {
        switch self {
        case .held(let path, let processID): LockHolder.complaint(path, processID)
        case .misplaced(let path, let reason): "\(path) \(reason)"
        case .io(let error): error.description
        }
    }
}

/// The right to write below a data directory: flock(2) on DATA/LOCK. Given up by `release`, when
/// the last reference goes, or by the kernel when the process ends, however it ends.
public final class DataLock: Sendable {
    private let lock: any DiskLock

    private init(_ lock: any DiskLock) { self.lock = lock }

    /// Takes the lock without waiting. DATA has to exist; LOCK is created where it is missing and
    /// never removed, since two processes could then hold the lock of two files of that name.
    public static func acquire(_ layout: DataLayout) throws(DataLockError) -> DataLock {
        let path = layout.lockFile
        let disk = layout.storage.disk
        do {
            let file = try open(path, on: disk)
            defer { file.close() }
            let lock = try disk.lock(path)
            // For people who look into the file; nothing decides by it. So a full disk must not
            // keep a broker from starting, which could make room.
            try? writeProcessID(to: file)
            return DataLock(lock)
        } catch {
            guard error.operation == .lock, error.errno == .wouldBlock else { throw .io(error) }
            guard case .process(let holder)? = disk.lockHolder(path) else {
                throw .held(path: path, processID: nil)
            }
            throw .held(path: path, processID: holder)
        }
    }

    /// Opens LOCK, and makes it where it is missing, with the owner of the data directory: if this
    /// is root, the broker has to be able to open it all the same.
    package static func open(
        _ path: FilePath, on disk: any Disk
    ) throws(DiskError) -> any DiskFile {
        if try disk.status(path) == nil,
            var access = try disk.status(path.parentDirectory)?.access
        {
            access.permissions &= 0o644
            do {
                return try disk.make(path, like: access)
            } catch  where error.errno == .fileExists {
                // Somebody else has just made it.
            }
        }
        return try disk.open(path, .create)
    }

    /// Gives the lock up. Doing so again does nothing.
    public func release() { lock.release() }

    private static func writeProcessID(to file: any DiskFile) throws(DiskError) {
        try file.truncate(to: 0)
        var text = ByteBuffer()
        text.append("\(getpid())\n")
        try file.writeAll(text.bytes, at: 0)
    }
}
