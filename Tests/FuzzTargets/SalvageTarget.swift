import DataDirectory
import Inspection
import Repair
import SystemPackage
import WAL
import WALTestSupport

/// A log as `SegmentTarget` takes it, repaired: what was whole and in place is there afterwards,
/// byte for byte; the log is clean; a second repair does nothing; undoing gives every byte back.
enum SalvageTarget {
    private static let data: FilePath = "/d"
    private static let topic: FilePath = "/d/topics/t"

    static func check(_ bytes: [UInt8]) throws {
        let input = SegmentTarget.Input(bytes)
        let disk = MemoryDisk()
        for path in [data, data.appending("topics"), topic] { disk.putDirectory(path) }
        for (name, bytes) in input.files { disk.put(bytes, at: topic.appending(name)) }
        if let id = input.knownDurable {
            disk.put(offsets(id), at: topic.appending(DataLayout.offsetsName))
        }
        let original = files(disk)
        let storage = Storage(disk)
        let (before, kept) = try inspect(storage)
        let outcome = Repair(try target(storage), mode: .all, on: storage, now: 1 << 60).run()
        try require(
            outcome.problems.isEmpty && !outcome.bits.contains(.operational),
            "cannot be repaired: \(outcome.problems)")
        let repaired = files(disk)
        if before.verdict == .newer {
            try require(repaired == original, "changed what a later version wrote")
            return
        }
        try resultHolds(outcome, before, kept, storage)
        let again = Repair(try target(storage), mode: .all, on: storage, now: 1 << 61).run()
        try require(
            again.bits.isEmpty && again.report.actions.isEmpty && files(disk) == repaired,
            "a second repair finds something to do: \(again.report.actions)")
        guard let place = outcome.keptIn else {
            try require(repaired == original, "changed something and kept nothing")
            return
        }
        _ = try Undo(place, on: storage).run()
        try require(files(disk) == original, "undone, and not as before")
    }

    /// The log that a repair leaves.
    private static func resultHolds(
        _ outcome: Repair.Outcome, _ before: TopicReport, _ kept: [KeptFrame], _ storage: Storage
    ) throws {
        let (after, left) = try inspect(storage)
        try require(
            after.exitBits.isEmpty && after.verdict <= .zeroTail,
            "\(after.verdict) after the repair: \(after.findings)")
        try require(after.nextID ?? 0 >= before.nextID ?? 0, "ids may be given out twice")
        let messages = kept.filter(\.isMessage)
        let leftOver = left.filter(\.isMessage)
        // Where a segment has been set aside as a whole, for instance one of two with the same ids,
        // what only another one holds may come to light.
        if before.segments.count > Set(before.segments.map(\.firstID)).count
            || before.findings.contains(where: { $0.kind == .segmentOverlap })
            || outcome.report.actions.contains(where: { $0.kind == .remove })
        {
            return
        }
        var rest = leftOver[...]
        for frame in messages where rest.first?.bytes == frame.bytes { rest.removeFirst() }
        try require(
            rest.isEmpty,
            "a message that the check does not show: \(rest.map(\.id)) of \(leftOver.map(\.id)), "
                + "shown were \(messages.map(\.id))")
        let missing = messages.count - leftOver.count
        try require(
            missing == 0 || outcome.bits.contains(.messagesLost), "gave up messages in silence")
        let excused = KeptFrame.excused(kept)
        try require(
            missing <= excused,
            "\(messages.count) messages were whole, \(leftOver.count) are left, \(excused) of the "
                + "missing ones could not be kept")
    }

    private static func target(_ storage: Storage) throws -> Target {
        try Target.resolve(data, dialect: .native, on: storage)
    }

    /// The report, and all frames.
    private static func inspect(_ storage: Storage) throws -> (TopicReport, [KeptFrame]) {
        guard let topic = try target(storage).topics.first else {
            throw BrokenInvariant(text: "the topic is not found")
        }
        let witness = Witness()
        let report = TopicSurvey(topic, on: storage).run(visitor: witness)
        if let error = report.error { throw error }
        return (report, witness.frames)
    }

    private final class Witness: SurveyVisitor {
        var frames: [KeptFrame] = []
        func frame(_ frame: DecodedFrame, bytes: RawSpan, file: String, at offset: UInt64) {
            frames.append(KeptFrame(frame, bytes.copied(), file))
        }
        func frame(go message: borrowing GoMessage) {}
        func finding(_ finding: Finding) {}
    }

    /// The topic's files by name.
    private static func files(_ disk: MemoryDisk) -> [String: [UInt8]] {
        disk.files(in: topic)
    }

    private static func offsets(_ acked: UInt64) -> [UInt8] {
        var offsets = Offsets()
        if let consumer = try? ConsumerID("c") {
            offsets.acknowledgeRange(MessageID(0)...MessageID(acked), by: consumer)
        }
        return OffsetsFormat.render(offsets).bytes.copied()
    }
}

extension Offsets {
    fileprivate mutating func acknowledgeRange(
        _ ids: ClosedRange<MessageID>, by consumer: ConsumerID
    ) {
        var acknowledgements = Acknowledgements()
        acknowledgements.acknowledge(ids)
        self[consumer] = acknowledgements
    }
}
