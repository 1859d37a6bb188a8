import Inspection
import Simulation
import SystemPackage
import Testing
import WALTestSupport

@testable import Repair
@testable import WAL

/// A repair whose n-th call fails, or that one and all behind it: at every n its report says what
/// the disk shows.
extension RepairCrashTests {
    private struct Fault {
        var call: Int
        /// The disk does not come back.
        var isLasting: Bool
        var label: String

        func inject(into disk: SimulatedDisk, of calls: Int) {
            // What is tried again after a failure makes calls of its own.
            for call in call..<(isLasting ? 2 * calls + 100 : call + 1) {
                disk.inject(.fails(.ioError), at: call)
            }
        }
    }

    /// What the repair of an image does when nothing fails.
    private struct Whole {
        var start: SimulatedState
        var before: [String: [UInt8]]
        var after: [String: [UInt8]]
        var outcome: Repair.Outcome
    }

    private func failEverywhere(_ name: String, _ image: [(name: String, bytes: [UInt8])]) throws {
        let start = try state(image)
        let disk = SimulatedDisk(start)
        let outcome = try repair(disk)
        #expect(outcome.problems.isEmpty)
        let topic = RepairCrashTests.topic
        let whole = Whole(
            start: start, before: files(start, in: topic), after: files(disk.state, in: topic),
            outcome: outcome)
        var halfway = 0
        for (number, call) in disk.calls.enumerated() {
            for isLasting in [false, true] {
                let label = "\(name), \(isLasting ? "from" : "only") \(number), \(call)"
                let fault = Fault(call: number, isLasting: isLasting, label: label)
                if try judge(fault, of: disk.calls.count, whole) { halfway += 1 }
            }
        }
        #expect(halfway > 0, "no repair was stopped halfway")
    }

    /// Whether the repair was stopped halfway.
    private func judge(_ fault: Fault, of calls: Int, _ whole: Whole) throws -> Bool {
        let disk = SimulatedDisk(whole.start)
        fault.inject(into: disk, of: calls)
        let outcome = try repair(disk)
        let label: Comment = "\(fault.label)"
        let there = files(disk.state, in: RepairCrashTests.topic)
        let changed = Set(there.keys).union(whole.before.keys).filter { name in
            // One of ours that could not be removed: a check calls it stale.
            let isLeftOver = name.hasSuffix(".tmp") && whole.before[name] == nil
            return !isLeftOver && there[name] != whole.before[name]
        }
        #expect(Set(outcome.report.actions.map(\.file)) == changed, label)
        for action in outcome.report.actions where !action.file.hasSuffix(".tmp") {
            #expect((there[action.file] == nil) == (action.kind == .remove), label)
            #expect((whole.before[action.file] == nil) == (action.kind == .create), label)
        }
        #expect((outcome.keptIn == nil) == changed.isEmpty, label)
        try judgeReport(outcome, changed, whole, label)
        if let kept = outcome.keptIn {
            let undone = SimulatedDisk(disk.state)
            _ = try Undo(kept, on: Storage(undone)).run()
            #expect(files(undone.state, in: RepairCrashTests.topic) == whole.before, label)
        }
        let again = SimulatedDisk(disk.state)
        #expect(try repair(again).problems.isEmpty, label)
        #expect(files(again.state, in: RepairCrashTests.topic) == whole.after, label)
        return !outcome.problems.isEmpty && !changed.isEmpty
    }

    private func judgeReport(
        _ outcome: Repair.Outcome, _ changed: Set<String>, _ whole: Whole, _ label: Comment
    ) throws {
        let topic = try #require(outcome.report.topics.first, label)
        if outcome.problems.isEmpty {
            #expect(outcome.bits == whole.outcome.bits, label)
            return
        }
        var text: [UInt8] = []
        ReportText.render(outcome.report, quiet: false) { text += $0 }
        let says = String(decoding: text, as: UTF8.self)
        if changed.isEmpty {
            #expect(outcome.bits == .operational && topic.verdict == .error, label)
            #expect(says.contains("nothing was decided"), label)
        } else {
            let bits = whole.outcome.bits.union([.corrected, .uncorrected, .operational])
            #expect(outcome.bits == bits, label)
            let found = whole.outcome.report.topics[0]
            #expect(topic.verdict == found.verdict, label)
            #expect(topic.findings == found.findings, label)
            #expect(!says.contains("nothing was decided"), label)
            #expect(says.contains("not all was repaired: ") && says.contains("done: "), label)
            var json: [UInt8] = []
            ReportJSON.render(outcome.report) { json += $0 }
            #expect(String(decoding: json, as: UTF8.self).contains("\"error\": \""), label)
            let page = ReportHTML.render(
                outcome.report, ReportPictures(), keptIn: outcome.keptIn, version: "1",
                now: RepairBench.now)
            #expect(String(decoding: page, as: UTF8.self).contains("stopped the repair"), label)
        }
    }

    @Test func whateverCallFailsTheReportOfATornTailSaysWhatTheDiskShows() throws {
        try failEverywhere("torn tail", tornWithAStaleFile())
    }

    @Test func whateverCallFailsTheReportOfSeveralSegmentsSaysWhatTheDiskShows() throws {
        try failEverywhere("several segments", damagedEverywhere())
        try failEverywhere("same ids", sameIDs())
    }

    @Test func whateverCallFailsTheReportOfSegmentsThatChangePlacesSaysWhatTheDiskShows() throws {
        let (first, second, third) = threeSegments()
        try failEverywhere(
            "swapped",
            [
                (first.name, second.bytes), (second.name, first.bytes),
                (SegmentName.activeName, third.bytes),
            ])
    }
}
