internal import WAL

/// A frame as it was written once: its fields, and its bytes from the first to the last.
///
/// The corpus has an encoder of its own: it also writes what the log never would.
package struct WrittenFrame: Sendable {
    /// What it is to a reader that finds it whole.
    package enum Kind: Hashable, Sendable {
        case message
        /// Takes no id.
        case mark
        /// Stands for so many ids.
        case lost(UInt64)
        /// Has a presence bit of a later version.
        case newer
        /// Breaks a rule behind its checksum.
        case invalid
    }

    package let kind: Kind
    package let id: UInt64
    package let position: UInt64
    package let timestamp: UInt64
    package let commitIndex: UInt32
    package let bytes: [UInt8]

    package init(
        _ kind: Kind, id: UInt64, position: UInt64, timestamp: UInt64, commitIndex: UInt32 = 0,
        presence: UInt16 = 0, parts: [UInt8] = []
    ) {
        self.kind = kind
        self.id = id
        self.position = position
        self.timestamp = timestamp
        self.commitIndex = commitIndex
        var bytes = little(UInt32(34 + parts.count))
        bytes += little(id) + little(position) + little(timestamp)
        bytes += little(commitIndex) + little(presence) + parts
        self.bytes = bytes + little(CRC32.of(RawSpan(of: bytes)))
    }

    /// A mark: `id` is that of the next message.
    package static func mark(id: UInt64, position: UInt64, timestamp: UInt64) -> WrittenFrame {
        WrittenFrame(.mark, id: id, position: position, timestamp: timestamp, presence: 8)
    }

    /// A `lost` frame with `room` bytes before its checksum.
    package static func lost(
        _ count: UInt64, room: Int, id: UInt64, position: UInt64, timestamp: UInt64
    ) -> WrittenFrame {
        precondition(room >= 8 || count == 1)
        let parts =
            room >= 8
            ? little(count) + [UInt8](repeating: 0, count: room - 8)
            : [UInt8](repeating: 0, count: room)
        return WrittenFrame(
            .lost(count), id: id, position: position, timestamp: timestamp, presence: 4,
            parts: parts)
    }

    /// How many ids it takes.
    package var ids: UInt64 {
        switch kind {
        case .mark: 0
        case .lost(let count): count
        case .message, .newer, .invalid: 1
        }
    }

    /// Whether a reader may keep it.
    package var isValid: Bool {
        switch kind {
        case .message, .mark, .lost: true
        case .newer, .invalid: false
        }
    }

    /// All ids below this were durable when it was written.
    package var durableBelow: UInt64 { id - min(id, UInt64(commitIndex)) }
}

/// The bytes of an integer, the lowest first.
package func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
}

/// Key and headers as parts of a frame.
package enum FrameParts {
    package static func key(_ key: [UInt8]) -> [UInt8] { little(UInt16(key.count)) + key }

    package static func headers(_ headers: [(name: [UInt8], value: [UInt8])]) -> [UInt8] {
        var block = little(UInt16(headers.count))
        for header in headers {
            block += little(UInt16(header.name.count)) + header.name
            block += little(UInt32(header.value.count)) + header.value
        }
        return little(UInt32(block.count)) + block
    }
}
