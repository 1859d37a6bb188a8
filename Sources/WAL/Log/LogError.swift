public import SystemPackage

/// Why an open log did not do what was asked.
public enum LogError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The log is closed or closing. Nothing was appended.
    case closed
    /// A sync failed, or what a failed write left could not be removed: nothing more is appended
    /// until the log has been closed and opened again. Whether the append is on the disk is not
    /// known; it has not been shown to any reader.
    case poisoned(DiskError)
    /// The write failed and left nothing behind: no space, quota, an I/O error, or no descriptor
    /// for a log that had given its own up (see `LogHost.Options.openLogs`). Nothing was appended,
    /// and later appends work when the cause is gone.
    case notWritten(DiskError)
    /// The message is larger than a frame may be, or a key or header has an impossible length.
    case invalidMessage
    /// The log has given out every id that there is, or has not as many left as were asked for.
    case idsUsedUp
    /// With this append more would wait for the disk than `LogOptions.pendingBytes`, or than
    /// `LogHost.Options.pendingBytes` in all logs of the host: so many do already. Try again later.
    case overloaded(pendingBytes: Int)
    /// Reading failed, or removing a segment: an I/O error, never a verdict about the log.
    case unreadable(DiskError)
    /// A durable frame is not there any more: the file was changed behind the log's back, or the
    /// disk has lost it. Run `toymq-fsck` on the directory.
    case damaged(segment: FilePath, offset: UInt64)
    /// While the log was idle and held no descriptor, another process took the directory or
    /// changed it; or the directory, or the segment that is appended to, was moved or removed and
    /// is not at its path any more. The log looks for that when it gets its idle mark, when it is
    /// closed, and before a commit if it has not for a second: what was acknowledged within that
    /// second went where the file is. Nothing more is appended until the log has been closed and
    /// opened again.
    case takenOver(FilePath)

    /// One line for people that says what to do.
    public var description: String {
        switch self {
        case .closed: "the log is closed"
        case .poisoned(let error):
            "\(error); nothing more is appended to this log until it is opened again"
        case .notWritten(let error): "\(error); nothing was appended, try again when it is mended"
        case .invalidMessage:
            "the message does not fit a frame (4 MiB with its key and headers; a key or a "
                + "header's name has 1 to 65535 bytes)"
        case .idsUsedUp: "the log has no id left to give; go on in another one"
        case .overloaded(let bytes): "\(bytes) bytes wait for the disk already; try again later"
        case .unreadable(let error): "\(error)"
        case .damaged(let segment, let offset):
            "\(segment) is damaged at offset \(offset): a durable message is not there any more; "
                + "run `toymq-fsck \(segment.removingLastComponent())`"
        case .takenOver(let path):
            "\(path) was changed by another process while it was idle, or its segment is not there "
                + "any more; close the log and open it again where it is"
        }
    }
}

/// Why a log did not open. Nothing was changed, unless `io` says that a call failed midway; then
/// too every durable message is where it was.
public enum OpenError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A system call failed.
    case io(DiskError)
    /// Somebody has the log open; `process` is nil where the system does not say who.
    case inUse(directory: FilePath, process: Int32?)
    /// The path is not a directory.
    case notADirectory(FilePath)
    /// Something durable is gone or changed. Opening never repairs that.
    case damaged(Damage)
    /// A later version wrote to the log.
    case newer(segment: FilePath, offset: UInt64)

    /// One line for people that says what to do.
    public var description: String {
        switch self {
        case .io(let error): return "\(error)"
        case .inUse(let directory, let process): return LockHolder.complaint(directory, process)
        case .notADirectory(let path): return "\(path) is not a directory"
        case .damaged(let damage): return damage.description
        case .newer(let segment, let offset):
            return "\(segment) holds a frame of a later version at offset \(offset); "
                + "open it with that version"
        }
    }
}

/// What kept a log from opening: the first damaged place and how many there are.
public struct Damage: Hashable, Sendable, CustomStringConvertible {
    /// The segment file.
    public let segment: FilePath
    /// Where in the file, in bytes.
    public let offset: UInt64
    /// What is wrong there.
    public let reason: String
    /// The ids whose messages are gone, where they can be told.
    public let lost: ClosedRange<MessageID>?
    /// How many damaged places there are altogether.
    public let places: Int

    /// One line for people, with the command to run.
    public var description: String {
        "\(segment) is damaged at offset \(offset): \(reason); "
            + "run `toymq-fsck \(segment.removingLastComponent())` for "
            + (places > 1 ? "all \(places) findings" : "more")
    }
}
