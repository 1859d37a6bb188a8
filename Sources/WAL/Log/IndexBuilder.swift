/// Collects the index while the examination walks.
final class IndexBuilder: ExaminationVisitor {
    var indexes: [SegmentName: SparseIndex] = [:]
    private var name = SegmentName.active
    private var index = SparseIndex()
    private let key: ((MessageID, RawSpan) -> Void)?
    var bytes: UInt64 = 0
    /// Every frame may have a key.
    var strideBytes: UInt64 { key == nil ? SparseIndex.intervalBytes : 0 }

    init(_ key: ((MessageID, RawSpan) -> Void)?) { self.key = key }

    func begin(segment: SegmentName, size: UInt64) {
        finish()
        name = segment
        bytes += size
    }

    func frame(
        _ frame: DecodedFrame, bytes: RawSpan, segment: SegmentName, at offset: UInt64
    ) {
        index.note(id: frame.fields.id, offset: offset)
        guard let key, let range = frame.key else { return }
        key(MessageID(frame.fields.id), bytes.extracting(range))
    }

    func finish() {
        indexes[name] = index
        index = SparseIndex()
    }
}
