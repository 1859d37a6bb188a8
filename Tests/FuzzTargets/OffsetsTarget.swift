import DataDirectory
import Inspection
import WAL

/// offsets.json: what is read is written again with the same meaning, and the second writing is
/// the first one byte for byte.
enum OffsetsTarget {
    static func check(_ bytes: [UInt8]) throws {
        _ = try? GoOffsets.parse(RawSpan(of: bytes))
        let offsets: Offsets
        do {
            offsets = try OffsetsFormat.parse(RawSpan(of: bytes))
        } catch {
            try require(
                error.offset <= UInt64(bytes.count), "blames byte \(error.offset): \(error)")
            return
        }
        for acknowledgements in offsets.consumers.values {
            try require(apart(acknowledgements), "ranges that touch: \(acknowledgements)")
        }
        let once = OffsetsFormat.render(offsets).bytes.copied()
        let again = try OffsetsFormat.parse(RawSpan(of: once))
        try require(again == offsets, "reads back as something else")
        let twice = OffsetsFormat.render(again).bytes.copied()
        try require(once == twice, "is written differently the second time")
        // One flipped bit anywhere is noticed: the checksum covers everything before it.
        var flipped = bytes
        let place = bytes.count / 2
        flipped[place] ^= 1 << (bytes[place] & 7)
        try require(
            (try? OffsetsFormat.parse(RawSpan(of: flipped))) == nil, "a flipped bit went unnoticed")
    }

    private static func apart(_ acknowledgements: Acknowledgements) -> Bool {
        var end = acknowledgements.acked.map { $0.rawValue }
        for range in acknowledgements.above {
            if let end, range.lowerBound.rawValue <= end + 1 { return false }
            end = range.upperBound.rawValue
        }
        return true
    }
}
