internal import Inspection
internal import WAL

/// Messages that can be read and that no sound log keeps where they are.
struct GivenUp: Hashable, Sendable {
    var segment: SegmentName
    /// Where the frame is in the file, in bytes; 0 for a segment that is set aside.
    var offset: UInt64
    var ids: ClosedRange<UInt64>
    /// It is in a segment of another log.
    var isForeign = false
}

extension TopicReport {
    /// Tells with each finding what its repair gives up beside what is gone.
    mutating func add(_ givenUp: [GivenUp], fileName: (SegmentName) -> String) {
        givesUpMessages = true
        var told: Set<Int> = []
        for given in givenUp.sorted(by: { $0.ids.lowerBound < $1.ids.lowerBound }) {
            guard let index = cause(of: given, in: fileName(given.segment)) else { continue }
            if told.insert(index).inserted {
                findings[index].detail +=
                    given.isForeign
                    ? "; by its positions \(fileName(given.segment)) is of another log, so a repair "
                        + "sets it aside"
                    : "; no frame fits here, so a repair gives up whole frames beside it"
            }
            lose(given.ids, by: index)
        }
    }

    private mutating func lose(_ ids: ClosedRange<UInt64>, by index: Int) {
        guard let lost = findings[index].lost, !lost.touches(ids) else {
            let lost = findings[index].lost ?? ids
            findings[index].lost =
                min(lost.lowerBound, ids.lowerBound)...max(lost.upperBound, ids.upperBound)
            return
        }
        // Ids between are there: they are no part of one range.
        var another = findings[index]
        another.lost = ids
        findings.append(another)
    }

    /// The finding that a repair meets before it gives something up.
    private func cause(of given: GivenUp, in file: String) -> Int? {
        let damaged = findings.indices.filter { findings[$0].severity == .damage }
        let here = damaged.filter { findings[$0].segment == file }
        return here.last { findings[$0].offset <= given.offset } ?? here.first ?? damaged.first
    }
}
