internal import DataDirectory
package import Inspection
package import SystemPackage
package import WAL

/// Repairs all that a path stands for.
package struct Repair {
    package enum Mode: Sendable {
        /// Only what opening a log would do by itself; nothing at all if anything is worse.
        case preen
        /// All that can be repaired.
        case all
    }

    private let target: Target
    private let mode: Mode
    private let storage: Storage
    private let now: UInt64
    private var disk: any Disk { storage.disk }

    /// - Parameter now: nanoseconds since 1970; names the directory for what is set aside.
    package init(_ target: Target, mode: Mode, on storage: Storage, now: UInt64) {
        self.target = target
        self.mode = mode
        self.storage = storage
        self.now = now
    }

    /// What was found before anything was changed, what was done, and the exit code for both.
    package struct Outcome: Sendable {
        package var report: InspectionReport
        package var bits: ExitBits = []
        /// What went wrong, by topic.
        package var problems: [(topic: String, error: RepairError)] = []
        /// Where the old files are; nil if none was changed.
        package var keptIn: FilePath?

        /// What a check has found.
        package init(report: InspectionReport) {
            self.report = report
            bits = report.exitBits
        }
    }

    /// Changes nothing and tells what is wrong, as a repair will tell it.
    package func check(
        isCancelled: () -> Bool = { false },
        progress: (_ topic: String, _ number: Int, _ count: Int) -> Void = { _, _, _ in }
    ) -> Outcome {
        let report = Inspection.run(
            target, on: storage, isCancelled: isCancelled, progress: progress
        ) { topic in
            TopicPlanning(topic, on: storage, now: now).check(holdsLock: false)
        }
        return Outcome(report: report)
    }

    /// Does it. Blocks; one thread.
    ///
    /// - Parameters:
    ///   - progress: is told before each topic, with how many there are.
    ///   - isCancelled: is asked before each topic.
    package func run(
        isCancelled: () -> Bool = { false },
        progress: (_ topic: String, _ number: Int, _ count: Int) -> Void = { _, _, _ in }
    ) -> Outcome {
        var outcome = Outcome(report: InspectionReport(path: target.path.string))
        outcome.report.findings = target.foreignFindings
        let dataGuard = DataGuard(
            target.topics.lazy.compactMap(\.dataDirectory).first, on: disk)
        do {
            try dataGuard.takeIfThere()
        } catch {
            for topic in target.topics { fail(topic.name, error, &outcome) }
            if target.topics.isEmpty { outcome.bits = .operational }
            return outcome
        }
        let place: LostAndFound
        do {
            place = LostAndFound(root: try root(), path: target.path, time: now, on: disk)
        } catch {
            for topic in target.topics { fail(topic.name, .io(error), &outcome) }
            return outcome
        }
        if mode == .preen, !surveyBeforePreen(&outcome, isCancelled, progress) { return outcome }
        for (index, topic) in target.topics.enumerated() {
            if isCancelled() {
                pass(over: topic, &outcome)
                continue
            }
            progress(topic.name, index + 1, target.topics.count)
            repair(topic, place, dataGuard, &outcome)
        }
        if place.isNeeded { outcome.keptIn = place.directory }
        return outcome
    }

    /// A data directory, or what PATH is in.
    private func root() throws(DiskError) -> FilePath {
        try isDataDirectory() ? target.path : target.path.parentDirectory
    }

    private func isDataDirectory() throws(DiskError) -> Bool {
        guard try disk.status(target.path)?.kind == .directory else { return false }
        return try disk.status(target.path.appending(DataLayout.topicsName))?.kind == .directory
    }

    /// The topic's directory, named from `root`.
    private func folder(of topic: TopicTarget) throws(DiskError) -> FilePath {
        if try isDataDirectory() {
            let name = topic.directory.lastComponent?.string ?? topic.name
            return FilePath(DataLayout.topicsName).appending(name)
        }
        if try disk.status(target.path)?.kind == .file { return "" }
        return FilePath(topic.name)
    }

    private func fail(_ topic: String, _ error: RepairError, _ outcome: inout Outcome) {
        var report = TopicReport(topic: topic)
        report.verdict = .error
        report.error = error.asDiskError
        report.problem = error.description
        fail(report, error, &outcome)
    }

    private func fail(
        _ report: TopicReport, _ error: RepairError, _ outcome: inout Outcome
    ) {
        outcome.report.topics.append(report)
        outcome.problems.append((report.topic, error))
        outcome.bits.formUnion(report.exitBits)
    }

    private func pass(over topic: TopicTarget, _ outcome: inout Outcome) {
        outcome.report.topics.append(.cancelled(topic.name))
        outcome.bits.insert(.cancelled)
    }

    /// Looks at every topic first: preening one while another is damaged would change a directory
    /// that somebody has to look at. False if anything is worse than what opening deals with, or if
    /// not all was looked at; what was seen is the outcome then.
    private func surveyBeforePreen(
        _ outcome: inout Outcome, _ isCancelled: () -> Bool,
        _ progress: (_ topic: String, _ number: Int, _ count: Int) -> Void
    ) -> Bool {
        var seen = Outcome(report: outcome.report)
        var isSafe = true
        for (index, topic) in target.topics.enumerated() {
            if isCancelled() {
                isSafe = false
                pass(over: topic, &seen)
                continue
            }
            progress(topic.name, index + 1, target.topics.count)
            do throws(RepairError) {
                let lock = try DataGuard.take(topic.directory, on: disk)
                defer { lock.release() }
                let planning = TopicPlanning(topic, on: storage, now: now)
                let report = planning.check(holdsLock: true)
                if report.error != nil || Repair.isWorse(report) { isSafe = false }
                // What was found in the one file that was named does not say why it is not mended.
                if report.verdict < .damaged, report.isRefused, !report.exitBits.isEmpty {
                    let directory = topic.directory
                    seen.problems.append(
                        (topic.name, report.isNewer ? .newer(directory) : .refused(directory)))
                }
                seen.report.topics.append(report)
                seen.bits.formUnion(report.exitBits)
            } catch {
                isSafe = false
                fail(topic.name, error, &seen)
            }
        }
        if !isSafe { outcome = seen }
        return isSafe
    }

    /// Whether anything is worse than what opening deals with: in what was asked about, or in the
    /// log that it is of.
    private static func isWorse(_ report: TopicReport) -> Bool {
        report.isRefused || report.findings.contains { $0.severity > .expected }
    }

    private func repair(
        _ topic: TopicTarget, _ place: LostAndFound, _ dataGuard: DataGuard,
        _ outcome: inout Outcome
    ) {
        var plan = TopicPlan(report: TopicReport(topic: topic.name))
        do throws(RepairError) {
            let lock = try DataGuard.take(topic.directory, on: disk)
            defer { lock.release() }
            let planning = TopicPlanning(topic, on: storage, now: now)
            plan = planning.plan()
            if mode == .preen, Repair.isWorse(plan.report) {
                throw .changed(topic.directory)
            }
            var bits = plan.report.exitBits
            if let problem = plan.problem { outcome.problems.append((topic.name, problem)) }
            if !plan.changes.isEmpty {
                try dataGuard.take()
                let apply = TopicApply(
                    plan: plan, planning: planning, lostAndFound: place,
                    folder: try folderOrFail(topic), disk: disk)
                outcome.report.actions += try apply.run()
                bits.remove(.uncorrected)
                bits.insert(.corrected)
            }
            outcome.report.topics.append(plan.report)
            outcome.bits.formUnion(bits)
        } catch {
            var report = plan.report
            if case .partly(let actions, _) = error {
                outcome.report.actions += actions
                report.interruption = error.description
            } else {
                report.verdict = .error
                report.error = error.asDiskError
                report.problem = error.description
            }
            fail(report, error, &outcome)
        }
    }

    private func folderOrFail(_ topic: TopicTarget) throws(RepairError) -> FilePath {
        do throws(DiskError) {
            return try folder(of: topic)
        } catch { throw .io(error) }
    }
}
