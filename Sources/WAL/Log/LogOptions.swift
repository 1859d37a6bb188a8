public import SystemPackage

/// How a log behaves.
public struct LogOptions: Hashable, Sendable {
    /// The size at which a segment is sealed, in bytes; at least 4,096. A commit does not span
    /// segments and a frame is at most 4 MiB, so a segment with a single commit may be larger.
    public var segmentBytes: Int = 64 << 20
    /// How many bytes may wait for the disk before appends are refused or delayed; less than 8 MiB
    /// count as 8 MiB.
    public var pendingBytes: Int = 16 << 20
    /// The highest id that the caller knows durable from elsewhere, because a consumer has
    /// acknowledged it. A log that ends before it is damaged, however clean its last frame.
    public var knownDurable: MessageID?
    /// Whether the directory is created if it is missing (its parent must exist).
    public var createsDirectory = true
    /// The directories from the log's up to this one are forced on opening, since whoever made
    /// them may have been killed before. Nil stands for the log's parent.
    public var forcedUpTo: FilePath?

    /// The defaults.
    public init() {}
}
