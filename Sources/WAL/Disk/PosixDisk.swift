internal import Glibc
package import SystemPackage
internal import Threads

/// The disk of the machine.
package struct PosixDisk: Disk {
    package init() {}

    package func open(_ path: FilePath, _ mode: FileMode) throws(DiskError) -> any DiskFile {
        let flags: Int32 =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .create: O_RDWR | O_CREAT
            case .createNew, .createPrivate: O_RDWR | O_CREAT | O_EXCL
            }
        // Without O_NONBLOCK the open of a pipe would wait for its other end; a regular file does
        // not care.
        let descriptor = try System.open(
            path, flags | O_NONBLOCK, permissions: mode == .createPrivate ? 0o600 : 0o644
        ).orThrow(.open, path)
        let file = PosixFile(descriptor: descriptor, path: path)
        switch try file.status().kind {
        case .file: return file
        case .directory: throw DiskError(operation: .open, path: path, errno: .isDirectory)
        case .other: throw DiskError(operation: .open, path: path, errno: .invalidArgument)
        }
    }

    package func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry] {
        try System.list(directory).orThrow(.list, directory)
    }

    package func resolve(_ path: FilePath) throws(DiskError) -> FilePath {
        try System.realpath(path).orThrow(.status, path)
    }

    package func status(_ path: FilePath) throws(DiskError) -> FileStatus? {
        switch System.statusOf(path) {
        case .success(let status): return status
        case .failure(.noSuchFileOrDirectory): return nil
        case .failure(let errno):
            throw DiskError(operation: .status, path: path, errno: errno)
        }
    }

    package func makeDirectory(_ path: FilePath) throws(DiskError) {
        _ = try System.mkdir(path).orThrow(.makeDirectory, path)
    }

    package func rename(_ old: FilePath, to new: FilePath) throws(DiskError) {
        _ = try System.rename(old, new).orThrow(.rename, old)
    }

    package func link(_ existing: FilePath, to new: FilePath) throws(DiskError) {
        _ = try System.link(existing, new).orThrow(.link, existing)
    }

    package func setAccess(
        _ access: FileAccess, ofDirectory path: FilePath
    ) throws(DiskError) {
        // Whoever may write to the directory above could have put a link there meanwhile.
        let descriptor = try System.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            .orThrow(.changeAccess, path)
        defer { System.close(descriptor) }
        try System.setAccess(descriptor, access).orThrow(.changeAccess, path)
    }

    package func remove(_ path: FilePath) throws(DiskError) {
        _ = try System.remove(path).orThrow(.remove, path)
    }

    package func syncDirectory(_ path: FilePath) throws(DiskError) {
        let descriptor = try System.open(path, O_RDONLY | O_DIRECTORY)
            .orThrow(.syncDirectory, path)
        defer { System.close(descriptor) }
        _ = try System.fsync(descriptor).orThrow(.syncDirectory, path)
    }

    package func lock(_ path: FilePath) throws(DiskError) -> any DiskLock {
        let descriptor = try System.open(path, O_RDONLY).orThrow(.lock, path)
        var result = System.flock(descriptor)
        // Given up in this moment: whoever is refused is to be told by whom.
        if case .failure(.wouldBlock) = result, isHeldByNobody(path) {
            result = System.flock(descriptor)
        }
        switch result {
        case .success: return PosixLock(descriptor)
        case .failure(let errno):
            System.close(descriptor)
            throw DiskError(operation: .lock, path: path, errno: errno)
        }
    }

    private func isHeldByNobody(_ path: FilePath) -> Bool {
        guard let locks = lockList() else { return false }
        return holder(of: path, in: locks) == nil
    }

    package func lockHolder(_ path: FilePath) -> LockHolder? {
        lockList().flatMap { holder(of: path, in: $0) }
    }

    /// What /proc/locks says; nil where it cannot be read.
    private func lockList() -> String? {
        guard let file = try? open("/proc/locks", .read) else { return nil }
        defer { file.close() }
        var buffer = ByteBuffer()
        // A file of /proc has no size: it is read until it ends.
        while let got = try? file.read(at: UInt64(buffer.count), upTo: 65_536, into: &buffer),
            got > 0
        {}
        return String(decoding: buffer.bytes.copied(), as: UTF8.self)
    }

    /// flock(2) itself does not say who holds a lock; /proc/locks does, by device and inode:
    /// `2: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`.
    private func holder(of path: FilePath, in locks: String) -> LockHolder? {
        guard let status = try? System.statusOf(path).get() else { return nil }
        let device = System.deviceName(status.device)
        let key = [
            hexadecimal(device.major), hexadecimal(device.minor), String(status.inode),
        ].joined(separator: ":")
        for line in locks.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 6, fields.contains("FLOCK"), fields.contains(Substring(key)),
                !fields.contains("->")
            else { continue }
            let holder = fields.firstIndex(of: Substring(key)).flatMap { Int32(fields[$0 - 1]) }
            if let holder, holder > 0 { return .process(holder) }
            return .unknown
        }
        return nil
    }

    /// Two digits at least, as the kernel prints `%02x`.
    private func hexadecimal(_ number: UInt32) -> String {
        let digits = String(number, radix: 16)
        return digits.count < 2 ? "0" + digits : digits
    }
}

extension FilePath {
    /// Without symbolic links, `.` and `..`; nil where there is nothing. realpath(3)
    package var resolvingLinks: FilePath? { try? System.realpath(self).get() }
}

extension System {
    /// fchown(2) and fchmod(2), as far as they are allowed and something is to be changed.
    fileprivate static func setAccess(
        _ descriptor: Int32, _ access: FileAccess
    ) -> Result<Void, Errno> {
        do throws(Errno) {
            var now = try fstat(descriptor).get().access
            if now?.owner != access.owner || now?.group != access.group {
                switch fchown(descriptor, access.owner, access.group) {
                case .success: break
                case .failure(.notPermitted), .failure(.invalidArgument):
                    // Who is not root, or root without the capability or in a namespace that does
                    // not know the owner, can make no files but his own, and works only where he
                    // may write anyway. A group that he is in he can give.
                    _ = keepingOwner(descriptor, group: access.group)
                case .failure(let errno): throw errno
                }
                now = try fstat(descriptor).get().access
            }
            var permissions = access.permissions
            if now?.group != access.group {
                // What one group may is not for another one: no more than for everybody.
                permissions &= ~0o070 | (permissions & 0o007) << 3
            }
            // Last: fchown(2) takes bits away.
            if now?.permissions != permissions { _ = try fchmod(descriptor, permissions).get() }
            return .success(())
        } catch { return .failure(error) }
    }
}

extension Result where Failure == Errno {
    fileprivate func orThrow(
        _ operation: DiskError.Operation, _ path: FilePath
    ) throws(DiskError) -> Success {
        switch self {
        case .success(let value): return value
        case .failure(let errno):
            throw DiskError(operation: operation, path: path, errno: errno)
        }
    }
}

/// A descriptor with one owner. The last reference closes it, but `close` says when.
private final class PosixFile: DiskFile {
    let path: FilePath
    private let descriptor: Int32
    private let isClosed = Monitor(false)

    init(descriptor: Int32, path: FilePath) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close() }

    func status() throws(DiskError) -> FileStatus {
        try System.fstat(descriptor).orThrow(.status, path)
    }

    func read(
        at offset: UInt64, upTo limit: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int {
        do {
            return try System.pread(descriptor, into: &buffer, upTo: limit, at: offset)
        } catch {
            throw DiskError(operation: .read, path: path, errno: error)
        }
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) -> Int {
        try System.pwrite(descriptor, bytes, offset).orThrow(.write, path)
    }

    func startWriting(_ range: Range<UInt64>) throws(DiskError) {
        switch System.syncFileRange(descriptor, range) {
        case .success: break
        // Not there, not allowed, or not for this file system: the sync does all of it.
        case .failure(.noFunction), .failure(.notPermitted), .failure(.permissionDenied),
            .failure(.invalidArgument), .failure(.illegalSeek), .failure(.notSupported):
            break
        case .failure(let errno): throw DiskError(operation: .sync, path: path, errno: errno)
        }
    }

    func truncate(to size: UInt64) throws(DiskError) {
        _ = try System.ftruncate(descriptor, size).orThrow(.truncate, path)
    }

    func setAccess(_ access: FileAccess) throws(DiskError) {
        try System.setAccess(descriptor, access).orThrow(.changeAccess, path)
    }

    func sync(_ extent: SyncExtent) throws(DiskError) {
        switch extent {
        case .data: _ = try System.fdatasync(descriptor).orThrow(.sync, path)
        case .everything: _ = try System.fsync(descriptor).orThrow(.sync, path)
        }
    }

    func close() {
        let wasOpen = isClosed.withLock { closed in
            defer { closed = true }
            return !closed
        }
        if wasOpen { System.close(descriptor) }
    }
}

/// The descriptor that carries a flock(2); closing it gives the lock up.
private final class PosixLock: DiskLock {
    private let descriptor: Monitor<Int32?>

    init(_ descriptor: Int32) { self.descriptor = Monitor(descriptor) }

    deinit { release() }

    func release() {
        guard let held = descriptor.withLock({ $0.take() }) else { return }
        System.unlock(held)
        System.close(held)
    }
}
