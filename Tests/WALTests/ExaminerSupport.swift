@testable import WAL

/// The ids of the messages that a walk came to, in its order.
final class SeenFrames: ExaminationVisitor {
    private(set) var ids: [UInt64] = []

    func frame(
        _ frame: DecodedFrame, bytes: RawSpan, segment: SegmentName, at offset: UInt64
    ) {
        if frame.isMessage { ids.append(frame.fields.id) }
    }
}

extension Examination {
    /// What was found, in the order of the log.
    var kinds: [LogFinding.Kind] { findings.map(\.kind) }
}
