import SystemPackage
import Testing
import TestSupport
import WALTestSupport

@testable import WAL

/// A log that was cut at any byte, as a crash may leave it, opens with exactly the frames that are
/// whole up to there; where something durable is missing it is refused and left as it is.
@Suite struct CutEverywhereTests {
    private let directory = LogImage.directory
    private var active: FilePath { directory.appending(SegmentName.activeName) }

    /// What of a cut log has to come back.
    private struct Expected {
        var kept: Int
        var messages: [SegmentBuilder.Placed]
        var nextID: UInt64
        /// There are messages behind the cut.
        var isMissing: Bool

        init(_ segment: SegmentBuilder, cutAt size: Int) {
            let whole = segment.frames.prefix { $0.range.upperBound <= size }
            kept = whole.last?.range.upperBound ?? 0
            messages = whole.filter { !$0.isMark }
            nextID = messages.last.map { $0.id + $0.ids } ?? segment.firstID
            isMissing = nextID < segment.nextID
        }
    }

    private func open(_ disk: MemoryDisk, knownDurable: UInt64? = nil) throws -> Log {
        var options = LogOptions()
        options.knownDurable = knownDurable.map { MessageID($0) }
        options.forcedUpTo = directory
        return try Log.open(directory, host: .on(disk), options: options)
    }

    /// Nil if all is as it should be.
    private func problem(_ segment: SegmentBuilder, cutAt size: Int) throws -> String? {
        let expected = Expected(segment, cutAt: size)
        let cut = Array(segment.bytes.prefix(size))
        let disk = LogImage(files: [(SegmentName.activeName, cut)]).disk()
        if expected.isMissing, size >= FrameLayout.smallestFrame {
            let isRefused: Bool
            do {
                _ = try open(disk, knownDurable: expected.nextID)
                isRefused = false
            } catch OpenError.damaged { isRefused = true }
            guard isRefused else { return "opened though id \(expected.nextID) was durable" }
            guard disk.files(in: directory) == [SegmentName.activeName: cut] else {
                return "a refused log was changed"
            }
        }
        let proof = expected.nextID > segment.firstID ? expected.nextID - 1 : nil
        let log = try open(disk, knownDurable: proof)
        if let wrong = problem(log.recovery, disk, segment, cut, expected) { return wrong }
        let seen = try log.contents()
        guard isSame(seen, expected.messages) else { return "read \(seen.count) messages" }
        return try goOn(disk, segment, expected, log)
    }

    private func isSame(_ seen: [SeenMessage], _ placed: [SegmentBuilder.Placed]) -> Bool {
        seen.count == placed.count
            && zip(seen, placed).allSatisfy { $0.id == $1.id && $0.message == $1.message }
    }

    /// What opening did to the files and said about it.
    private func problem(
        _ report: RecoveryReport, _ disk: MemoryDisk, _ segment: SegmentBuilder, _ cut: [UInt8],
        _ expected: Expected
    ) -> String? {
        guard report.ids == MessageID(segment.firstID)..<MessageID(expected.nextID) else {
            return "ids \(report.ids)"
        }
        var files = disk.files(in: directory)
        guard cut.count >= FrameLayout.smallestFrame else {
            // The segment was being made. It is made anew, and nothing is kept of it.
            return report.tail == .unfinishedSegment && files.count == 1
                && files[SegmentName.activeName]?.count == 38 ? nil : "\(report)"
        }
        guard files.removeValue(forKey: SegmentName.activeName) == Array(cut.prefix(expected.kept))
        else { return "the segment is not what was whole of it" }
        if cut.count == expected.kept {
            return report.tail == .clean && files.isEmpty ? nil : "\(report), \(files.keys)"
        }
        let kept = "segment.log.torn-\(segment.base &+ UInt64(expected.kept))"
        guard case .torn(let bytes, let path, _) = report.tail,
            bytes == UInt64(cut.count - expected.kept), path == directory.appending(kept)
        else { return "\(report)" }
        return files == [kept: Array(cut.dropFirst(expected.kept))] ? nil : "kept \(files.keys)"
    }

    /// Opening again gives the same, and the log goes on where it ended.
    private func goOn(
        _ disk: MemoryDisk, _ segment: SegmentBuilder, _ expected: Expected, _ first: Log
    ) throws -> String? {
        let files = disk.files(in: directory)
        // Killed right behind opening.
        let second = try open(disk.afterPowerLoss())
        guard second.recovery.tail == .clean, second.recovery.ids == first.recovery.ids else {
            return "opened again: \(second.recovery)"
        }
        let more = ["one", "two", "three"].map { TestMessage($0) }
        for (index, message) in more.enumerated() {
            let id = try first.append(message)
            guard id == expected.nextID + UInt64(index) else { return "appended as \(id)" }
        }
        try first.close()
        let third = try open(disk.afterPowerLoss())
        guard third.recovery.tail == .clean else { return "reopened: \(third.recovery)" }
        let seen = try third.contents()
        guard isSame(seen.dropLast(3), expected.messages),
            seen.suffix(3).map(\.message) == more
        else { return "read \(seen.count) after going on" }
        let kept = files.filter { $0.key != SegmentName.activeName }
        guard disk.files(in: directory).filter({ $0.key != SegmentName.activeName }) == kept
        else { return "what was kept has changed" }
        return nil
    }

    private func sweep(_ shape: Shape, _ sizes: some Sequence<Int>) throws {
        for size in sizes {
            do {
                guard let problem = try problem(shape.segment, cutAt: size) else { continue }
                Issue.record("\(shape.name) cut at \(size): \(problem)")
            } catch {
                Issue.record("\(shape.name) cut at \(size): \(error)")
            }
        }
    }

    /// Every byte of small logs of every shape.
    @Test func everyByteOfSmallLogs() throws {
        for shape in Shape.all(bytes: isLongRun ? 900 : 300, payload: 40) {
            try sweep(shape, 0...shape.segment.bytes.count)
        }
    }

    /// The last 64 KiB of larger ones: every byte with TOYMQ_TEST_LONG=1, else every byte within 1
    /// of the bounds of every 8th frame, and every 2,039th.
    @Test func theLast64KiBOfLargerLogsInFullOnlyInALongRun() throws {
        for shape in Shape.all(bytes: 80 << 10, payload: 3000) {
            let end = shape.segment.bytes.count
            var near: Set<Int> = []
            for index in stride(from: 0, to: shape.segment.frames.count, by: 8) {
                let range = shape.segment.frames[index].range
                near.formUnion(range.lowerBound - 1...range.lowerBound + 1)
                near.formUnion(range.upperBound - 1...range.upperBound + 1)
            }
            let sizes = (max(end - 64 << 10, 0)...end).filter {
                isLongRun || $0 % 2039 == 0 || near.contains($0)
            }
            try sweep(shape, sizes)
        }
    }

    /// Around the bounds of each frame and every 4,093rd byte within the 4 MiB; unless
    /// TOYMQ_TEST_LONG=1 within 1 of the bounds and every 818,600th: each cut is a search through
    /// what is left of 4 MiB.
    @Test func aFrameOf4MiBFinelyOnlyInALongRun() throws {
        for closed in [false, true] {
            let shape = Shape.largest(closed: closed)
            let end = shape.segment.bytes.count
            let reach = isLongRun ? 40 : 1
            var sizes = Set(stride(from: 0, to: end, by: isLongRun ? 4093 : 818_600))
            for frame in shape.segment.frames {
                sizes.formUnion(frame.range.lowerBound - reach...frame.range.lowerBound + reach)
                sizes.formUnion(frame.range.upperBound - reach...frame.range.upperBound + reach)
            }
            try sweep(shape, sizes.filter { 0...end ~= $0 }.sorted())
        }
    }

    /// The same on the disk of the machine, for a sample.
    @Test func aSampleOnARealDisk() throws {
        for shape in Shape.all(bytes: 900, payload: 100) {
            let segment = shape.segment
            for size in stride(from: 38, through: segment.bytes.count, by: 97) {
                let directory = try TemporaryDirectory()
                let expected = Expected(segment, cutAt: size)
                try directory.write(segment.bytes.prefix(size), to: SegmentName.activeName)
                let host = LogHost.on(PosixDisk())
                let log = try Log.open(directory.path, host: host)
                #expect(log.recovery.ids.upperBound.rawValue == expected.nextID)
                let isTorn = expected.kept < size
                #expect(try directory.names.count == (isTorn ? 2 : 1))
                if isTorn {
                    let kept = try bytes(
                        of: directory.appending(
                            "segment.log.torn-\(segment.base &+ UInt64(expected.kept))"))
                    #expect(kept == Array(segment.bytes[expected.kept..<size]))
                }
                #expect(try log.append(TestMessage("more")) == expected.nextID)
                try log.close()
                let again = try Log.open(directory.path, host: host)
                #expect(again.recovery.tail == .clean)
                #expect(isSame(try again.contents().dropLast(1), expected.messages))
                try again.close()
            }
        }
    }
}
