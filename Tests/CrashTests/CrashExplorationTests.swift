import Foundation
import Simulation
import Testing

@testable import WAL

/// Every crash state of small workloads opens, with everything that was acknowledged: none is lost
/// and none is refused.
///
/// Here only some of them are played, so that a debug build is done soon; `tools/crash` plays them
/// in an optimised build, and says how to play one of them again.
@Suite struct CrashExplorationTests {
    #if DEBUG
        private static let effort = Effort.glance
    #else
        private static let effort = Effort.taste
    #endif

    static let jobs = Job.all(seed: 1)

    private func explore(_ job: Job) {
        let result = job.run(CrashExplorationTests.effort)
        for failure in result.failures { Issue.record(failure) }
        #expect(result.states > 0)
    }

    @Test(arguments: jobs.filter { $0.trial == .crashes && $0.workload.cost < 100 })
    func noCrashLosesOrRefusesAnything(_ job: Job) { explore(job) }

    @Test(arguments: jobs.filter { $0.trial == .reads })
    func aWrongReadChangesNothing(_ job: Job) { explore(job) }

    @Test(
        arguments: jobs.filter {
            ["new log, single appends", "lost ids"].contains($0.workload.name)
                && $0.trial == .faults
        })
    func aFailedCallLosesNothing(_ job: Job) { explore(job) }

    @Test func theSameSeedPlaysTheSameStates() {
        let job = CrashExplorationTests.jobs[0]
        #expect(job.run(.glance).states == job.run(.glance).states)
    }

    @Test func aBrokenPromiseIsTold() {
        let exploration = Exploration(seed: 1, limit: 4)
        exploration.explore("forgets") { run in
            run.open()
            run.append(1, bytes: 10)
            run.knowledge.acknowledged[7] = Sent([1])
        }
        let failure = exploration.failures.first
        #expect(failure?.reason.contains("message 7 was acknowledged and is gone") == true)
        #expect(failure?.trace.isEmpty == false)
    }

    @Test func theCrashModelHasARowForEachWorkload() throws {
        let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let page = try String(
            contentsOf: root.appendingPathComponent("docs/CRASH-MODEL.md"), encoding: .utf8)
        for workload in Workload.all {
            let isThere = page.contains("\n| \(workload.name) | ")
            #expect(isThere, "\(workload.name): run tools/crash --write")
        }
    }

    @Test func noMutantIsBuiltIn() {
        #expect(!Mutant.areBuiltIn)
        #expect(Mutant.allCases.allSatisfy { !$0.isOn })
    }
}

extension Job: CustomTestStringConvertible {
    /// Workload, trial and unit.
    public var testDescription: String { name }
}
