import Glibc
import Simulation
import SystemPackage
import Threads
import WAL

// The crash exploration as a program. tools/crash and tools/mutants build and run it; see there.

let arguments: Arguments
do {
    arguments = try Arguments(CommandLine.arguments.dropFirst())
} catch {
    refuse("\(error)\n\(Arguments.usage)")
}

switch arguments.task {
case .help: print(Arguments.usage, terminator: "")
case .jobs: for job in Job.all(seed: arguments.seed) { print(job.name) }
case .mutants: for mutant in Mutant.allCases { print(mutant.name) }
case .replay(let job, let state): replay(job, state, arguments)
case .mutant(let mutant): hunt(mutant, arguments)
case .explore: exploreAll(arguments)
}

/// Wrong usage.
func refuse(_ reason: String) -> Never {
    _ = try? FileDescriptor.standardError.writeAll("crash-explorer: \(reason)".utf8)
    exit(64)
}

/// Also where nobody looks until the end: a pipe.
func tell(_ line: String) {
    print(line)
    fflush(nil)
}

/// Plays every job and tells how many states there were.
func exploreAll(_ arguments: Arguments) {
    let jobs = Job.all(seed: arguments.seed)
    let failures = Monitor(0)
    let results = Job.run(jobs, arguments.effort, threads: arguments.threads) { job, result in
        tell("\(result.states) states in \(Int(result.seconds.rounded())) s: \(job.name)")
        for failure in result.failures { tell("FAILED \(failure)") }
        if let first = result.failures.first {
            print(
                "play it again: tools/crash --\(arguments.effortName) --seed \(arguments.seed) "
                    + "--replay '\(job.name)' --state \(first.state)")
        }
        failures.withLock { $0 += result.failures.count }
        return true
    }
    let states = results.reduce(0) { $0 + ($1?.states ?? 0) }
    if arguments.asTable { printTable(jobs, results) }
    let failed = failures.withLock { $0 }
    print(
        "\(states) crash states of \(Workload.all.count) workloads (seed \(arguments.seed)), "
            + "\(failed) failures")
    if states < arguments.atLeast {
        print("FAILED: at least \(arguments.atLeast) were to be explored")
    }
    exit(failed == 0 && states >= arguments.atLeast ? 0 : 1)
}

/// The rows of docs/CRASH-MODEL.md.
func printTable(_ jobs: [Job], _ results: [Job.Result?]) {
    var total = 0
    print("| workload | crashes | failing calls | wrong reads |\n|---|---|---|---|")
    for workload in Workload.all {
        var counts: [Workload.Trial: Int] = [:]
        for (job, result) in zip(jobs, results) where job.workload.name == workload.name {
            counts[job.trial, default: 0] += result?.states ?? 0
        }
        let cells = [
            counts[.crashes] ?? 0, (counts[.faults] ?? 0) + (counts[.faultsAndKill] ?? 0),
            counts[.reads] ?? 0,
        ]
        total += cells.reduce(0, +)
        let texts = cells.map { $0 == 0 ? "" : String($0) }
        print("| \(workload.name) | \(texts.joined(separator: " | ")) |")
    }
    print("| **all: \(total)** | | | |")
}

/// Plays one job up to one state and tells all about it.
func replay(_ name: String, _ state: Int, _ arguments: Arguments) {
    guard let job = Job.all(seed: arguments.seed).first(where: { $0.name == name }) else {
        refuse("no job '\(name)'; --jobs lists them\n")
    }
    let result = job.run(arguments.effort, watch: (state, { print($0) }))
    for failure in result.failures { print("FAILED \(failure)") }
    print("\(result.states) states")
    exit(result.failures.isEmpty ? 0 : 1)
}

/// Explores until the mistake is found; 1 if it survives.
func hunt(_ mutant: Mutant, _ arguments: Arguments) {
    guard Mutant.areBuiltIn else {
        refuse("this build has no mutants; use tools/mutants\n")
    }
    Mutant.choose(mutant)
    let states = Monitor(0)
    let caught = Monitor<Exploration.Failure?>(nil)
    _ = Job.run(
        Job.all(seed: arguments.seed).sorted { $0.order < $1.order }, arguments.effort,
        threads: arguments.threads, failureLimit: 1
    ) { _, result in
        states.withLock { $0 += result.states }
        guard let failure = result.failures.first else { return true }
        caught.withLock { $0 = $0 ?? failure }
        return false
    }
    let count = states.withLock { $0 }
    guard let failure = caught.withLock({ $0 }) else {
        print("SURVIVED \(mutant.name): \(count) states")
        exit(1)
    }
    print("caught \(mutant.name): \(failure.workload), state \(failure.state): \(failure.reason)")
}
