/// Where everything stands in a frame. Reader and writer share these numbers and nothing else.
/// docs/FORMAT.md draws them.
package enum FrameLayout {
    // Offsets of the fixed fields, from the first byte of the frame. They never move.
    package static let length = 0
    package static let id = 4
    package static let position = 12
    package static let timestamp = 20
    package static let commitIndex = 28
    package static let presence = 32

    /// Bytes of the fixed fields; the optional parts begin here.
    package static let fixedBytes = 34
    /// Bytes of the checksum at the end.
    package static let crcBytes = 4
    /// Bytes of the length field, which it does not count itself.
    package static let lengthBytes = 4

    /// The smallest whole frame: fixed fields and checksum. Also the size of a mark.
    package static let smallestFrame = fixedBytes + crcBytes
    /// The smallest `lost` frame with room for how many ids it stands for.
    package static let countedLostFrame = smallestFrame + 8
    /// The largest whole frame, for ever: 4 MiB.
    package static let largestFrame = 4 << 20
    /// The values that the length field may have: it counts a frame less itself.
    package static let lengths =
        UInt32(smallestFrame - lengthBytes)...UInt32(largestFrame - lengthBytes)

    /// The size of a frame whose length field has this value; nil if no frame may be that long.
    @inline(__always)
    package static func frameBytes(length: UInt32) -> Int? {
        lengths.contains(length) ? Int(length) + lengthBytes : nil
    }

    /// A log's first position is chosen below this.
    package static let firstPositionLimit: UInt64 = 1 << 62

    /// The positions of segments that stand side by side are never as far apart, for none has as
    /// many bytes; those of two logs are, but for a chance of one in a million.
    private static let neighbourReach: UInt64 = 1 << 40

    /// Whether two positions can be of segments that stand side by side.
    static func mayBeNeighbours(_ position: UInt64, _ other: UInt64) -> Bool {
        min(position &- other, other &- position) < neighbourReach
    }

    // FrameLayoutTests holds these numbers against those of docs/FORMAT.md.
}

/// Which optional parts follow the fixed fields. A reader that meets a bit it does not know meets
/// a newer format: it stops there, and never guesses.
package struct Presence: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// A dedupe key follows.
    package static let key = Presence(rawValue: 1)
    /// Headers follow.
    package static let headers = Presence(rawValue: 2)
    /// The frame stands for ids whose messages are gone.
    package static let lost = Presence(rawValue: 4)
    /// The frame takes no id and says that every lower id was durable.
    package static let mark = Presence(rawValue: 8)

    /// All bits that are given out.
    package static let known: Presence = [.key, .headers, .lost, .mark]
    /// Whether a bit is set that this version does not know.
    package var isNewer: Bool { !isSubset(of: .known) }
}

/// The fields that every frame of every version has.
package struct FrameFields: Hashable, Sendable {
    /// Bytes behind the length field.
    package var length: UInt32
    package var id: UInt64
    package var position: UInt64
    /// Nanoseconds since 1970-01-01 UTC.
    package var timestamp: UInt64
    package var commitIndex: UInt32
    package var presence: Presence

    /// Bytes of the whole frame.
    package var frameBytes: Int { Int(length) + FrameLayout.lengthBytes }

    /// All ids below this were durable when the frame was written; nil if the index is impossible.
    package var durableBelow: UInt64? {
        UInt64(commitIndex) <= id ? id - UInt64(commitIndex) : nil
    }
}

/// A valid frame, taken apart. The ranges count from the first byte of the frame.
///
/// Kept small, with lengths instead of ranges: a scan hands one on for every frame.
package struct DecodedFrame: Hashable, Sendable {
    package var fields: FrameFields
    package var crc: UInt32
    /// Bytes of the key and of the headers, without their length fields; meaningless where the
    /// presence bits say that there are none.
    var keyBytes: UInt16 = 0
    var headerBytes: UInt32 = 0
    /// Ids that a `lost` frame stands for; meaningless in any other.
    var lostIDs: UInt64 = 0

    init(fields: FrameFields, crc: UInt32) {
        self.fields = fields
        self.crc = crc
    }

    /// Stands where no frame has been decoded yet.
    static let none = DecodedFrame(
        fields: FrameFields(
            length: FrameLayout.lengths.lowerBound, id: 0, position: 0, timestamp: 0,
            commitIndex: 0, presence: .mark), crc: 0)

    package var key: Range<Int>? {
        guard fields.presence.contains(.key) else { return nil }
        let start = FrameLayout.fixedBytes + 2
        return start..<start + Int(keyBytes)
    }

    /// From the count to the last value.
    package var headers: Range<Int>? {
        guard fields.presence.contains(.headers) else { return nil }
        let start = (key?.upperBound ?? FrameLayout.fixedBytes) + 4
        return start..<start + Int(headerBytes)
    }

    /// Empty for a mark and a `lost` frame.
    package var payload: Range<Int> {
        let end = bytes - FrameLayout.crcBytes
        guard isMessage else { return end..<end }
        return (headers?.upperBound ?? key?.upperBound ?? FrameLayout.fixedBytes)..<end
    }

    /// How many ids a `lost` frame stands for.
    package var lost: UInt64? { fields.presence.contains(.lost) ? lostIDs : nil }

    package var isMark: Bool { fields.presence == .mark }
    package var isMessage: Bool { fields.presence.isDisjoint(with: [.mark, .lost]) }
    /// The id of the next message. Invariant: at most 2^64 - 1, the decoder has checked it.
    package var nextID: UInt64 { fields.id + (isMark ? 0 : lost ?? 1) }
    package var bytes: Int { fields.frameBytes }
}
