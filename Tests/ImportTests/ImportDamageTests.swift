import DataDirectory
import GoImport
import SystemPackage
import Testing
import TestSupport
import WAL

/// Go logs that are torn, damaged or without their beginning. Whatever they are, the new topic is
/// sound, and goes on.
@Suite("Import of damaged Go logs") struct ImportDamageTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func expectSound(
        _ report: ImportReport, ids: [UInt64], next: UInt64
    ) throws -> OpenedTopic {
        #expect(report.topics.map(\.name.text) == ["t"])
        #expect(report.topics.first?.messages == UInt64(ids.count))
        #expect(report.topics.first?.ids.upperBound == MessageID(next))
        let opened = try OpenedTopic("t", in: directory.data)
        #expect(opened.recovery.tail == .clean)
        #expect(opened.messages.map(\.id) == ids)
        #expect(opened.messages.allSatisfy { $0.payload == Go.payload($0.id) })
        #expect(opened.recovery.ids.upperBound == MessageID(next))
        let appended = try OpenedTopic("t", in: directory.data, appending: 10)
        #expect(appended.messages.map(\.id) == ids + Array(next..<next + 10))
        #expect(try OpenedTopic("t", in: directory.data).messages.count == ids.count + 10)
        return opened
    }

    private func run(_ segments: [String: [UInt8]]) throws -> ImportReport {
        for (name, bytes) in segments { try directory.write(bytes, to: "go/t/\(name)") }
        return try GoImport(directory.path.appending("go").appending("t"), into: directory.data)
            .run()
    }

    private func lost(_ report: ImportReport) -> [ClosedRange<UInt64>] {
        report.topics.flatMap(\.lost).map { $0.lowerBound.rawValue...$0.upperBound.rawValue }
    }

    @Test func aTornEndIsLeftOutAndTold() throws {
        let whole = Go.frames(0..<10)
        let report = try run(["000000.log": Array(whole.dropLast(5))])
        #expect(!report.isComplete)
        #expect(report.issues.map(\.kind.name) == ["torn-tail"])
        _ = try expectSound(report, ids: Array(0..<9), next: 9)
    }

    @Test func aDamagedMessageBecomesALostFrame() throws {
        var bytes = Go.frames(0..<3)
        let damagedAt = bytes.count + 25
        bytes += Go.frames(3..<6)
        bytes[damagedAt] ^= 1
        let report = try run(["000000.log": bytes])
        #expect(!report.isComplete)
        #expect(lost(report) == [3...3])
        _ = try expectSound(report, ids: [0, 1, 2, 4, 5], next: 6)
    }

    @Test func theFirstIDIsKept() throws {
        let report = try run(["000007.log": Go.frames(100..<103)])
        #expect(lost(report) == [0...99])
        _ = try expectSound(report, ids: [100, 101, 102], next: 103)
    }

    @Test func aMissingFileLeavesAGap() throws {
        let report = try run([
            "000000.log": Go.frames(0..<5), "000002.log": Go.frames(20..<25),
        ])
        #expect(!report.isComplete)
        #expect(lost(report) == [5...19])
        _ = try expectSound(report, ids: Array(0..<5) + Array(20..<25), next: 25)
    }

    @Test func idsThatAreGoneCountAsAcknowledged() throws {
        let consumers =
            #"{"consumers":{"none":{"has_acked":false,"last_acked":0,"above_last":[]},"#
            + #""some":{"has_acked":true,"last_acked":1,"above_last":[4,4,1]}}}"#
        let report = try run([
            "000000.log": Go.frames(0..<2) + Go.frames(4..<6),
            "offsets.json": Array(consumers.utf8),
        ])
        #expect(lost(report) == [2...3])
        let opened = try expectSound(report, ids: [0, 1, 4, 5], next: 6)
        let none = try #require(opened.offsets?[ConsumerID("none")])
        #expect(none.acked == nil && none.above == [MessageID(2)...MessageID(3)])
        #expect(opened.offsets?[try ConsumerID("some")]?.acked == MessageID(4))
    }

    @Test func acknowledgedIDsBeyondTheEndAreLeftOutAndTold() throws {
        let consumers =
            #"{"consumers":{"a":{"has_acked":true,"last_acked":9,"above_last":[12]},"#
            + #""b":{"has_acked":false,"last_acked":0,"above_last":[1,3,4]}}}"#
        let report = try run([
            "000000.log": Go.frames(0..<4), "offsets.json": Array(consumers.utf8),
        ])
        #expect(report.issues.map(\.kind) == [.acknowledged, .acknowledged])
        #expect(
            report.issues.map(\.ids) == [
                [MessageID(4)...MessageID(12)], [MessageID(4)...MessageID(4)],
            ])
        let opened = try expectSound(report, ids: [0, 1, 2, 3], next: 4)
        #expect(opened.offsets?[try ConsumerID("a")]?.acked == MessageID(3))
        let b = try #require(opened.offsets?[ConsumerID("b")])
        #expect(
            b.acked == nil
                && b.above == [MessageID(1)...MessageID(1), MessageID(3)...MessageID(3)])
    }

    @Test func anEmptyLogHasNothingAcknowledged() throws {
        let consumers = #"{"consumers":{"a":{"has_acked":true,"last_acked":0,"above_last":[]}}}"#
        let report = try run(["000000.log": [], "offsets.json": Array(consumers.utf8)])
        #expect(report.issues.filter { !$0.isRemark }.map(\.kind) == [.acknowledged])
        let opened = try expectSound(report, ids: [], next: 0)
        #expect(opened.offsets?[try ConsumerID("a")] == Acknowledgements())
    }

    @Test func damagedPositionsAreLeftOutAndTold() throws {
        let report = try run([
            "000000.log": Go.frames(0..<4), "offsets.json": Array(#"{"consumers":{"a":"#.utf8),
        ])
        #expect(report.issues.map(\.kind) == [.offsets])
        let opened = try expectSound(report, ids: [0, 1, 2, 3], next: 4)
        #expect(opened.offsets?.consumers.isEmpty == true)
    }

    @Test func aMessageThatDoesNotFitIsToldAndItsIDKept() throws {
        // Whole as the Go program has it, but too large with our longer fields and the headers.
        let large = [UInt8](repeating: 7, count: 4_194_278)
        let report = try run([
            "000000.log": Go.frames(0..<2) + Go.frame(2, payload: large) + Go.frames(3..<5)
        ])
        #expect(report.issues.map(\.kind) == [.message])
        #expect(report.issues.first?.ids == [MessageID(2)...MessageID(2)])
        #expect(lost(report) == [2...2])
        _ = try expectSound(report, ids: [0, 1, 3, 4], next: 5)
    }

    @Test func anIDWithoutASuccessorIsToldAndLeftOut() throws {
        let report = try run(["000000.log": Go.frames(0..<2) + Go.frames([UInt64.max - 1])])
        #expect(report.issues.contains { $0.kind == .message })
        _ = try expectSound(report, ids: [0, 1], next: 2)
    }

    @Test func aDelayThatIsOverIsNotTold() throws {
        let report = try run([
            "000000.log": Go.frame(0, payload: Go.payload(0), visibleAt: 0)
                + Go.frame(1, payload: Go.payload(1), visibleAt: 1_700_000_000_000_000_000)
        ])
        #expect(report.isComplete)
        let opened = try expectSound(report, ids: [0, 1], next: 2)
        let delays = opened.messages.map { $0.header("imported-visible-at") }
        #expect(delays == [nil, "1700000000000000000"])
    }
}
