internal import WAL

/// Which frames are asked for.
package struct FrameFilter: Sendable {
    /// The lowest and the highest id; nil for no limit.
    package var fromID: UInt64?
    package var toID: UInt64?
    /// The earliest and the latest time, nanoseconds since 1970; nil for no limit.
    package var since: UInt64?
    package var until: UInt64?
    /// The key; nil for any, or none.
    package var key: [UInt8]?
    /// Whether marks are shown.
    package var marks = false

    package init() {}

    /// Whether every message is asked for: only then are remarks about single frames told.
    package var isOpen: Bool {
        fromID == nil && toID == nil && since == nil && until == nil && key == nil
    }

    @inline(__always)
    package func admits(_ frame: FrameFacts, _ bytes: RawSpan) -> Bool {
        if case .mark = frame.role, !marks { return false }
        return isOpen || admitsSome(frame, bytes)
    }

    private func admitsSome(_ frame: FrameFacts, _ bytes: RawSpan) -> Bool {
        if let since, frame.timestamp < since { return false }
        if let until, frame.timestamp > until { return false }
        if let toID, frame.id > toID { return false }
        if let fromID, lastID(frame) < fromID { return false }
        guard let key else { return true }
        // Only messages have keys: with one asked for, nothing else is.
        guard case .message = frame.role, let range = frame.key, range.count == key.count else {
            return false
        }
        return bytes.extracting(range).hasSameBytes(as: RawSpan(of: key))
    }

    /// A lost frame stands for a range of ids.
    private func lastID(_ frame: FrameFacts) -> UInt64 {
        if case .lost = frame.role { return frame.nextID - 1 }
        return frame.id
    }
}
