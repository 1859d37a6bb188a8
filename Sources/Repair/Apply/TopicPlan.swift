internal import DataDirectory
internal import Inspection
internal import SystemPackage
internal import WAL

/// One file that a repair changes.
struct FileChange: Sendable {
    /// In the topic's directory.
    var name: String
    /// What it becomes; nil if it is taken away.
    var content: PlannedContent?
    /// The segment that it is, if it is one.
    var segment: SegmentName?
    /// A second name while bytes change places: taken away again once all is done.
    var isTransient = false
    /// For people.
    var detail: String
}

/// All that a repair does to one topic, and what the topic was when that was planned.
struct TopicPlan: Sendable {
    var report: TopicReport
    var changes: [FileChange] = []
    /// The segments as they will be.
    var topic = PlannedTopic()
    var acknowledged: UInt64?
    /// Size, time and identity of every file that the plan relies on.
    var seen: [String: FileStatus] = [:]
    var problem: RepairError?
}

/// Plans the repair of one topic under its lock. Reads; writes nothing.
struct TopicPlanning {
    let target: TopicTarget
    let storage: Storage
    let now: UInt64
    /// In how many passes a plan has to come to an end.
    let passes: Int
    private var disk: any Disk { storage.disk }

    init(_ target: TopicTarget, on storage: Storage, now: UInt64, passes: Int = 64) {
        self.target = target
        self.storage = storage
        self.now = now
        self.passes = passes
    }

    /// Examines the topic. The plan has no changes if there is nothing to do, or if nothing may be
    /// done: a newer version's log, an I/O error, the Go program's.
    func plan() -> TopicPlan {
        let survey = TopicSurvey(target, on: storage, holdsLock: true)
        var plan = TopicPlan(report: TopicReport(topic: target.name))
        do throws(DiskError) {
            plan.seen = try seen()
            plan.report = survey.run()
            guard plan.report.error == nil, plan.report.verdict < .newer,
                plan.report.findings.contains(where: { $0.severity > .remark })
            else { return plan }
            guard !plan.report.isNewer else {
                plan.problem = .newer(target.directory)
                return plan
            }
            try planFiles(&plan)
        } catch {
            plan.report.error = error
            plan.report.verdict = .error
            plan.changes = []
        }
        return plan
    }

    /// What a check tells: what was found, and in words where a repair would have to give up frames
    /// beside it. Those are there, so none of them is lost yet. A log in use is not repaired.
    func check(holdsLock: Bool) -> TopicReport {
        let report = TopicSurvey(target, on: storage, holdsLock: holdsLock).run()
        guard report.verdict == .damaged, !report.isNewer, !report.isLive else { return report }
        var plan = TopicPlan(report: report)
        do throws(DiskError) {
            try planFiles(&plan)
        } catch { return report }
        var foretold = report
        for index in report.findings.indices {
            foretold.findings[index].detail = plan.report.findings[index].detail
        }
        return foretold
    }

    private func planFiles(_ plan: inout TopicPlan) throws(DiskError) {
        switch target.kind {
        case .native: try planTopic(&plan)
        case .loneSegment(let file): try planLone(file, &plan)
        case .go: break
        }
    }

    /// What is there, to tell later whether it has changed.
    func seen() throws(DiskError) -> [String: FileStatus] {
        var seen: [String: FileStatus] = [:]
        let file: String? = if case .loneSegment(let file) = target.kind { file } else { nil }
        // A link counts as what it leads to.
        for entry in try disk.list(target.directory) where entry.kind != .directory {
            let name = entry.name.string
            if let file, file != name { continue }
            if let status = try disk.status(target.directory.appending(name)), status.kind == .file
            {
                // A second name changes the time of change, but not the file.
                seen[name] = FileStatus(
                    kind: status.kind, size: status.size, device: status.device,
                    inode: status.inode, modified: status.modified, changed: 0,
                    access: status.access)
            }
        }
        return seen
    }

    // MARK: A topic

    private func planTopic(_ plan: inout TopicPlan) throws(DiskError) {
        let offsets = target.directory.appending(DataLayout.offsetsName)
        do {
            plan.acknowledged = try OffsetsFile(offsets, storage: storage).load()?
                .highestAcknowledged?.rawValue
        } catch {
            if case .io(let error) = error { throw error }
            plan.changes.append(
                FileChange(
                    name: DataLayout.offsetsName, content: nil,
                    detail: "\(error); consumers start over"))
        }
        var start = PlannedTopic()
        for name in SegmentListing(try disk.list(target.directory)).names {
            start.segments[name] = .file(name.path(in: target.directory))
        }
        try planSegments(start, &plan) { $0.fileName }
        // Where nothing is mended, nothing is tidied up either, or the exit would say "repaired".
        guard plan.problem == nil else { return }
        for finding in plan.report.findings where finding.kind == .staleTemp {
            plan.changes.append(
                FileChange(name: finding.segment, content: nil, detail: finding.detail))
        }
        if let only = target.onlyFile { restrict(&plan, to: only, start) }
    }

    /// Leaves out what is done to other segments. A damaged offsets.json is reported with each of
    /// them and goes with it: what is cut behind it could be what it once acknowledged. Where the
    /// file's own bytes get another name, or another file's bytes its name, one is nothing without
    /// the other.
    private func restrict(_ plan: inout TopicPlan, to only: String, _ start: PlannedTopic) {
        let file = target.directory.appending(only)
        let isMoved = plan.changes.contains {
            TopicPlanning.isMoved($0, start)
                && ($0.name == only || $0.content?.original == .file(file))
        }
        if isMoved {
            plan.problem = .misnamed(file)
            plan.changes = []
        }
        plan.changes.removeAll {
            $0.name != only && $0.name != DataLayout.offsetsName
                && !(only == SegmentName.activeName && $0.name.hasPrefix(only))
        }
    }

    /// Whether a segment gets bytes that have another name.
    private static func isMoved(_ change: FileChange, _ start: PlannedTopic) -> Bool {
        guard let segment = change.segment, let content = change.content?.original else {
            return false
        }
        return content != start.segments[segment]
    }

    private func planLone(_ file: String, _ plan: inout TopicPlan) throws(DiskError) {
        var start = PlannedTopic()
        start.segments[.active] = .file(target.directory.appending(file))
        try planSegments(start, &plan) { _ in file }
    }

    private func planSegments(
        _ start: PlannedTopic, _ plan: inout TopicPlan, fileName: (SegmentName) -> String
    ) throws(DiskError) {
        let planner = TopicPlanner(
            disk: disk, directory: target.directory, acknowledged: plan.acknowledged, now: now,
            passes: passes)
        guard let outcome = try planner.plan(start) else {
            plan.problem = .noPlan(target.directory)
            plan.changes = []
            return
        }
        plan.topic = outcome.topic
        let givenUp = outcome.givenUp.filter {
            target.onlyFile == nil || target.onlyFile == fileName($0.segment)
        }
        if !givenUp.isEmpty {
            plan.report.add(givenUp, fileName: fileName)
        }
        if let torn = outcome.torn, case .native = target.kind {
            try planKeptTail(torn, &plan)
        }
        let moved = Set(outcome.topic.segments.values.map(\.original))
        let names = Set(start.segments.keys).union(outcome.topic.segments.keys)
        for name in names.sorted(by: { $0.fileName < $1.fileName }) {
            let new = outcome.topic.segments[name]
            guard start.segments[name] != new else { continue }
            let isElsewhere = new == nil && moved.contains(start.segments[name])
            let findings = plan.report.findings.filter {
                $0.segment == fileName(name) && $0.severity > .remark
            }
            let why = Set(findings.map(\.kind.rawValue)).sorted().joined(separator: ", ")
            plan.changes.append(
                FileChange(
                    name: fileName(name), content: new, segment: name,
                    detail: isElsewhere
                        ? "its bytes are under their own name" : TopicPlanning.detail(new, why)))
        }
        plan.changes = inOrder(plan.changes, start)
    }

    /// Whatever stops the repair, each message is in a file that it will find again. So a file
    /// whose bytes get another name is there before its old name goes to another one. And files are
    /// taken away when the ones that stay say all that they proved.
    private func inOrder(_ changes: [FileChange], _ start: PlannedTopic) -> [FileChange] {
        let isRemoved = { (change: FileChange) in change.segment != nil && change.content == nil }
        let isMoved = { (change: FileChange) in TopicPlanning.isMoved(change, start) }
        var moves = MoveOrder(start)
        return moves.order(changes.filter(isMoved), besides: changes)
            + changes.filter { !isMoved($0) && !isRemoved($0) } + changes.filter(isRemoved)
    }

    private static func detail(_ content: PlannedContent?, _ why: String) -> String {
        if case .file(let old)? = content {
            return "the bytes of \(old.lastComponent?.string ?? old.string), under its own name"
        }
        guard case .pieces(let pieces, _)? = content else {
            return "it does not go with the segments that stay" + (why.isEmpty ? "" : " (\(why))")
        }
        var kept: UInt64 = 0
        var lost: UInt64 = 0
        for piece in pieces {
            switch piece {
            case .kept(_, let bytes): kept += bytes
            case .lost(let ids, _, _): lost += ids
            case .marks: break
            }
        }
        var text = "\(kept) bytes kept"
        if lost > 0 { text += ", lost frames for \(lost) \(lost == 1 ? "message" : "messages")" }
        return text + (why.isEmpty ? "" : " (\(why))")
    }

    /// The torn tail goes beside the segment, as opening would put it there.
    private func planKeptTail(
        _ torn: (file: SegmentName, offset: UInt64, position: UInt64), _ plan: inout TopicPlan
    ) throws(DiskError) {
        let path = torn.file.path(in: target.directory)
        guard let size = try disk.status(path)?.size, size > torn.offset else { return }
        let tail = PlannedContent.pieces(
            [.kept(offset: torn.offset, bytes: size - torn.offset)], source: .file(path))
        let base = "\(SegmentName.activeName).torn-\(torn.position)"
        var number = 1
        while true {
            let name = number == 1 ? base : "\(base).\(number)"
            guard
                let there = try Print.of(target.directory.appending(name), on: disk)
            else {
                plan.changes.append(
                    FileChange(name: name, content: tail, detail: "the torn tail"))
                return
            }
            let file = try tail.open(on: disk, as: path)
            defer { file.close() }
            if try Print.of(file) == there { return }
            number += 1
        }
    }
}
