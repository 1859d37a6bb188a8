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
        /// Which ones, as far as their ids are nobody else's.
        var givenUp: [GivenUp] = []
        /// The log must not end below it: ids are not given out twice, those of messages that
        /// had to be given up neither.
        var nextID: UInt64 = 0
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
            outcome.nextID = max(outcome.nextID, found.nextID)
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
        for index in facts.indices.dropFirst() where !facts[index].hasMark {
            if let end = facts[index - 1].keptEnd { facts[index].leaveOutMarks(before: end) }
        }
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
        try mend(facts, &outcome)
    }

    private func drop(_ name: SegmentName, _ facts: [SegmentFacts], _ outcome: inout Outcome) {
        outcome.topic.segments[name] = nil
        guard let index = facts.firstIndex(where: { $0.name == name }) else { return }
        let others = facts.indices.filter { $0 != index }.map { facts[$0].keptNextID }
        let first = max(others.max() ?? 0, facts[index].firstID)
        guard first < facts[index].keptNextID else { return }
        outcome.losesMore = true
        outcome.givenUp.append(
            GivenUp(segment: name, offset: 0, ids: first...facts[index].keptNextID - 1))
    }

    /// An empty file under a sealed name is no segment, and none may stand for one that is gone. A
    /// segment of which no id is kept must not be in the way of one that has its ids.
    private func unneeded(_ facts: [SegmentFacts]) -> SegmentName? {
        for (segment, next) in zip(facts, facts.dropFirst())
        where segment.keptNextID == segment.firstID && next.firstID == segment.firstID {
            if let end = segment.keptEnd, let behind = next.keptFrom,
                SegmentStart.room(from: end, to: behind) == nil
            {
                return segment.name
            }
        }
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

    /// Where the later one's mark is gone, its beginning is chosen so that it does not.
    private func beginsBeforeEnd(_ earlier: SegmentFacts, _ later: SegmentFacts) -> Bool {
        guard later.hasMark, let end = earlier.keptEnd, let position = later.base else {
            return false
        }
        return SegmentStart.room(from: end, to: position) == nil
    }

    // MARK: Mending

    private func mend(
        _ facts: [SegmentFacts], _ outcome: inout Outcome
    ) throws(DiskError) {
        let starts = starts(facts)
        var end: (position: UInt64, timestamp: UInt64)?
        for (index, segment) in facts.enumerated() {
            let isLast = index + 1 == facts.count
            let nextIsNew = !isLast && facts[index + 1].size == 0
            let path = segment.name.path(in: directory)
            let content = outcome.topic.segments[segment.name]
            var base = starts[index].base ?? end?.position
            if base == nil { base = try start(before: index, starts, facts, outcome.topic) }
            var plan = SegmentPlan(
                segment, content ?? .pieces([], source: nil),
                start: SegmentStart(base: base ?? 0, firstID: starts[index].firstID),
                timestamp: end?.timestamp ?? segment.runs.first?.firstTimestamp ?? now,
                on: disk, path: path)
            do {
                try plan.build(
                    isLast || nextIsNew
                        ? .open(nextID: isLast ? outcome.nextID : 0)
                        : goal(before: index + 1, starts))
            } catch let error as DiskError {
                throw error
            } catch {
                // A log may begin with any id: one that has nothing left where it began need not
                // give up what stands behind that.
                let givesWay = index == 0 && segment.runs.isEmpty ? index : index + 1
                return drop(facts[givesWay].name, facts, &outcome)
            }
            if plan.givesUpMessages { outcome.losesMore = true }
            outcome.givenUp += plan.givenUp
            if !plan.isUnchanged {
                outcome.topic.segments[segment.name] = .pieces(plan.pieces, source: content)
            }
            end = (plan.endPosition, plan.timestamp)
        }
    }

    /// What the segment before `index` has to reach.
    private func goal(before index: Int, _ starts: [SegmentStart]) -> SegmentPlan.End {
        let fewest = UInt64(FrameLayout.smallestFrame) + GapFill.fewestBytes(forIDs: 2)
        var limit: UInt64?
        // Where nothing says where this one begins, it needs some room before the next that does.
        if let known = starts[index...].firstIndex(where: { $0.base != nil }),
            let base = starts[known].base
        {
            let needed = UInt64(known - index) * fewest
            limit = base >= needed ? base - needed : base
        }
        return .joins(id: starts[index].firstID, position: starts[index].base, limit: limit)
    }

    /// Where each file will begin.
    private func starts(_ facts: [SegmentFacts]) -> [SegmentStart] {
        var starts: [SegmentStart] = []
        var before: SegmentStart.Before?
        for (index, segment) in facts.enumerated() {
            var start = SegmentStart(segment, after: before)
            if segment.runs.isEmpty, index + 1 < facts.count {
                // A first segment of which nothing is kept begins where it suits the next one, and
                // any other goes on being as long as it was.
                let next = facts[index + 1]
                start.suit(
                    next: next.hasMark ? next.base : nil, size: segment.size, after: before,
                    isFirst: index == 0)
            }
            starts.append(start)
            if let end = segment.keptEnd, let last = segment.runs.last {
                before = .init(
                    position: end, nextID: last.nextID, endsInLost: last.endsInLost)
            } else {
                before = start.base.map { base in
                    .init(
                        position: base &+ UInt64(FrameLayout.smallestFrame),
                        nextID: start.firstID, endsInLost: false)
                }
            }
        }
        return starts
    }

    /// Where a log begins whose first segment says nothing: so that the next one fits.
    private func start(
        before index: Int, _ starts: [SegmentStart], _ facts: [SegmentFacts], _ topic: PlannedTopic
    ) throws(DiskError) -> UInt64 {
        if index + 1 < facts.count, let next = starts[index + 1].base {
            let lost = starts[index + 1].firstID &- starts[index].firstID
            let mark = UInt64(FrameLayout.smallestFrame)
            let fewest = mark + GapFill.fewestBytes(forIDs: lost)
            let room = lost == 0 ? mark : max(facts[index].size, fewest)
            if next >= fewest { return next - min(room, next) }
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
