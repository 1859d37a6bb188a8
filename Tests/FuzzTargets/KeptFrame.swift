import WAL

/// A frame that a check shows, and what it asks of its neighbours: how many of a log's frames no
/// repair can keep, worked out from the rules of the format alone.
///
/// Each frame keeps its position. Between two of them there are only `lost` frames, of 38 bytes for
/// one id and 46 for more, marks of 38 bytes each, and in front of a segment's first frame its
/// mark. Where that does not come out, one of the two has to go. Bytes that were written by a log
/// never come to this; bytes that a fuzzer has mended do.
struct KeptFrame {
    let bytes: [UInt8]
    let file: String
    let id: UInt64
    private let nextID: UInt64
    private let position: UInt64
    private let isMark: Bool
    private let isLost: Bool

    init(_ frame: DecodedFrame, _ bytes: [UInt8], _ file: String) {
        self.bytes = bytes
        self.file = file
        id = frame.fields.id
        nextID = frame.nextID
        position = frame.fields.position
        isMark = frame.isMark
        isLost = frame.lost != nil
    }

    var isMessage: Bool { !isMark && !isLost }
    private var end: UInt64 { position &+ UInt64(bytes.count) }

    private static let mark: Int64 = 38

    /// The first id by the name of its file; nil for `segment.log`.
    private var named: UInt64? {
        if case .sealed(let first)? = SegmentName(file) { first } else { nil }
    }

    /// How many messages of `frames`, in the order of their log, may have to be given up.
    static func excused(_ frames: [KeptFrame]) -> Int {
        var excused = 0
        for (frame, next) in zip(frames, frames.dropFirst())
        where !canStand(frame, before: next) {
            // A gap that is too short takes two of the smallest frames with it at most.
            excused += 2
            if frame.file == next.file { continue }
            // What stands before the end of the segment before has no place in the next one.
            let needed = frame.end &+ UInt64(mark) &+ 46
            for other in frames
            where other.file == next.file && other.position < needed {
                excused += 1
            }
        }
        return excused
    }

    private static func canStand(_ frame: KeptFrame, before next: KeptFrame) -> Bool {
        guard next.id >= frame.nextID else { return false }
        let room = Int64(bitPattern: next.position &- frame.end)
        let lost = next.id - frame.nextID
        if frame.file == next.file { return isFilled(room, lost) }
        // Positions only grow from segment to segment.
        guard next.position >= frame.end else { return false }
        // A segment keeps its name: what was lost below that is of the one before.
        if let named = next.named, frame.nextID < named, named < next.id,
            room < fewest(named - frame.nextID) + mark + fewest(next.id - named)
        {
            return false
        }
        // Else the lost ids may be of either segment; behind a `lost` frame positions may go on further
        // on.
        let before = next.isMark ? room : room - mark
        let mayBeFurther = frame.isLost || lost > 0
        // Marks fill what a frame may have filled, and not the petabytes between two strangers.
        let isNear = before <= Int64(FrameLayout.largestFrame)
        return isNear && isFilled(before, lost) || (mayBeFurther && before >= fewest(lost))
    }

    private static func isFilled(_ room: Int64, _ lost: UInt64) -> Bool {
        lost == 0 ? room >= 0 && room % mark == 0 : room >= fewest(lost)
    }

    private static func fewest(_ lost: UInt64) -> Int64 { lost == 0 ? 0 : lost == 1 ? mark : 46 }
}
