// One of the two files of this module that the compiler cannot check (the other is Bytes.swift):
// the system calls, and a task that waits. One wrapper per call, named
// after it; EINTR is retried here and nowhere else; errno is read before anything can change it.

internal import CLinux
internal import Glibc
internal import SystemPackage

// Inside `System` these two names would mean the C structures.
private func callFlock(_ descriptor: Int32, _ operation: Int32) -> Int32 {
    flock(descriptor, operation)
}
private func callStat(_ name: UnsafePointer<CChar>, _ status: inout stat) -> Int32 {
    unsafe stat(name, &status)
}

/// The system calls behind `PosixDisk`. Each documents the C function it stands for.
enum System {
    /// Runs `call` until it is not interrupted by a signal.
    private static func retrying<T: SignedInteger>(_ call: () -> T) -> Result<T, Errno> {
        while true {
            let result = call()
            if result != -1 { return .success(result) }
            let code = Errno(rawValue: errno)
            if code != .interrupted { return .failure(code) }
        }
    }

    /// open(2), always with O_CLOEXEC.
    static func open(
        _ path: FilePath, _ flags: Int32, permissions: mode_t = 0o644
    ) -> Result<Int32, Errno> {
        unsafe path.withPlatformString { name in
            retrying { unsafe Glibc.open(name, flags | O_CLOEXEC, permissions) }
        }
    }

    /// getrlimit(2): how many descriptors this process may have open; where that cannot be told,
    /// what is usual.
    static var descriptorLimit: Int {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return 1_024
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// close(2). Not retried: on Linux the descriptor is gone whatever it answers.
    static func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }

    /// pread(2)
    static func pread(
        _ descriptor: Int32, into buffer: inout ByteBuffer, upTo limit: Int, at offset: UInt64
    ) throws(Errno) -> Int {
        unsafe try buffer.append(upTo: limit) { (space) throws(Errno) in
            let got = retrying {
                unsafe Glibc.pread(descriptor, space.baseAddress, space.count, off_t(offset))
            }
            return try got.get()
        }
    }

    /// pwrite(2)
    static func pwrite(_ descriptor: Int32, _ bytes: RawSpan, _ offset: UInt64) -> Result<
        Int, Errno
    > {
        unsafe bytes.withUnsafeBytes { raw in
            retrying { unsafe Glibc.pwrite(descriptor, raw.baseAddress, raw.count, off_t(offset)) }
        }
    }

    /// sync_file_range(2) that only starts: it does not wait until the disk is done. An error of
    /// the disk is left to the next fdatasync(2), since only waiting would take note of it. But what
    /// it returns is told to nobody else: ext4 that finds no place for a page drops it.
    static func syncFileRange(_ descriptor: Int32, _ range: Range<UInt64>) -> Result<Int32, Errno> {
        retrying {
            sync_file_range(
                descriptor, linux_offset(range.lowerBound), linux_offset(range.count),
                linux_sync_file_range_write)
        }
    }

    /// ftruncate(2)
    static func ftruncate(_ descriptor: Int32, _ size: UInt64) -> Result<Int32, Errno> {
        retrying { Glibc.ftruncate(descriptor, off_t(size)) }
    }

    /// fchown(2)
    static func fchown(_ descriptor: Int32, _ owner: UInt32, _ group: UInt32) -> Result<
        Int32, Errno
    > {
        retrying { Glibc.fchown(descriptor, owner, group) }
    }

    /// fchown(2) with -1 for the owner: the group only.
    static func keepingOwner(_ descriptor: Int32, group: UInt32) -> Result<Int32, Errno> {
        retrying { Glibc.fchown(descriptor, .max, group) }
    }

    /// fchmod(2)
    static func fchmod(_ descriptor: Int32, _ permissions: UInt32) -> Result<Int32, Errno> {
        retrying { Glibc.fchmod(descriptor, permissions) }
    }

    /// fdatasync(2)
    static func fdatasync(_ descriptor: Int32) -> Result<Int32, Errno> {
        retrying { Glibc.fdatasync(descriptor) }
    }

    /// fsync(2)
    static func fsync(_ descriptor: Int32) -> Result<Int32, Errno> {
        retrying { Glibc.fsync(descriptor) }
    }

    /// flock(2), exclusive, not waiting.
    static func flock(_ descriptor: Int32) -> Result<Int32, Errno> {
        retrying { callFlock(descriptor, LOCK_EX | LOCK_NB) }
    }

    /// flock(2): gives the lock up at once, though a child that another thread has just forked
    /// still holds the same open file.
    static func unlock(_ descriptor: Int32) {
        _ = retrying { callFlock(descriptor, LOCK_UN) }
    }

    /// mkdir(2)
    static func mkdir(_ path: FilePath) -> Result<Int32, Errno> {
        unsafe path.withPlatformString { name in retrying { unsafe Glibc.mkdir(name, 0o755) } }
    }

    /// rename(2)
    static func rename(_ old: FilePath, _ new: FilePath) -> Result<Int32, Errno> {
        unsafe old.withPlatformString { from in
            unsafe new.withPlatformString { to in retrying { unsafe Glibc.rename(from, to) } }
        }
    }

    /// link(2)
    static func link(_ old: FilePath, _ new: FilePath) -> Result<Int32, Errno> {
        unsafe old.withPlatformString { from in
            unsafe new.withPlatformString { to in retrying { unsafe Glibc.link(from, to) } }
        }
    }

    /// remove(3): unlink(2) for a file, rmdir(2) for a directory.
    static func remove(_ path: FilePath) -> Result<Int32, Errno> {
        unsafe path.withPlatformString { name in retrying { unsafe Glibc.remove(name) } }
    }

    /// stat(2)
    static func statusOf(_ path: FilePath) -> Result<FileStatus, Errno> {
        var status = stat()
        let result = unsafe path.withPlatformString { name in
            retrying { unsafe callStat(name, &status) }
        }
        return result.map { _ in FileStatus(status) }
    }

    /// fstat(2)
    static func fstat(_ descriptor: Int32) -> Result<FileStatus, Errno> {
        var status = stat()
        let result = retrying { unsafe Glibc.fstat(descriptor, &status) }
        return result.map { _ in FileStatus(status) }
    }

    /// realpath(3)
    static func realpath(_ path: FilePath) -> Result<FilePath, Errno> {
        unsafe path.withPlatformString { name in
            guard let resolved = unsafe Glibc.realpath(name, nil) else {
                return .failure(Errno(rawValue: errno))
            }
            defer { unsafe free(resolved) }
            return unsafe .success(FilePath(platformString: resolved))
        }
    }

    /// opendir(3), readdir(3), closedir(3)
    static func list(_ path: FilePath) -> Result<[DirectoryEntry], Errno> {
        let (opened, number) = unsafe path.withPlatformString { unsafe (opendir($0), errno) }
        guard let stream = unsafe opened else { return .failure(Errno(rawValue: number)) }
        defer { unsafe closedir(stream) }
        var entries: [DirectoryEntry] = []
        while true {
            // readdir(3) answers NULL both at the end and on an error; only errno tells which.
            errno = 0
            guard let entry = unsafe readdir(stream) else {
                let code = errno
                return code == 0 ? .success(entries) : .failure(Errno(rawValue: code))
            }
            let (name, type) = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
                unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe (FilePath.Component(platformString: $0), entry.pointee.d_type)
                }
            }
            guard let name, name.kind == .regular else { continue }
            entries.append(
                DirectoryEntry(
                    name: name, kind: kind(type, path.appending(name)),
                    isLink: Int(type) == Int(DT_LNK)))
        }
    }

    /// The kind of an entry, or of what a link leads to; file systems may leave d_type unknown,
    /// then stat(2) has to tell, too.
    private static func kind(_ type: UInt8, _ path: FilePath) -> DirectoryEntry.Kind {
        switch Int(type) {
        case Int(DT_REG): .file
        case Int(DT_DIR): .directory
        case Int(DT_UNKNOWN), Int(DT_LNK): (try? statusOf(path).get().kind) ?? .other
        default: .other
        }
    }

    /// clock_gettime(2) of CLOCK_REALTIME, nanoseconds since 1970.
    static func realtime() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// The halves of a device number, as makedev(3) puts them together, for /proc/locks.
    static func deviceName(_ device: UInt64) -> (major: UInt32, minor: UInt32) {
        (
            UInt32(truncatingIfNeeded: (device >> 8 & 0xfff) | (device >> 32 & ~0xfff)),
            UInt32(truncatingIfNeeded: (device & 0xff) | (device >> 12 & ~0xff))
        )
    }
}

extension FileStatus {
    init(_ status: stat) {
        let kind: DirectoryEntry.Kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            default: .other
            }
        self.init(
            kind: kind, size: UInt64(max(status.st_size, 0)), device: UInt64(status.st_dev),
            inode: UInt64(status.st_ino),
            modified: FileStatus.nanoseconds(status.st_mtim),
            changed: FileStatus.nanoseconds(status.st_ctim),
            access: FileAccess(
                owner: status.st_uid, group: status.st_gid, permissions: status.st_mode))
    }

    /// Only ever compared with another one: a date before 1678 or behind 2262, which anybody may
    /// give a file and some file systems keep, wraps around.
    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}

/// A task that waits for one value. Checking that it is resumed exactly once costs as much as all
/// else at an append: whoever takes it resumes it, once.
@safe struct Suspension<Value: Sendable>: Sendable {
    private let continuation: UnsafeContinuation<Value, Never>

    func resume(_ value: Value) { unsafe continuation.resume(returning: value) }

    /// Suspends the calling task until what `body` was given is resumed.
    static func wait(_ body: (Suspension) -> Void) async -> Value {
        unsafe await withUnsafeContinuation { continuation in
            body(unsafe Suspension(continuation: continuation))
        }
    }
}
