// One of the two files of this module that the compiler cannot check (the other is Bytes.swift):
// the system calls, the two pthread primitives, and a task that waits. One wrapper per call, named
// after it; EINTR is retried here and nowhere else; errno is read before anything can change it.

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
    static func open(_ path: FilePath, _ flags: Int32) -> Result<Int32, Errno> {
        unsafe path.withPlatformString { name in
            retrying { unsafe Glibc.open(name, flags | O_CLOEXEC, 0o644) }
        }
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

    /// ftruncate(2)
    static func ftruncate(_ descriptor: Int32, _ size: UInt64) -> Result<Int32, Errno> {
        retrying { Glibc.ftruncate(descriptor, off_t(size)) }
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

    /// flock(2): gives the lock up at once, though a child that another thread has just forked still
    /// holds the same open file.
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

    /// The kind of an entry, or of what a link leads to; file systems may leave d_type unknown, then
    /// stat(2) has to tell, too.
    private static func kind(_ type: UInt8, _ path: FilePath) -> DirectoryEntry.Kind {
        switch Int(type) {
        case Int(DT_REG): .file
        case Int(DT_DIR): .directory
        case Int(DT_UNKNOWN), Int(DT_LNK): (try? statusOf(path).get().kind) ?? .other
        default: .other
        }
    }

    /// clock_gettime(2) of CLOCK_REALTIME, nanoseconds since 1970.
    static func realtime() -> UInt64 { clock(CLOCK_REALTIME) }

    /// clock_gettime(2) of CLOCK_MONOTONIC, nanoseconds.
    static func monotonic() -> UInt64 { clock(CLOCK_MONOTONIC) }

    private static func clock(_ id: clockid_t) -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(id, &time)
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
            changed: FileStatus.nanoseconds(status.st_ctim))
    }

    /// Only ever compared with another one: a date before 1678 or behind 2262, which anybody may give
    /// a file and some file systems keep, wraps around.
    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}

/// A value with a lock and a condition. A plain pthread mutex: `Synchronization.Mutex` collapses
/// when more threads want it than there are cores, and has no condition to wait for.
///
/// Nothing may block while it is held but `wait`, which lets go of it. Unchecked: the
/// value is touched with the mutex held, and nowhere else.
@safe package final class Monitor<Value>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var value: Value

    package init(_ value: sending Value) {
        self.value = value
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        var kind = pthread_mutexattr_t()
        unsafe pthread_mutexattr_init(&kind)
        // What is done under a lock takes less than a microsecond, mostly; to sleep and be woken
        // takes ten. So a thread looks a while whether the lock is given up before it sleeps.
        unsafe pthread_mutexattr_settype(&kind, Int32(PTHREAD_MUTEX_ADAPTIVE_NP))
        unsafe pthread_mutex_init(mutex, &kind)
        unsafe pthread_mutexattr_destroy(&kind)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        // Deadlines are monotonic: setting the wall clock must neither stall nor wake anybody.
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Runs `body` with the value, alone.
    package func withLock<R, E: Error>(
        _ body: (inout Value) throws(E) -> sending R
    ) throws(E) -> sending R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body(&value)
    }

    /// Waits until `ready` gives a result; nil if `deadline` (monotonic nanoseconds) passes first.
    /// `ready` may move the deadline, since it is asked for again after each wake.
    package func wait<R>(
        deadline: (borrowing Value) -> UInt64?, until ready: (inout Value) -> R?
    ) -> R? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while true {
            if let result = ready(&value) { return result }
            guard let limit = deadline(value) else {
                unsafe pthread_cond_wait(condition, mutex)
                continue
            }
            var time = timespec(
                tv_sec: Int(limit / 1_000_000_000), tv_nsec: Int(limit % 1_000_000_000))
            if unsafe pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT {
                return ready(&value)
            }
        }
    }

    /// Waits until `ready` gives a result.
    package func wait<R>(until ready: (inout Value) -> R?) -> R {
        while true {
            if let result = wait(deadline: { _ in nil }, until: ready) { return result }
        }
    }

    /// Wakes one thread that waits.
    package func signal() { unsafe pthread_cond_signal(condition) }

    /// Wakes all threads that wait.
    package func broadcast() { unsafe pthread_cond_broadcast(condition) }
}

/// A plain thread that somebody owns and joins. Work that blocks on a disk runs on these and never
/// on the cooperative pool, which has only as many threads as the machine has cores. Unchecked, since the system's handle of a
/// thread is a plain pointer: it does not change.
package final class OwnedThread: @unchecked Sendable {
    private let handle: pthread_t
    private let joined = Monitor(false)

    private final class Start {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts a thread.
    package init(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let start = unsafe Unmanaged.passRetained(Start(body))
        let failure = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                start.body()
                return nil
            }, unsafe start.toOpaque())
        // Threads are made once, at start; a machine that has none left cannot run a log.
        precondition(failure == 0, "pthread_create: \(Errno(rawValue: failure))")
        handle = thread
    }

    /// Waits until the thread has ended. Only the first call does.
    package func join() {
        let first = joined.withLock { done in
            defer { done = true }
            return !done
        }
        if first { pthread_join(handle, nil) }
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
