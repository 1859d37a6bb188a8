internal import SystemPackage
internal import WAL

/// Makes a sound topic of the segments as an examination has found them.
struct TopicMending {
    let disk: any Disk
    let directory: FilePath
    /// The segments as they were examined.
    let topic: PlannedTopic
    /// The log must not end below it.
    let nextID: UInt64
    /// Nanoseconds since 1970, for a log without any frame.
    let now: UInt64

    /// A way to mend them, and how many whole messages it gives up.
    private struct Way {
        var topic = PlannedTopic()
        /// With which id the active segment begins.
        var activeID: UInt64 = 0
        var givenUp: UInt64 = 0
    }

    /// A segment cannot be made to reach the next one.
    private struct Broken: Error {
        /// Of the segment.
        var index: Int
    }

    func mend(
        _ facts: [SegmentFacts], _ found: Examination
    ) throws(DiskError) -> PlannedTopic {
        let chain = SegmentChain(disk: disk, directory: directory, topic: topic)
        let arranged = try chain.arrange(facts)
        var way = try way(arranged, found)
        // What only stands for something lost must not cost what is there: the segment before says
        // as well that it is lost, and a log may begin with any id.
        let standsIn = { (index: Int) in
            arranged[index].runs.isEmpty && arranged[index].name != .active
        }
        for fewer in [{ $0 > 0 && standsIn($0) }, standsIn] where way.givenUp > 0 {
            let other = try self.way(
                arranged.indices.filter { !fewer($0) }.map { arranged[$0] }, found)
            if other.givenUp < way.givenUp { way = other }
        }
        keepEmptyFiles(facts, in: &way)
        return way.topic
    }

    /// An empty file under a sealed name is no segment, and does no harm where the active one
    /// begins with the id that it is named by: a rename may replace it.
    private func keepEmptyFiles(_ facts: [SegmentFacts], in way: inout Way) {
        let sealed = way.topic.segments.keys.compactMap {
            if case .sealed(let first) = $0 { first } else { nil }
        }
        for segment in facts where segment.isSealed && segment.size == 0 {
            guard way.activeID == segment.firstID, sealed.allSatisfy({ $0 < segment.firstID })
            else { continue }
            way.topic.segments[segment.name] = topic.segments[segment.file]
        }
    }

    /// Gives up segments until each of the rest reaches the next one.
    private func way(
        _ arranged: [SegmentFacts], _ found: Examination
    ) throws(DiskError) -> Way {
        var segments = arranged
        var dropped: UInt64 = 0
        while true {
            var all = segments
            if all.last?.name != .active {
                let id = all.last?.nextID ?? 0
                all.append(
                    SegmentFacts(
                        .active, size: 0, base: nil, firstID: id,
                        nextID: max(id, found.nextID)))
            }
            do {
                var way = try build(all)
                way.givenUp += dropped
                return way
            } catch let broken as Broken {
                let index = weaker(broken.index, segments)
                dropped += segments[index].messages
                segments.remove(at: index)
            } catch let error as DiskError {
                throw error
            } catch { preconditionFailure("only these errors are thrown above: \(error)") }
        }
    }

    /// Which of a segment and the next one has less to lose.
    private func weaker(_ index: Int, _ segments: [SegmentFacts]) -> Int {
        guard index + 1 < segments.count else { return index }
        let here = (segments[index].runs.isEmpty ? 0 : 1, segments[index].messages)
        let behind = (segments[index + 1].runs.isEmpty ? 0 : 1, segments[index + 1].messages)
        return here < behind ? index : index + 1
    }

    private func build(_ segments: [SegmentFacts]) throws -> Way {
        let starts = starts(segments)
        var way = Way()
        var end: (position: UInt64, timestamp: UInt64)?
        for (index, segment) in segments.enumerated() {
            var segment = segment
            let isLast = index + 1 == segments.count
            let nextIsNew = !isLast && segments[index + 1].size == 0
            if segment.isSealed { segment.name = .sealed(first: starts[index].firstID) }
            // One without any message may stand before one that begins with the same id.
            if way.topic.segments[segment.name] != nil { throw Broken(index: index - 1) }
            let content = topic.segments[segment.file]
            var base = starts[index].base ?? end?.position
            if base == nil { base = try start(before: index, starts, segments) }
            var plan = SegmentPlan(
                segment, content ?? .pieces([], source: nil),
                start: SegmentStart(base: base ?? 0, firstID: starts[index].firstID),
                timestamp: end?.timestamp ?? firstTimestamp(of: segments[index...]) ?? now,
                on: disk, path: segment.file.path(in: directory))
            do {
                try plan.build(
                    isLast || nextIsNew
                        ? .open(nextID: isLast ? nextID : 0) : goal(before: index + 1, starts))
            } catch is SegmentPlan.DoesNotJoin { throw Broken(index: index) }
            way.givenUp += plan.givenUp
            way.topic.segments[segment.name] =
                plan.isUnchanged ? content : .pieces(plan.pieces, source: content)
            if segment.name == .active { way.activeID = starts[index].firstID }
            end = (plan.endPosition, plan.timestamp)
        }
        return way
    }

    /// That of the first frame that is kept: what is made up before it must not be later.
    private func firstTimestamp(of segments: ArraySlice<SegmentFacts>) -> UInt64? {
        segments.lazy.compactMap(\.runs.first?.firstTimestamp).first
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
    private func starts(_ segments: [SegmentFacts]) -> [SegmentStart] {
        var starts: [SegmentStart] = []
        var before: SegmentStart.Before?
        for (index, segment) in segments.enumerated() {
            var start = SegmentStart(segment, after: before)
            if segment.runs.isEmpty, index + 1 < segments.count {
                // A first segment of which nothing is kept begins where it suits the next one, and
                // any other goes on being as long as it was.
                if index == 0 {
                    start.base = nil
                } else {
                    start.suit(segments[index + 1], size: segment.size, after: before)
                }
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
        before index: Int, _ starts: [SegmentStart], _ segments: [SegmentFacts]
    ) throws(DiskError) -> UInt64 {
        if index + 1 < segments.count, let next = starts[index + 1].base {
            let lost = starts[index + 1].firstID &- starts[index].firstID
            let mark = UInt64(FrameLayout.smallestFrame)
            let fewest = mark + GapFill.fewestBytes(forIDs: lost)
            let room = lost == 0 ? mark : max(segments[index].size, fewest)
            if next >= fewest { return next - min(room, next) }
        }
        // The same again when a repair that was interrupted is run again, and nothing that anybody
        // outside knows: the bytes of a log hold the random start that it had.
        let file = segments[index].file
        if let content = topic.segments[file] {
            let bytes = try content.open(on: disk, as: file.path(in: directory))
            defer { bytes.close() }
            return try Print.of(bytes).hash % FrameLayout.firstPositionLimit
        }
        return UInt64.random(in: 0..<FrameLayout.firstPositionLimit)
    }
}
