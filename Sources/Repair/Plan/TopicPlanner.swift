internal import SystemPackage
internal import WAL

/// Works out what the segments of a topic become. Reads; writes nothing.
///
/// What an examination keeps is kept, what it says is lost becomes `lost` frames: there is no
/// second judge. The plan is examined in its turn, as if it were on the disk, until that finds
/// nothing that is worse than a remark.
struct TopicPlanner {
    let disk: any Disk
    let directory: FilePath
    /// The highest id that a consumer has acknowledged.
    let acknowledged: UInt64?
    /// Nanoseconds since 1970, for a log without any frame.
    let now: UInt64

    /// What becomes of the segments.
    struct Outcome {
        var topic: PlannedTopic
        /// Where the torn tail of the active segment begins, and its position.
        var torn: (offset: UInt64, position: UInt64)?
        /// A message that the examination would have kept cannot be.
        var losesMore = false
    }

    /// Each pass takes away or mends at least one thing; more than so many is a plan that does not
    /// come to an end, and is given up.
    private static let passes = 64

    /// The plan; nil if none was found under which the topic is sound. `topic` is what is there.
    func plan(_ start: PlannedTopic) throws(DiskError) -> Outcome? {
        var outcome = Outcome(topic: start)
        // What was proved once stays proved, also when the proof is set aside.
        var known = acknowledged
        for pass in 0..<TopicPlanner.passes {
            let runs = KeptRuns()
            let found = try outcome.topic.examine(
                in: directory, on: disk, knownDurable: known, visitor: runs)
            if found.verdict == .newer { return nil }
            if found.verdict <= .zeroTail {
                return try isSound(outcome.topic) ? outcome : nil
            }
            if found.durableBelow > 0 { known = max(known ?? 0, found.durableBelow - 1) }
            let facts = runs.facts(found)
            if pass == 0, let active = facts.last, let from = active.tornFrom,
                let base = active.base
            {
                outcome.torn = (from, base &+ from)
            }
            let before = outcome.topic
            try improve(&outcome, facts, found)
            if outcome.topic == before { return nil }
        }
        return nil
    }

    /// Judged by the evidence that will be there.
    private func isSound(_ topic: PlannedTopic) throws(DiskError) -> Bool {
        let found = try topic.examine(in: directory, on: disk, knownDurable: acknowledged)
        return found.verdict <= .zeroTail && !found.findings.contains { $0.kind.isDamage }
    }

    /// One pass: sets aside a segment that does not belong, or mends all of them.
    private func improve(
        _ outcome: inout Outcome, _ facts: [SegmentFacts], _ found: Examination
    ) throws(DiskError) {
        var facts = facts
        if let name = unneeded(facts) ?? SegmentConflict.stranger(facts) {
            return drop(name, facts, &outcome)
        }
        facts.removeAll { $0.isSealed && $0.size == 0 }
        if let name = try resolveOverlaps(&facts, outcome.topic) {
            return drop(name, facts, &outcome)
        }
        if found.active != .made {
            let id = facts.last?.nextID ?? 0
            facts.append(
                SegmentFacts(
                    name: .active, size: 0, base: nil, firstID: id,
                    nextID: max(id, found.nextID), messages: 0, verdict: .clean, runs: []))
        }
        shareLost(&facts)
        try mend(facts, &outcome)
    }

    /// Where the end of a segment is gone and the mark of the active one too, nothing says how the
    /// lost ids were shared between them. The earlier one needs one of them if its gap is no
    /// length that marks have: else a message that is there would have to give way.
    private func shareLost(_ facts: inout [SegmentFacts]) {
        guard facts.count > 1, let active = facts.last, let first = active.runs.first,
            !(first.start == 0 && first.beginsWithMark), first.firstID > active.firstID,
            let position = active.base
        else { return }
        let before = facts[facts.count - 2]
        let mark = UInt64(FrameLayout.smallestFrame)
        guard let from = before.base, let last = before.runs.last, !last.endsInLost,
            before.keptNextID == active.firstID, first.start >= mark
        else { return }
        let room = position &- (from &+ last.end)
        guard room <= before.size, room >= mark, room % mark != 0,
            GapFill.pieces(
                bytes: first.start - mark, ids: first.firstID - active.firstID - 1,
                at: .init(id: 0, position: 0, timestamp: 0)) != nil
        else { return }
        facts[facts.count - 1].firstID += 1
    }

    private func drop(_ name: SegmentName, _ facts: [SegmentFacts], _ outcome: inout Outcome) {
        outcome.topic.segments[name] = nil
        guard let index = facts.firstIndex(where: { $0.name == name }) else { return }
        let others = facts.indices.filter { $0 != index }.map { facts[$0].keptNextID }
        if facts[index].keptNextID > others.max() ?? 0 { outcome.losesMore = true }
    }

    /// An empty file under a sealed name is no segment, and none may stand for one that is gone.
    private func unneeded(_ facts: [SegmentFacts]) -> SegmentName? {
        for (index, segment) in facts.enumerated() where segment.isSealed && segment.size == 0 {
            let next = index + 1 < facts.count ? facts[index + 1].firstID : segment.firstID
            let before = index > 0 ? facts[index - 1].keptNextID : segment.firstID
            if next != segment.firstID || before != segment.firstID { return segment.name }
        }
        return nil
    }

    private func resolveOverlaps(
        _ facts: inout [SegmentFacts], _ topic: PlannedTopic
    ) throws(DiskError) -> SegmentName? {
        for index in facts.indices.dropLast() {
            let earlier = facts[index]
            let later = facts[index + 1]
            let overlaps = later.firstID < earlier.keptNextID
            guard overlaps || beginsBeforeEnd(earlier, later),
                let content = topic.segments[earlier.name]
            else { continue }
            let conflict = SegmentConflict(disk: disk, directory: directory)
            switch try conflict.resolve(earlier, content, later) {
            case .drop(let name): return name
            case .shorten(let runs):
                // Only what the later segment holds as well may go.
                if !overlaps, runs.last?.nextID != earlier.keptNextID { return later.name }
                facts[index].runs = runs
                facts[index].nextID = later.firstID
            }
        }
        return nil
    }

    private func beginsBeforeEnd(_ earlier: SegmentFacts, _ later: SegmentFacts) -> Bool {
        guard let from = earlier.base, let position = later.base, let last = earlier.runs.last
        else { return false }
        return Int64(bitPattern: position &- (from &+ last.end)) < 0
    }

    // MARK: Mending

    private func mend(
        _ facts: [SegmentFacts], _ outcome: inout Outcome
    ) throws(DiskError) {
        let bases = facts.indices.map { base(of: $0, in: facts) }
        var end: (position: UInt64, timestamp: UInt64)?
        for (index, segment) in facts.enumerated() {
            let isLast = index + 1 == facts.count
            let nextIsNew = !isLast && facts[index + 1].size == 0
            let path = segment.name.path(in: directory)
            let content = outcome.topic.segments[segment.name]
            var base = bases[index] ?? end?.position
            if base == nil { base = try start(before: index, bases, facts, outcome.topic) }
            var plan = SegmentPlan(
                segment, content ?? .pieces([], source: nil), base: base ?? 0,
                timestamp: end?.timestamp ?? segment.runs.first?.firstTimestamp ?? now,
                on: disk, path: path)
            do {
                try plan.build(
                    isLast || nextIsNew
                        ? .open
                        : .joins(id: facts[index + 1].firstID, position: bases[index + 1]))
            } catch let error as DiskError {
                throw error
            } catch {
                return drop(facts[index + 1].name, facts, &outcome)
            }
            if plan.givesUpFrames { outcome.losesMore = true }
            if !plan.isUnchanged {
                outcome.topic.segments[segment.name] = .pieces(plan.pieces, source: content)
            }
            end = (plan.endPosition, plan.timestamp)
        }
    }

    /// Position of offset 0 of the file to be; nil where the segment before tells it.
    private func base(of index: Int, in facts: [SegmentFacts]) -> UInt64? {
        let segment = facts[index]
        guard let base = segment.base else { return nil }
        guard let first = segment.runs.first, !(first.start == 0 && first.beginsWithMark),
            first.firstID >= segment.firstID
        else { return base }
        let mark = UInt64(FrameLayout.smallestFrame)
        let ids = first.firstID - segment.firstID
        let anywhere = FrameEncoder.Place(id: segment.firstID, position: base, timestamp: 0)
        if first.start >= mark,
            GapFill.pieces(bytes: first.start - mark, ids: ids, at: anywhere) != nil
        {
            return base
        }
        // The mark was cut off, or something was put before it: the frames move, and go on saying
        // where they stand.
        let moved = base &+ first.start &- (mark + GapFill.fewestBytes(forIDs: ids))
        guard index > 0 else { return moved }
        let before = facts[index - 1]
        guard let from = before.base, let last = before.runs.last else { return base }
        let end = from &+ last.end
        let fits = moved == end || moved > end && segment.firstID > before.keptNextID
        return fits ? moved : base
    }

    /// Where a log begins whose first segment says nothing: so that the next one fits.
    private func start(
        before index: Int, _ bases: [UInt64?], _ facts: [SegmentFacts], _ topic: PlannedTopic
    ) throws(DiskError) -> UInt64 {
        let room = max(facts[index].size, UInt64(2 * FrameLayout.smallestFrame + 8))
        if index + 1 < facts.count, let next = bases[index + 1], next >= room {
            return next - room
        }
        // The same again when a repair that was interrupted is run again, and nothing that anybody
        // outside knows: the bytes of a log hold the random start that it had.
        if let content = topic.segments[facts[index].name] {
            let path = facts[index].name.path(in: directory)
            let file = try content.open(on: disk, as: path)
            defer { file.close() }
            return try Print.of(file).hash % FrameLayout.firstPositionLimit
        }
        return UInt64.random(in: 0..<FrameLayout.firstPositionLimit)
    }
}
