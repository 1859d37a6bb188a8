/// Sees what an examination sees, in the order of the log.
///
/// Called on the examining thread. The bytes of a frame are valid during the call only.
package protocol ExaminationVisitor: AnyObject {
    /// How far apart the frames are, at least, that it wants to see, in bytes: 0 for all of them.
    var strideBytes: UInt64 { get }
    /// A segment file is about to be walked.
    func begin(segment: SegmentName, size: UInt64)
    /// A valid frame in its place, also one behind damage.
    func frame(_ frame: DecodedFrame, bytes: RawSpan, segment: SegmentName, at offset: UInt64)
    /// Something worth telling, in its place among the frames.
    func finding(_ finding: LogFinding)
}

extension ExaminationVisitor {
    package var strideBytes: UInt64 { 0 }
    package func begin(segment: SegmentName, size: UInt64) {}
    package func frame(
        _ frame: DecodedFrame, bytes: RawSpan, segment: SegmentName, at offset: UInt64
    ) {}
    package func finding(_ finding: LogFinding) {}
}

/// Which findings an examination holds until its end. There may be one for each frame of a log, and
/// its visitor is told of all of them anyway.
package enum FindingsKept: Sendable {
    case all
    /// What a decision may depend on.
    case allButRemarks
    case none

    func holds(_ finding: LogFinding) -> Bool {
        switch self {
        case .all: true
        case .allButRemarks: !finding.kind.isRemark
        case .none: false
        }
    }
}

/// What one segment file holds.
package struct SegmentSummary: Hashable, Sendable {
    /// The name of the file.
    package var name: SegmentName
    /// The segment that it is: another one than its name says if its frames do.
    package var place: SegmentName
    /// Size of the file in bytes.
    package var size: UInt64
    /// Position of offset 0; nil where nothing tells it.
    package var base: UInt64?
    /// The id that the segment begins with; nil where nothing tells it.
    package var firstID: UInt64?
    /// The id expected behind its last frame.
    package var nextID: UInt64 = 0
    /// Where the last frame in its place ends, in bytes from the beginning of the file.
    package var end: UInt64 = 0
    /// Valid frames, marks among them.
    package var frames: UInt64 = 0
    /// Frames that are messages.
    package var messages: UInt64 = 0
    /// Frames that stand for lost messages.
    package var lostFrames: UInt64 = 0
    package var endsInMark = false
    package var endsInLost = false
    package var verdict = Verdict.clean

    package init(name: SegmentName, size: UInt64) {
        self.name = name
        place = name
        self.size = size
    }
}

/// What is at the name of the active segment.
package enum ActiveState: Hashable, Sendable {
    /// No file, or at most 38 bytes without a whole mark: its making was not finished.
    case unmade(exists: Bool)
    /// A segment with its mark, or one long enough to have had it.
    case made
}

/// What examining all segments of a directory has given.
package struct Examination: Hashable, Sendable {
    package var verdict = Verdict.clean
    package var segments: [SegmentSummary] = []
    package var active = ActiveState.unmade(exists: false)
    package var findings: [LogFinding] = []
    /// The id of the next message; 0 where there is none yet.
    package var nextID: UInt64 = 0
    /// The first id that is not known durable.
    package var durableBelow: UInt64 = 0
    /// Position behind the last frame; nil for a log that has none.
    package var endPosition: UInt64?
    /// Offset in the active segment of the first frame not known durable; its end if none is.
    package var unprovenFrom: UInt64 = 0
    /// The highest timestamp of any frame, nanoseconds; nil where there is no frame.
    package var lastTimestamp: UInt64?

    /// The active segment's summary, if it has a file that was made.
    package var activeSegment: SegmentSummary? {
        active == .made ? segments.last { $0.name == .active } : nil
    }
}

/// Frames of the active segment that no later frame has proved durable yet, by the id that has to
/// be exceeded. Bounded by the frames of one commit and the marks behind it.
struct UnprovenFrames {
    private var entries: [(provenAt: UInt64, offset: UInt64)] = []
    private var head = 0

    /// `provenAt`: the durable bound from which on the frame is known durable.
    mutating func add(_ frame: DecodedFrame, at offset: UInt64) {
        if Mutant.markNotRewritten.isOn, frame.isMark { return }
        // A mark takes no id: it is durable for certain once the message it announces is.
        let provenAt = frame.isMark ? frame.fields.id &+ 1 : frame.nextID
        entries.append((provenAt, offset))
    }

    /// Forgets what a bound of `durableBelow` proves.
    mutating func prove(below durableBelow: UInt64) {
        while head < entries.count, entries[head].provenAt <= durableBelow { head += 1 }
        if head > 1024, head * 2 > entries.count {
            entries.removeFirst(head)
            head = 0
        }
    }

    /// Offset of the first frame that is not proved.
    var first: UInt64? { head < entries.count ? entries[head].offset : nil }
}
