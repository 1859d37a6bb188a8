import ChaosHarness
import Foundation
import ProcessSupport
import TestSupport
import Testing

/// The harness as a program: a short run, and the proof that it sees a loss.
@Suite("Chaos", .timeLimit(.minutes(10)), .serialized) struct ChaosTests {
    @Test func nothingIsLostThroughKills() throws {
        let result = try run(
            "chaos", ["--seconds", "6", "--kills", "4", "--rate", "3000", "--json"])
        #expect(result.exit == 0, "\(result.error)")
        let report = json(result.output)
        #expect(report["held"] as? Bool == true)
        #expect(report["kills"] as? Int == 5, "four under load and one before everything is read")
        let ok = try #require(report["ok"] as? Int)
        #expect(ok > 0 && report["verified"] as? Int == ok)
        #expect((report["delivered"] as? Int ?? 0) >= ok)
    }

    @Test func aLogThatLosesItsLast2000BytesBetweenRunsIsCaught() throws {
        let result = try run(
            "chaos",
            ["--seconds", "3", "--kills", "2", "--rate", "2000", "--lose-bytes", "2000", "--json"])
        #expect(result.exit == 1)
        let report = json(result.output)
        #expect(report["held"] as? Bool == false && (report["violations"] as? Int ?? 0) > 0)
        #expect(result.error.contains("VIOLATION"))
        let kept = result.error.components(separatedBy: "the data is in ").last ?? ""
        let path = kept.trimmingCharacters(in: .whitespacesAndNewlines)
        if path.hasPrefix("/tmp/toymq-chaos-") { try FileManager.default.removeItem(atPath: path) }
    }
}

/// The same producers, consumers and comparison against a broker that loses power.
@Suite("Chaos: power cuts", .timeLimit(.minutes(10)), .serialized) struct PowerCutChaosTests {
    private func run(acknowledgesEarly: Bool) async throws -> ChaosReport {
        var plan = ChaosPlan()
        plan.seconds = 2
        plan.crashes = 3
        plan.topics = 2
        plan.producers = 1
        plan.rate = 600
        plan.window = 32
        // Its tasks wait for the tests that run beside it, with a sanitizer for minutes.
        plan.patience = 400
        return try await onThread { [plan] in
            let victim = PowerCutVictim(acknowledgesEarly: acknowledgesEarly)
            return Result { try Chaos(plan, against: victim).run() }
        }.get()
    }

    @Test func whatWasAcknowledgedIsThereAfterThePowerIsCut() async throws {
        let report = try await run(acknowledgesEarly: false)
        #expect(report.violations == 0, "\(report.firstViolations)")
        #expect(report.ok > 0)
        #expect(report.verified == report.ok)
        #expect(report.crashes == 4)
    }

    @Test func aBrokerThatAcknowledgesBeforeTheSyncIsCaught() async throws {
        let report = try await run(acknowledgesEarly: true)
        #expect(report.violations > 0)
        #expect(report.verified < report.ok)
    }
}
