internal import Threads
internal import WAL

/// How much of the family of states is played.
package struct Effort: Sendable {
    /// Outcomes of a power cut, at most.
    package var outcomes: Int
    /// The same where calls fail, since there are many more crashes then.
    package var faultOutcomes: Int
    /// One crash in so many, and one in so many during recovery.
    package var stride: Int
    package var nestedStride: Int
    /// Bits that are flipped in each read.
    package var bits: Int

    /// A glance, for builds that are not optimised.
    package static let glance = Effort(
        outcomes: 2, faultOutcomes: 1, stride: 9, nestedStride: 997, bits: 2)
    package static let taste = Effort(
        outcomes: 3, faultOutcomes: 1, stride: 3, nestedStride: 199, bits: 2)
    /// Some minutes of one core at most, optimised.
    package static let bounded = Effort(
        outcomes: 96, faultOutcomes: 4, stride: 1, nestedStride: 151, bits: 24)
    /// As much as an hour gives.
    package static let full = Effort(
        outcomes: 1024, faultOutcomes: 24, stride: 1, nestedStride: 29, bits: 400)
}

/// One exploration: a workload, a unit that may tear, and what is played around it.
package struct Job: Sendable {
    package let workload: Workload
    package let trial: Workload.Trial
    package let unitBytes: Int
    package let seed: UInt64

    /// What came of it.
    package struct Result: Sendable {
        package let states: Int
        package let failures: [Exploration.Failure]
        package let seconds: Double
    }

    /// Tells it from all others: for people, and to play it again.
    package var name: String { "\(workload.name) / \(trial.rawValue) / \(unitBytes)" }

    /// All jobs, in the order in which they are told of.
    package static func all(seed: UInt64) -> [Job] {
        Workload.all.flatMap { workload in
            workload.trials.flatMap { trial in
                // What tears is of no matter to a read, and little to a call that failed.
                workload.units.prefix(trial == .crashes ? .max : 1).map { unit in
                    Job(workload: workload, trial: trial, unitBytes: unit, seed: seed)
                }
            }
        }
    }

    /// Cheap ones first, and those that find most.
    package var order: Int {
        workload.cost * 10 + (trial == .crashes ? 0 : trial == .reads ? 2 : 1)
    }

    /// Plays it. `watch` names a state to tell all of.
    package func run(
        _ effort: Effort, failureLimit: Int = 3,
        watch: (state: Int, tell: @Sendable (String) -> Void)? = nil
    ) -> Result {
        let start = ContinuousClock.now
        let limit = trial == .crashes ? effort.outcomes : effort.faultOutcomes
        let exploration = Exploration(
            seed: seed, limit: max(limit / workload.cost, 1), unitBytes: unitBytes,
            depth: workload.depth, nestedStride: effort.nestedStride)
        exploration.stride = max(effort.stride, workload.cost / (trial == .crashes ? 50 : 1))
        exploration.failureLimit = failureLimit
        exploration.watched = watch
        if workload.cost > 1 || trial != .crashes { exploration.partsOfWrites = 2 }
        // Few states of their own: what comes behind a recovery is the point.
        if workload.depth > 2 { exploration.nestedStride = max(effort.nestedStride / 2, 1) }
        switch trial {
        case .crashes:
            exploration.explore(name, options: workload.options, workload.body)
        case .faults, .faultsAndKill:
            exploration.exploreFaults(
                name, options: workload.options,
                then: trial == .faults ? .reopens : .isKilled, workload.body)
        case .reads:
            exploration.exploreReads(
                name, options: workload.options, bits: effort.bits, workload.body)
        }
        return Result(
            states: exploration.states, failures: exploration.failures,
            seconds: (ContinuousClock.now - start) / .seconds(1))
    }

    /// Plays jobs on several threads; the results are in the order of the jobs. `done` is called
    /// by the thread that has finished one, and says whether to go on.
    package static func run(
        _ jobs: [Job], _ effort: Effort, threads: Int, failureLimit: Int = 3,
        done: @escaping @Sendable (Job, Result) -> Bool = { _, _ in true }
    ) -> [Result?] {
        let next = Monitor(0)
        let results = Monitor<[Result?]>(jobs.map { _ in nil })
        let workers = (0..<max(1, threads)).map { _ in
            OwnedThread {
                while true {
                    let index = next.withLock { next -> Int in
                        defer { next += 1 }
                        return next
                    }
                    guard index < jobs.count else { return }
                    let result = jobs[index].run(effort, failureLimit: failureLimit)
                    results.withLock { $0[index] = result }
                    if !done(jobs[index], result) { next.withLock { $0 = jobs.count } }
                }
            }
        }
        for worker in workers { worker.join() }
        return results.withLock { $0 }
    }
}
