/// Where to begin reading for an id: one entry for at least 32 KiB of a segment, 16 bytes each,
/// so at most 0.1 % of a log even when the arrays have just doubled. Rebuilt by the scan that
/// opening makes anyway and never written.
struct SparseIndex: Sendable {
    static let intervalBytes: UInt64 = 32 << 10

    private var ids: [UInt64] = []
    private var offsets: [UInt64] = []

    /// Tells the index of a frame, in ascending order.
    mutating func note(id: UInt64, offset: UInt64) {
        if let last = offsets.last, offset - last < SparseIndex.intervalBytes { return }
        ids.append(id)
        offsets.append(offset)
    }

    /// The offset of a frame at or before the one that holds `id`; 0 is the segment's mark.
    func offset(of id: UInt64) -> UInt64 {
        let behind = ids.partitionPoint { $0 <= id }
        return behind == 0 ? 0 : offsets[behind - 1]
    }

    /// Memory taken, in bytes.
    var bytes: Int { (ids.capacity + offsets.capacity) * 8 }
}
