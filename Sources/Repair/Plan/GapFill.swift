internal import WAL

/// Fills a gap with frames that are exactly as long as it is, so that every other frame keeps its
/// place. Pure.
enum GapFill {
    private static let smallest = UInt64(FrameLayout.smallestFrame)
    private static let largest = UInt64(FrameLayout.largestFrame)
    private static let counted = UInt64(FrameLayout.countedLostFrame)

    /// The fewest bytes in which so many lost ids can be said.
    static func fewestBytes(forIDs ids: UInt64) -> UInt64 {
        switch ids {
        case 0: 0
        case 1: smallest
        default: counted
        }
    }

    /// The most bytes that `lost` frames alone can take for so many ids.
    static func mostBytes(forIDs ids: UInt64) -> UInt64 {
        ids > .max / largest ? .max : ids * largest
    }

    /// Frames of `bytes` altogether for `ids` lost ids from `place` on: `lost` frames, and marks
    /// behind them where no id is left to be lost; nil if there are none of that length.
    static func pieces(bytes: UInt64, ids: UInt64, at place: FrameEncoder.Place) -> [Piece]? {
        if bytes == 0 { return ids == 0 ? [] : nil }
        if ids == 0 { return marks(bytes: bytes, at: place) }
        guard bytes >= fewestBytes(forIDs: ids) else { return nil }
        let most = mostBytes(forIDs: ids)
        // More bytes than so few frames may have: marks stood there, too.
        let markCount = bytes > most ? (bytes - most + smallest - 1) / smallest : 0
        var place = place
        var pieces = lost(bytes: bytes - markCount * smallest, ids: ids, &place)
        if markCount > 0 { pieces.append(.marks(count: markCount, at: place)) }
        return pieces
    }

    private static func marks(bytes: UInt64, at place: FrameEncoder.Place) -> [Piece]? {
        guard bytes % smallest == 0 else { return nil }
        return [.marks(count: bytes / smallest, at: place)]
    }

    /// As few frames as will do. The first one stands for all ids but one for each other frame.
    private static func lost(
        bytes: UInt64, ids: UInt64, _ place: inout FrameEncoder.Place
    ) -> [Piece] {
        let count = (bytes + largest - 1) / largest
        // All but the first are as large as may be, and the first has room for its count.
        let first = bytes - (count - 1) * largest
        let borrowed = count > 1 && first < counted ? counted - first : 0
        var pieces: [Piece] = []
        for number in 0..<count {
            let size = number == 0 ? first + borrowed : number == 1 ? largest - borrowed : largest
            let share = number == 0 ? ids - (count - 1) : 1
            pieces.append(.lost(ids: share, bytes: Int(size), at: place))
            place.id += share
            place.position &+= size
        }
        return pieces
    }
}
