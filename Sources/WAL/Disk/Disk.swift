public import SystemPackage

/// A system call that failed: which one, on what, and why.
///
/// An I/O error is never a verdict about a log: it says that nothing could be decided.
public struct DiskError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was being done.
    public enum Operation: String, Hashable, Sendable {
        /// open(2)
        case open
        /// pread(2)
        case read
        /// pwrite(2)
        case write
        /// fdatasync(2) or fsync(2) of a file
        case sync
        /// ftruncate(2)
        case truncate
        /// rename(2)
        case rename
        /// link(2)
        case link
        /// fchown(2) or fchmod(2)
        case changeAccess = "change owner and mode of"
        /// unlink(2) or rmdir(2)
        case remove
        /// opendir(3) and readdir(3)
        case list
        /// stat(2)
        case status
        /// mkdir(2)
        case makeDirectory = "make directory"
        /// fsync(2) of a directory
        case syncDirectory = "sync directory"
        /// flock(2)
        case lock
        /// close(2)
        case close
    }

    /// The call that failed.
    public let operation: Operation
    /// The file or directory it was made on.
    public let path: FilePath
    /// The error number it gave.
    public let errno: Errno

    /// Creates the value that describes one failed call.
    public init(operation: Operation, path: FilePath, errno: Errno) {
        self.operation = operation
        self.path = path
        self.errno = errno
    }

    /// One line for people that says what to do:
    /// `cannot open /data/LOCK: Permission denied; run this as a user who may, or change who may`.
    public var description: String {
        let verb = operation == .status ? "look at" : operation.rawValue
        return "cannot \(verb) \(path): \(errno)" + (advice.map { "; \($0)" } ?? "")
    }

    /// Whether the process or the system had no descriptor left: the call was not even begun.
    package var isOutOfDescriptors: Bool {
        errno == .tooManyOpenFiles || errno == .tooManyOpenFilesInSystem
    }

    /// Whether the disk is full, or the file or its owner may have no more of it.
    package var isOutOfSpace: Bool {
        errno == .noSpace || errno == .diskQuotaExceeded || errno == .fileTooLarge
    }
}

/// The one seam between the log and the outside: what it asks of a file system and nothing more.
/// It knows no format. Tests put a disk under the same code that lies, fails and loses power.
///
/// All calls block. Short reads and writes are allowed and dealt with above the seam.
package protocol Disk: Sendable {
    /// Opens a regular file.
    func open(_ path: FilePath, _ mode: FileMode) throws(DiskError) -> any DiskFile
    /// All entries of a directory but `.` and `..`, in no order.
    func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry]
    /// Where a path leads from the root on, without links, `.` and `..`: the process may go to
    /// another directory, and a link to another place. It has to exist.
    func resolve(_ path: FilePath) throws(DiskError) -> FilePath
    /// What is there, or nil if nothing is.
    func status(_ path: FilePath) throws(DiskError) -> FileStatus?
    /// Creates a directory; its parent has to be synced before anything relies on it.
    func makeDirectory(_ path: FilePath) throws(DiskError)
    /// Gives a file or directory another name, replacing what has it.
    func rename(_ old: FilePath, to new: FilePath) throws(DiskError)
    /// Gives a file a second name, which must be free.
    func link(_ existing: FilePath, to new: FilePath) throws(DiskError)
    /// `DiskFile.setAccess` for a directory.
    func setAccess(_ access: FileAccess, ofDirectory path: FilePath) throws(DiskError)
    /// Removes a file's name or an empty directory.
    func remove(_ path: FilePath) throws(DiskError)
    /// Makes the names in a directory durable.
    func syncDirectory(_ path: FilePath) throws(DiskError)
    /// Takes the exclusive lock of a file or directory, without waiting: `wouldBlock` if held.
    func lock(_ path: FilePath) throws(DiskError) -> any DiskLock
    /// The process that holds the lock of `path`, as far as the system tells.
    func lockHolder(_ path: FilePath) -> LockHolder?
}

extension Disk {
    /// A disk without links on which no process goes anywhere.
    package func resolve(_ path: FilePath) throws(DiskError) -> FilePath { path }
}

/// An open file. Usable from several threads at once, but for `close`.
package protocol DiskFile: AnyObject, Sendable {
    /// Where it was opened.
    var path: FilePath { get }
    /// Size in bytes, identity and times.
    func status() throws(DiskError) -> FileStatus
    /// Appends at most `limit` bytes found at `offset` to `buffer`; 0 means the end of the file.
    func read(
        at offset: UInt64, upTo limit: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int
    /// Writes some or all of `bytes` at `offset` and tells how many.
    func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) -> Int
    /// Has the system begin to write out what was written in `range`, where it can: nothing is
    /// forced by it. An error is that of a sync that failed: the pages may be gone, and a later
    /// sync succeed.
    func startWriting(_ range: Range<UInt64>) throws(DiskError)
    /// Cuts or extends the file.
    func truncate(to size: UInt64) throws(DiskError)
    /// Gives it to another owner and group and sets its mode. Where this process may not give a
    /// file away, as an ordinary user's may not, it stays whose it is, and that is no error.
    func setAccess(_ access: FileAccess) throws(DiskError)
    /// fdatasync(2), or fsync(2) when `.everything` is asked for.
    func sync(_ extent: SyncExtent) throws(DiskError)
    /// Closes it; later calls fail. Closing again does nothing.
    func close()
}

/// A lock that is held until `release`, or until the process ends.
package protocol DiskLock: AnyObject, Sendable {
    /// Gives the lock up. Doing so again does nothing.
    func release()
}

/// How a file is opened.
package enum FileMode: Sendable {
    /// It must exist; nothing is changed.
    case read
    /// It must exist.
    case readWrite
    /// It may exist.
    case create
    /// It must not exist.
    case createNew
    /// The same, and nobody but its owner may open it.
    case createPrivate
}

/// How much `DiskFile.sync` covers.
package enum SyncExtent: Sendable {
    /// The bytes and whatever is needed to read them back (fdatasync).
    case data
    /// All metadata as well: used where a size shrinks or a file is new (fsync).
    case everything
}

/// A name in a directory.
package struct DirectoryEntry: Hashable, Sendable {
    package enum Kind: Sendable { case file, directory, other }
    package let name: FilePath.Component
    /// What it is, or what it leads to.
    package let kind: Kind
    /// It is a symbolic link: to rename something over it would not change what it leads to.
    package let isLink: Bool

    package init(name: FilePath.Component, kind: Kind, isLink: Bool = false) {
        self.name = name
        self.kind = kind
        self.isLink = isLink
    }
}

/// By what a file is told, whatever its name. The number alone is that of another file on another
/// device, where somebody mounts one.
package struct FileIdentity: Hashable, Sendable {
    private let device: UInt64
    private let inode: UInt64

    fileprivate init(_ status: FileStatus) {
        device = status.device
        inode = status.inode
    }
}

/// What stat(2) says. Times are nanoseconds since 1970.
package struct FileStatus: Hashable, Sendable {
    package let kind: DirectoryEntry.Kind
    package let size: UInt64
    package let device: UInt64
    package let inode: UInt64
    package let modified: Int64
    package let changed: Int64
    /// Nil where files have no owners: on a disk that is only read, or of a test.
    package let access: FileAccess?

    package var identity: FileIdentity { FileIdentity(self) }

    package init(
        kind: DirectoryEntry.Kind, size: UInt64, device: UInt64, inode: UInt64, modified: Int64,
        changed: Int64, access: FileAccess? = nil
    ) {
        self.kind = kind
        self.size = size
        self.device = device
        self.inode = inode
        self.modified = modified
        self.changed = changed
        self.access = access
    }
}

/// Who holds a lock.
package enum LockHolder: Hashable, Sendable {
    /// A process that this one can see.
    case process(Int32)
    /// Somebody, but the system does not say who (another pid namespace).
    case unknown

    /// That `path` is in use, and what to do: the same line for a log, a data directory and a
    /// repair.
    package static func complaint(_ path: FilePath, _ process: Int32?) -> String {
        let holder =
            process.map { "process \($0)" } ?? "another process (in another container, perhaps)"
        return "\(path) is in use by \(holder); stop that one first"
    }
}

extension DiskFile {
    /// On a disk that writes when it is told to force.
    package func startWriting(_ range: Range<UInt64>) throws(DiskError) {}

    /// Writes all of `bytes`: a short write goes on where it stopped, as POSIX allows it to stop
    /// anywhere (signal, quota, full disk); the next call then gives the reason.
    package func writeAll(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        var done = 0
        while done < bytes.byteCount {
            let rest = bytes.extracting(done..<bytes.byteCount)
            let written = try write(rest, at: offset + UInt64(done))
            // A write of 0 bytes would loop for ever; no file system gives it for a regular file.
            guard written > 0 else {
                throw DiskError(operation: .write, path: path, errno: .ioError)
            }
            if Mutant.shortWriteIgnored.isOn { return }
            done += written
        }
    }

    /// Writes all bytes of a buffer.
    package func writeAll(
        _ buffer: borrowing ByteBuffer, at offset: UInt64
    ) throws(DiskError) { try writeAll(buffer.bytes, at: offset) }

    /// Appends exactly `count` bytes at `offset` to `buffer`, fewer only where the file ends.
    package func readFully(
        at offset: UInt64, count: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int {
        var done = 0
        while done < count {
            let got = try read(at: offset + UInt64(done), upTo: count - done, into: &buffer)
            if got == 0 { break }
            done += got
        }
        return done
    }

    /// Whether every byte in `range` is there and zero. What a file that was cut meanwhile has no
    /// more is not zero: nobody has seen it.
    package func isZero(_ range: Range<UInt64>) throws(DiskError) -> Bool {
        // Mostly the first bytes tell: a log full of damage asks this at every damaged place.
        var piece: UInt64 = 512
        var buffer = ByteBuffer()
        var offset = range.lowerBound
        while offset < range.upperBound {
            buffer.reset()
            let count = Int(min(range.upperBound - offset, piece))
            piece = min(piece * 2, 256 << 10)
            guard try readFully(at: offset, count: count, into: &buffer) == count,
                buffer.bytes.isZero
            else { return false }
            offset += UInt64(count)
        }
        return true
    }
}
