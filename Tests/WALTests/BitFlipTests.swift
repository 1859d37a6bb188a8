import SystemPackage
import Testing
import TestSupport
import WALTestSupport

@testable import WAL

/// One flipped bit in anything that is known durable is damage: found in its place, with the ids it
/// costs, and a log that has it does not open and is not touched.
@Suite struct BitFlipTests {
    private struct Flip {
        var file: Int
        var bit: Int
        var frame: SegmentBuilder.Placed
        var name: String
        /// With the flipped log on it.
        var disk: MemoryDisk

        var place: String { "\(name) bit \(bit)" }
    }

    private func messages(_ kind: Int, _ random: inout Seeded) -> [TestMessage] {
        switch kind {
        case 0: [TestMessage(random.bytes(9))]
        case 1: [TestMessage([]), TestMessage([]), TestMessage("x")]
        case 2:
            [
                TestMessage([1], key: Array("key".utf8), headers: [MessageHeader("n", "v")]),
                TestMessage([], headers: [MessageHeader("name", ""), MessageHeader("n", "1")]),
            ]
        default: [TestMessage([UInt8](repeating: 0, count: 30))]
        }
    }

    /// Logs of three segments; `closed` ones end in a mark.
    private func logs(closed: Bool) -> [[SegmentBuilder]] {
        var random = Seeded(5)
        return (0..<4).map { shape in
            var segments: [SegmentBuilder] = []
            var segment = SegmentBuilder(
                firstID: shape == 0 ? 0 : 1000, base: random.next() >> 2)
            for index in 0..<3 {
                for commit in 0..<2 {
                    segment.add(messages((shape + commit) % 4, &random))
                    if shape == 3, commit == 0 { segment.addMark() }
                }
                if shape == 2, index == 1 { segment.addLost(3) }
                if closed, index == 2 { segment.addMark() }
                segments.append(segment)
                segment = segment.next()
            }
            return segments
        }
    }

    private func image(_ segments: [SegmentBuilder]) -> LogImage {
        LogImage(
            files: segments.enumerated().map { index, segment in
                (
                    index == segments.count - 1 ? SegmentName.activeName : segment.name,
                    segment.bytes
                )
            })
    }

    /// Every bit of every frame of `segments` for which `isChosen`, or every `step`th.
    private func flips(
        _ segments: [SegmentBuilder], every step: Int = 1,
        where isChosen: (Int, SegmentBuilder.Placed) -> Bool, _ body: (Flip) throws -> Void
    ) throws {
        let whole = image(segments)
        let disk = whole.disk()
        for (file, segment) in segments.enumerated() {
            let name = whole.files[file].name
            let path = LogImage.directory.appending(name)
            for frame in segment.frames where isChosen(file, frame) {
                let bits = frame.range.lowerBound * 8..<frame.range.upperBound * 8
                for bit in stride(from: bits.lowerBound, to: bits.upperBound, by: step) {
                    disk.change(path) { $0[bit / 8] ^= 1 << (bit % 8) }
                    try body(Flip(file: file, bit: bit, frame: frame, name: name, disk: disk))
                    disk.change(path) { $0[bit / 8] ^= 1 << (bit % 8) }
                }
            }
        }
        #expect(whole.files.allSatisfy { disk.files(in: LogImage.directory)[$0.name] == $0.bytes })
    }

    /// The first id that nothing in a killed log proves durable.
    private func bound(_ segments: [SegmentBuilder]) -> UInt64 {
        segments.flatMap(\.frames).map(\.commit).max() ?? 0
    }

    private func expectDamage(_ flip: Flip, nextID: UInt64) throws {
        let found = try flip.disk.examine()
        let damage = found.findings.filter(\.kind.isDamage)
        let ids = flip.frame.isMark ? nil : flip.frame.id...flip.frame.id + flip.frame.ids - 1
        let isRight =
            found.verdict == .damaged && damage.count == 1 && damage[0].segment == flip.name
            && damage[0].offset == UInt64(flip.frame.range.lowerBound)
            && damage[0].length == UInt64(flip.frame.range.count) && damage[0].lost == ids
            && found.nextID == nextID
        if !isRight { Issue.record("\(flip.place): \(found)") }
    }

    @Test func everyBitOfAClosedLogButItsClosingMark() throws {
        for segments in logs(closed: true) {
            let last = segments[2]
            try flips(segments, where: { $0 < 2 || $1 != last.frames[last.frames.count - 1] }) {
                try expectDamage($0, nextID: last.nextID)
            }
        }
    }

    @Test func aClosingMarkThatRottedCostsNothing() throws {
        for segments in logs(closed: true) {
            let last = segments[2]
            let mark = last.frames[last.frames.count - 1]
            try flips(segments, where: { $0 == 2 && $1 == mark }) { flip in
                let found = try flip.disk.examine()
                #expect(found.verdict == .torn)
                #expect(found.nextID == last.nextID)
            }
        }
    }

    /// Every fifth bit unless TOYMQ_TEST_LONG=1.
    @Test func everyBitOfWhatAKilledLogKnowsDurable() throws {
        for segments in logs(closed: false) {
            let bound = bound(segments)
            let last = segments[2]
            let step = isLongRun ? 1 : 5
            try flips(segments, every: step, where: { $1.id + max($1.ids, 1) <= bound }) {
                try expectDamage($0, nextID: last.nextID)
            }
        }
    }

    @Test func inTheLastCommitOfAKilledLogRotLooksLikeATear() throws {
        for segments in logs(closed: false) {
            let bound = bound(segments)
            try flips(segments, where: { $0 == 2 && $1.id >= bound && !$1.isMark }) { flip in
                let found = try flip.disk.examine()
                #expect(found.verdict == .torn, "bit \(flip.bit)")
                #expect(found.nextID == flip.frame.id)
            }
            // Unless a consumer has acknowledged the message.
            try flips(segments, where: { $0 == 2 && $1.id >= bound && !$1.isMark }) { flip in
                let found = try flip.disk.examine(knownDurable: flip.frame.id)
                #expect(found.verdict == .damaged, "bit \(flip.bit)")
            }
        }
    }

    /// What `Log.open` does with such a log, for every 13th bit.
    @Test func aDamagedLogDoesNotOpenAndIsNotTouched() throws {
        for segments in logs(closed: true) {
            let last = segments[2]
            let closing = last.frames[last.frames.count - 1]
            try flips(segments, every: 13, where: { $0 < 2 || $1 != closing }) { flip in
                let disk = flip.disk
                disk.startTrace()
                let files = disk.files(in: LogImage.directory)
                var damage: Damage?
                do {
                    _ = try Log.open(LogImage.directory, host: .on(disk))
                } catch OpenError.damaged(let found) { damage = found }
                #expect(damage?.segment == LogImage.directory.appending(flip.name))
                #expect(damage?.offset == UInt64(flip.frame.range.lowerBound))
                #expect(damage?.places == 1)
                #expect(
                    damage?.lost?.lowerBound.rawValue
                        == (flip.frame.isMark ? nil : flip.frame.id))
                #expect(disk.files(in: LogImage.directory) == files)
                #expect(disk.trace.filter(\.isWrite).isEmpty)
                #expect(disk.descriptors == 0)
            }
        }
    }

    @Test func everyMessageOfACleanlyClosedLogIsKnownDurable() throws {
        let disk = LogImage(files: []).disk()
        let host = LogHost.on(disk)
        let log = try Log.open(LogImage.directory, host: host)
        for number in 0..<5 { try log.append(TestMessage("\(number)")) }
        let killed = try disk.afterPowerLoss().examine()
        #expect(killed.durableBelow == 4, "the last commit has no witness yet")
        try log.close()
        let closed = try disk.examine()
        #expect(closed.durableBelow == 5)
        #expect(closed.nextID == 5)
    }
}
