package import WAL

/// A valid frame of either dialect, taken apart. The ranges count from its first byte.
package struct FrameFacts: Hashable, Sendable {
    /// What the frame is.
    package enum Role: Hashable, Sendable {
        case message
        /// It takes no id: its id is that of the next message.
        case mark
        /// It stands for so many ids whose messages are gone.
        case lost(UInt64)
    }

    /// Where it begins in its file, in bytes.
    package var offset: UInt64
    /// Bytes of the whole frame.
    package var length: Int
    package var id: UInt64
    /// Nil for a Go frame, which has none.
    package var position: UInt64?
    /// Nanoseconds since 1970-01-01 UTC.
    package var timestamp: UInt64
    /// The first id of its commit, below which everything was durable; nil for a Go frame.
    package var commit: UInt64?
    package var role: Role
    package var key: Range<Int>?
    /// From the count to the last value.
    package var headers: Range<Int>?
    package var payload: Range<Int>
    /// Not delivered before, nanoseconds since 1970-01-01 UTC; nil where there is none.
    package var visibleAt: UInt64?
    package var crc: UInt32

    /// A frame of ours.
    package init(_ frame: DecodedFrame, at offset: UInt64) {
        let fields = frame.fields
        self.offset = offset
        length = frame.bytes
        id = fields.id
        position = fields.position
        timestamp = fields.timestamp
        commit = fields.durableBelow
        role = if let lost = frame.lost { .lost(lost) } else { frame.isMark ? .mark : .message }
        key = frame.key
        headers = frame.headers
        payload = frame.payload
        crc = frame.crc
    }

    /// A frame of the Go program.
    package init(_ frame: GoFrame, at offset: UInt64) {
        self.offset = offset
        length = frame.frameBytes
        id = frame.id
        timestamp = frame.timestamp
        role = .message
        key = frame.key
        payload = frame.payload
        visibleAt = frame.visibleAt
        crc = frame.crc
    }

    /// Whether all ids that it takes are below `bound`; a mark is proved by the message that it
    /// announces.
    package func isBelow(_ bound: UInt64) -> Bool {
        if case .mark = role { return id < bound }
        return nextID <= bound
    }

    /// The id of the next message.
    package var nextID: UInt64 {
        switch role {
        case .message: id + 1
        case .mark: id
        case .lost(let count): id + count
        }
    }
}
