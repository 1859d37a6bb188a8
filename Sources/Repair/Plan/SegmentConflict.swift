internal import SystemPackage
internal import WAL

/// Decides which of two segments that do not go together stays.
struct SegmentConflict {
    let disk: any Disk
    let directory: FilePath

    enum Way {
        /// This segment is set aside.
        case drop(SegmentName)
        /// The earlier one ends where the later one begins.
        case shorten([KeptRun])
    }

    /// The first segment that stands between its neighbours by name and not by position, while
    /// they would go together without it: it is from another log.
    static func stranger(_ segments: [SegmentFacts]) -> SegmentName? {
        for index in segments.indices.dropFirst().dropLast() {
            guard let before = segments[index - 1].base, let here = segments[index].keptFrom,
                let behind = segments[index + 1].keptFrom
            else { continue }
            let end = before &+ (segments[index - 1].runs.last?.end ?? 0)
            if end <= behind, !(end <= here && here <= behind) { return segments[index].name }
        }
        return nil
    }

    /// What to do about two neighbours of which the later one begins before the earlier one ends.
    func resolve(
        _ earlier: SegmentFacts, _ content: PlannedContent, _ later: SegmentFacts
    ) throws(DiskError) -> Way {
        if later.firstID == earlier.firstID {
            let hasMore =
                later.keptNextID > earlier.keptNextID && later.messages > earlier.messages
            return .drop(hasMore ? earlier.name : later.name)
        }
        guard later.keptNextID >= earlier.keptNextID, let from = earlier.base,
            let position = later.base
        else { return .drop(later.name) }
        let offset = position &- from
        guard offset >= UInt64(FrameLayout.smallestFrame), offset <= earlier.size else {
            return .drop(later.name)
        }
        let runs = try shortened(earlier, content, to: offset, below: later.firstID)
        return runs.isEmpty ? .drop(later.name) : .shorten(runs)
    }

    /// The runs up to an offset and an id, whichever comes first.
    private func shortened(
        _ facts: SegmentFacts, _ content: PlannedContent, to limit: UInt64, below id: UInt64
    ) throws(DiskError) -> [KeptRun] {
        var runs: [KeptRun] = []
        for run in facts.runs where run.start < limit {
            if run.end <= limit, run.nextID <= id {
                runs.append(run)
                continue
            }
            let file = try content.open(
                on: disk, as: facts.name.path(in: directory))
            defer { file.close() }
            var walker = FrameWalker(file, from: run.start, to: run.end)
            var part: KeptRun?
            while case .frame(let frame) = try walker.next(id: nil, base: nil),
                walker.offset <= limit, frame.nextID <= id
            {
                var kept = part ?? run
                kept.end = walker.offset
                kept.nextID = frame.nextID
                kept.lastTimestamp = frame.fields.timestamp
                kept.endsInMark = frame.isMark
                kept.endsInLost = frame.lost != nil
                part = kept
            }
            if let part { runs.append(part) }
            break
        }
        return runs
    }
}
