internal import SystemPackage
internal import WAL

/// Puts segments in the order of what they hold, and chooses among those that do not go together.
///
/// A name is what a person may have changed, or a copy has got; the ids and positions of the frames
/// in a file are what was written. So the frames say where a segment belongs. Of the segments that
/// cannot follow each other, for they have the same ids or stand at the same positions, those stay
/// that keep the most messages. One that stands where only another log's can is not chosen at all:
/// what it holds must cost no message of this one.
struct SegmentChain {
    let disk: any Disk
    let directory: FilePath
    let topic: PlannedTopic

    /// A segment as the end of a chain: the best one that ends in it.
    private struct Link {
        var segment: SegmentFacts
        /// Messages of the chain, this segment's among them.
        var messages: UInt64
        var count = 1
        /// The one before, as far as it is kept, and its place in the list.
        var before: (index: Int, segment: SegmentFacts)?

        func isBetter(than other: Link?) -> Bool {
            guard let other else { return true }
            return (messages, count) > (other.messages, other.count)
        }
    }

    /// The segments that stay, oldest first, each as far as it is kept. One of which nothing is
    /// kept stays where it stands for ids that none of the others has.
    func arrange(_ facts: [SegmentFacts]) throws(DiskError) -> [SegmentFacts] {
        let strangers = strangers(facts)
        let facts = facts.filter { !strangers.contains($0.file) }
        var chain = try best(sorted(facts.filter { !$0.runs.isEmpty }))
        for index in chain.indices.dropFirst() where !chain[index].hasMark {
            if let end = chain[index - 1].keptEnd { chain[index].leaveOutMarks(before: end) }
        }
        let standIns = facts.filter { $0.runs.isEmpty && !($0.isSealed && $0.size == 0) }
        return merged(chain, standIns)
    }

    /// The files that hold segments of another log.
    func strangers(_ facts: [SegmentFacts]) -> Set<SegmentName> {
        Strangers.files(sorted(facts.filter { !$0.runs.isEmpty }))
    }

    private func sorted(_ segments: [SegmentFacts]) -> [SegmentFacts] {
        segments.sorted { one, other in
            if one.keptFirstID != other.keptFirstID { return one.keptFirstID < other.keptFirstID }
            if let from = one.keptFrom, let behind = other.keptFrom, from != behind {
                return from < behind
            }
            // Of two copies the one that needs no other name stays.
            if one.hasItsName != other.hasItsName { return one.hasItsName }
            return one.isSealed && !other.isSealed
        }
    }

    // MARK: The best chain

    private func best(_ segments: [SegmentFacts]) throws(DiskError) -> [SegmentFacts] {
        if zip(segments, segments.dropFirst()).allSatisfy(Self.follow) { return segments }
        var links: [Link] = []
        for segment in segments {
            var link = Link(segment: segment, messages: segment.messages)
            for (index, before) in links.enumerated() {
                let most = before.messages + segment.messages
                guard (most, before.count + 1) > (link.messages, link.count),
                    let part = try part(of: before.segment, before: segment)
                else { continue }
                var longer = Link(segment: segment, messages: most, count: before.count + 1)
                longer.messages -= before.segment.messages - part.messages
                longer.before = (index, part)
                if longer.isBetter(than: link) { link = longer }
            }
            links.append(link)
        }
        var last: Link?
        for link in links where link.isBetter(than: last) { last = link }
        return chain(endingIn: last, links)
    }

    private func chain(endingIn last: Link?, _ links: [Link]) -> [SegmentFacts] {
        guard var link = last else { return [] }
        var chain = [link.segment]
        while let before = link.before {
            chain.append(before.segment)
            link = links[before.index]
        }
        return chain.reversed()
    }

    /// Whether all of one segment stands before all of another.
    private static func follow(_ segment: SegmentFacts, _ next: SegmentFacts) -> Bool {
        guard let end = segment.keptEnd, let start = next.latestStart else { return false }
        return segment.keptNextID <= next.keptFirstID && end <= start
    }

    /// As much of a segment as stands before another one; nil if nothing does.
    private func part(
        of segment: SegmentFacts, before next: SegmentFacts
    ) throws(DiskError) -> SegmentFacts? {
        if Self.follow(segment, next) { return segment }
        guard let from = segment.keptFrom, let base = segment.base, let start = next.latestStart,
            start > from, segment.keptFirstID < next.keptFirstID
        else { return nil }
        var part = segment
        part.runs = try shortened(segment, to: start &- base, below: next.keptFirstID)
        part.nextID = min(part.nextID, next.keptFirstID)
        return part.runs.isEmpty ? nil : part
    }

    /// The runs up to an offset and an id, whichever comes first.
    private func shortened(
        _ facts: SegmentFacts, to limit: UInt64, below id: UInt64
    ) throws(DiskError) -> [KeptRun] {
        var runs: [KeptRun] = []
        for run in facts.runs where run.start < limit {
            if run.end <= limit, run.nextID <= id {
                runs.append(run)
                continue
            }
            guard let file = try open(facts) else { break }
            defer { file.close() }
            var walker = FrameWalker(file, from: run.start, to: run.end)
            var part = run
            part.end = run.start
            part.messages = 0
            while case .frame(let frame) = try walker.next(id: nil, base: nil),
                walker.offset <= limit, frame.nextID <= id
            {
                part.end = walker.offset
                part.nextID = frame.nextID
                part.lastTimestamp = frame.fields.timestamp
                part.endsInMark = frame.isMark
                part.endsInLost = frame.lost != nil
                part.messages += frame.isMessage ? 1 : 0
            }
            if part.end > run.start { runs.append(part) }
            break
        }
        return runs
    }

    private func open(_ facts: SegmentFacts) throws(DiskError) -> (any DiskFile)? {
        try topic.segments[facts.file]?.open(on: disk, as: facts.file.path(in: directory))
    }

    // MARK: Stand-ins

    /// The chain with the segments of which nothing is kept; all have names by which they sort.
    private func merged(
        _ chain: [SegmentFacts], _ standIns: [SegmentFacts]
    ) -> [SegmentFacts] {
        var merged: [SegmentFacts] = []
        var waiting = standIns[...]
        for segment in chain {
            var segment = segment
            while let standIn = waiting.first, standIn.isSealed,
                standIn.firstID < segment.keptFirstID
            {
                waiting.removeFirst()
                let isFree = standIn.firstID < segment.firstID || !segment.nameTells
                if isFree, standIn.firstID >= merged.last?.floor ?? 0 { merged.append(standIn) }
            }
            // What the ones before hold is no part of it.
            if segment.firstID < merged.last?.floor ?? 0 {
                segment.firstID = segment.keptFirstID
                segment.nameTells = false
            }
            merged.append(segment)
        }
        for var standIn in waiting {
            let floor = merged.last?.floor ?? 0
            if standIn.isSealed {
                guard standIn.firstID >= floor, merged.last?.isSealed ?? true else { continue }
            } else {
                standIn.firstID = max(standIn.firstID, floor)
                standIn.nextID = max(standIn.firstID, standIn.nextID)
            }
            merged.append(standIn)
        }
        for index in merged.indices where index + 1 < merged.count || merged[index].isSealed {
            merged[index].name = .sealed(first: merged[index].firstID)
        }
        return merged
    }
}

extension SegmentFacts {
    /// The first id that the next segment may begin with.
    fileprivate var floor: UInt64 {
        runs.isEmpty && isSealed && firstID < .max ? firstID + 1 : keptNextID
    }

    /// The last position at which a file of its frames can begin: one begins with a mark.
    var latestStart: UInt64? {
        guard let from = keptFrom, let first = runs.first else { return nil }
        let mark = UInt64(FrameLayout.smallestFrame)
        if hasMark { return from }
        if first.beginsWithMark { return from + (first.leadingMarks - 1) * mark }
        return from >= mark ? from - mark : nil
    }
}
