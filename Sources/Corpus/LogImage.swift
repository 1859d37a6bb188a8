package import Inspection
internal import WAL

/// The segments of one log and what else is known about it: what is damaged on purpose.
package struct LogImage: Sendable {
    package var segments: [SegmentBytes]
    /// Every frame ever written to it, and strays from elsewhere that were put into it.
    package var written: [WrittenFrame]
    /// The highest id that a consumer acknowledged; nil if there is none.
    package var acknowledged: UInt64?
    /// What a frame of the kind `invalid` is found to be.
    package var invalidKind = FindingKind.badInner
    package var random: SeededRandom

    package init(_ writer: LogWriter) {
        segments = writer.segments
        written = writer.written
        random = writer.random
    }

    /// What has to come out.
    package var expectation: Expectation { Foretelling.expectation(of: self) }

    /// The frames that were written to a segment and stand in it, whole, by offset.
    package func frames(of index: Int) -> [(offset: Int, frame: WrittenFrame)] {
        let segment = segments[index]
        return written.compactMap { frame in
            let offset = frame.position &- segment.base
            guard offset < UInt64(segment.bytes.count),
                segment.bytes[Int(offset)...].starts(with: frame.bytes)
            else { return nil }
            return (Int(offset), frame)
        }.sorted { $0.offset < $1.offset }
    }

    /// The active segment's place in `segments`.
    package var active: Int { segments.count - 1 }
}
