import Simulation
import Testing

@testable import WAL

/// Every crash state of small workloads opens, with everything that was acknowledged.
@Suite struct CrashExplorationTests {
    @Test func aNewLogSingleAppendsAndACleanCloseSurviveEveryCrash() {
        let exploration = Exploration(seed: 1, limit: 64)
        exploration.explore("single appends") { run in
            try run.open()
            try run.append(run.payloads(1, bytes: 10))
            try run.append(run.payloads(1, bytes: 600))
            run.idle()
            try run.append(run.payloads(3, bytes: 300))
            try run.close()
            try run.open()
            try run.append(run.payloads(2, bytes: 30), keyed: true)
        }
        print("\(exploration.states) states")
        #expect(exploration.failures.isEmpty, "\(exploration.failures)")
    }

    @Test func sealingAndRollingSurviveEveryCrash() {
        let exploration = Exploration(seed: 2, limit: 64)
        var options = LogOptions()
        options.segmentBytes = 4096
        exploration.explore("roll", options: options) { run in
            try run.open()
            for _ in 0..<5 { try run.append(run.payloads(2, bytes: 900)) }
            run.idle()
            try run.append(run.payloads(1, bytes: 900))
            try run.drop(below: 5)
            try run.append(run.payloads(1, bytes: 900))
            try run.close()
        }
        print("\(exploration.states) states")
        #expect(exploration.failures.isEmpty, "\(exploration.failures)")
    }
}
