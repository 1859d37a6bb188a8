/// What a log has done since it was opened.
public struct LogStatistics: Hashable, Sendable {
    /// Commits, each with one sync.
    public internal(set) var commits: UInt64 = 0
    /// Frames committed.
    public internal(set) var messages: UInt64 = 0
    /// Bytes of those frames.
    public internal(set) var bytes: UInt64 = 0
}
