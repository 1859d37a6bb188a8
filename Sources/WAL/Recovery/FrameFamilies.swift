/// The whole frames of a file, put together by where they say that offset 0 is: for a segment whose
/// mark does not tell. Those inside of another frame, copies in its payload, are not among them.
struct FrameFamilies {
    /// Frames that agree on the position of offset 0.
    struct Family {
        /// How long they are together.
        var bytes: UInt64 = 0
        /// Where the first of them begins, and where the last one ends.
        let first: UInt64
        var end: UInt64
    }

    /// What the whole frames of a file agree on.
    struct Common {
        /// The position of offset 0.
        let base: UInt64
        /// Bytes of the frames that say so.
        let bytes: UInt64
        /// Where the last whole frame of all ends.
        let end: UInt64
    }

    private var families: [UInt64: Family] = [:]
    /// A frame at offset 0 that is no mark.
    private var misplaced: (base: UInt64, bytes: UInt64)?
    private var end: UInt64 = 0

    /// The frames by which offset 0 has the position `base`.
    subscript(base: UInt64) -> Family? { families[base] }

    /// Takes the next whole frame of the file.
    mutating func add(_ fields: FrameFields, bytes: UInt64, at offset: UInt64) {
        end = offset + bytes
        let base = fields.position &- offset
        families[base, default: Family(first: offset, end: end)].bytes += bytes
        families[base]?.end = end
        if offset == 0, !fields.presence.contains(.mark) { misplaced = (base, bytes) }
    }

    /// The position of offset 0 that most bytes of whole frames agree on. A copy of a frame inside a
    /// payload says another one, but fewer bytes of it; and of two that are alike the copy is the
    /// later one. A message at offset 0, where only a mark may stand, is out of place if nobody
    /// agrees with it, however long it is: it is heard only if it is alone.
    var common: Common? {
        var unheard: UInt64?
        if let misplaced, families.count > 1, families[misplaced.base]?.bytes == misplaced.bytes {
            unheard = misplaced.base
        }
        let most = families.lazy.filter { $0.key != unheard }
            .max { ($0.value.bytes, $1.value.first) < ($1.value.bytes, $0.value.first) }
        return most.map { Common(base: $0.key, bytes: $0.value.bytes, end: end) }
    }
}
