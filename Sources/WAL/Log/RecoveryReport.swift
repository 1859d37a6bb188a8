public import SystemPackage

/// What opening found and did.
public struct RecoveryReport: Hashable, Sendable {
    /// How the log ended.
    public enum Tail: Hashable, Sendable {
        /// With its last frame.
        case clean
        /// In preallocated space.
        case zeros(bytes: UInt64)
        /// In an unfinished commit: `bytes` were copied to `keptIn` and cut off. None of them was
        /// acknowledged.
        case torn(bytes: UInt64, keptIn: FilePath, reason: String)
        /// In a segment whose making was not finished; it was made anew and had held nothing.
        case unfinishedSegment
    }

    /// How it ended.
    public let tail: Tail
    /// Whether there was no log before.
    public let isNew: Bool
    /// The ids in the log; empty if there is no message.
    public let ids: Range<MessageID>
    /// How many bytes were read and checked.
    public let bytesChecked: UInt64
    /// How many bytes at the end were written again, since nothing proved them durable.
    public let bytesRewritten: UInt64
}
