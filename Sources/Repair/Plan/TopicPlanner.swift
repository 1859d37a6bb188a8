internal import SystemPackage
internal import WAL

/// Works out what the segments of a topic become. Reads; writes nothing.
///
/// What an examination keeps is kept, what it says is lost becomes `lost` frames: there is no
/// second judge. The plan is examined in its turn, as if it were on the disk, until that finds
/// nothing that is worse than a remark. What it does not keep of all that the first examination
/// kept is given up, however that came about.
struct TopicPlanner {
    let disk: any Disk
    let directory: FilePath
    /// The highest id that a consumer has acknowledged.
    let acknowledged: UInt64?
    /// Nanoseconds since 1970, for a log without any frame.
    let now: UInt64
    /// Each pass takes away or mends at least one thing; more than so many is a plan that does not
    /// come to an end, and is given up.
    let passes: Int

    /// What becomes of the segments.
    struct Outcome {
        var topic: PlannedTopic
        /// Where the torn tail of the active segment begins: in which file, and its position.
        var torn: (file: SegmentName, offset: UInt64, position: UInt64)?
        /// Messages that the examination has kept and the plan does not.
        var givenUp: [GivenUp] = []
    }

    /// The plan; nil if none was found under which the topic is sound. `topic` is what is there.
    func plan(_ start: PlannedTopic) throws(DiskError) -> Outcome? {
        var outcome = Outcome(topic: start)
        var kept: KeptRuns?
        // The log must not end below it: ids are not given out twice, those of messages that had to
        // be given up neither.
        var nextID: UInt64 = 0
        var strangers: Set<SegmentName> = []
        // What was proved once stays proved, also when the proof is set aside.
        var known = acknowledged
        for _ in 0..<passes {
            let runs = KeptRuns()
            var found = try outcome.topic.examine(
                in: directory, on: disk, knownDurable: known, visitor: runs)
            runs.finish()
            if found.verdict == .newer { return nil }
            if found.verdict <= .zeroTail {
                guard try isSound(outcome.topic) else { return nil }
                if let kept { outcome.givenUp = try missing(kept, in: runs, start, strangers) }
                return outcome
            }
            if found.durableBelow > 0 { known = max(known ?? 0, found.durableBelow - 1) }
            nextID = max(nextID, found.nextID)
            let facts = runs.facts(found)
            // There may be very many, and nothing below asks for them.
            found.findings = []
            if kept == nil {
                kept = runs
                strangers = SegmentChain(disk: disk, directory: directory, topic: start)
                    .strangers(facts)
                if let active = facts.last, let from = active.tornFrom, let base = active.base {
                    outcome.torn = (active.file, from, base &+ from)
                }
            }
            let mending = TopicMending(
                disk: disk, directory: directory, topic: outcome.topic, nextID: nextID, now: now)
            let mended = try mending.mend(facts, found)
            if mended == outcome.topic { return nil }
            outcome.topic = mended
        }
        return nil
    }

    /// Judged by the evidence that will be there.
    private func isSound(_ topic: PlannedTopic) throws(DiskError) -> Bool {
        let found = try topic.examine(in: directory, on: disk, knownDurable: acknowledged)
        return found.verdict <= .zeroTail && !found.findings.contains { $0.kind.isDamage }
    }

    /// The messages that were kept in `before` and are not in `after`, and where each was.
    private func missing(
        _ before: KeptRuns, in after: KeptRuns, _ topic: PlannedTopic,
        _ strangers: Set<SegmentName>
    ) throws(DiskError) -> [GivenUp] {
        var missing = before.messages.subtracting(after.messages)
        var givenUp: [GivenUp] = []
        for (name, runs) in before.runs.sorted(by: { $0.key.fileName < $1.key.fileName }) {
            for run in runs where run.messages > 0 {
                var others: [ClosedRange<UInt64>] = []
                for ids in missing {
                    guard ids.overlaps(run.firstID...run.nextID - 1) else {
                        others.append(ids)
                        continue
                    }
                    let here = ids.clamped(to: run.firstID...run.nextID - 1)
                    let offset = try self.offset(of: here.lowerBound, in: run, of: name, topic)
                    givenUp.append(
                        GivenUp(
                            segment: name, offset: offset, ids: here,
                            isForeign: strangers.contains(name)))
                    if ids.lowerBound < here.lowerBound {
                        others.append(ids.lowerBound...here.lowerBound - 1)
                    }
                    if ids.upperBound > here.upperBound {
                        others.append(here.upperBound + 1...ids.upperBound)
                    }
                }
                missing = others
            }
        }
        return givenUp
    }

    private func offset(
        of id: UInt64, in run: KeptRun, of name: SegmentName, _ topic: PlannedTopic
    ) throws(DiskError) -> UInt64 {
        let path = name.path(in: directory)
        guard let file = try topic.segments[name]?.open(on: disk, as: path) else {
            return run.start
        }
        defer { file.close() }
        var walker = FrameWalker(file, from: run.start, to: run.end)
        var offset = run.start
        while case .frame(let frame) = try walker.next(id: nil, base: nil), frame.nextID <= id {
            offset = walker.offset
        }
        return offset
    }
}
