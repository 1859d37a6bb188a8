import SystemPackage
import Testing
import WALTestSupport

@testable import WAL

/// One flipped bit in anything that is known durable is damage: found in its place, with the ids it
/// costs, and a log that has it does not open and is not touched.
@Suite struct BitFlipTests {
    private struct Flip {
        var file: Int
        var bit: Int
        var frame: SegmentBuilder.Placed
        var image: LogImage
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
                for commit in 0..<3 {
                    segment.add(messages((shape + commit) % 4, &random))
                    if shape == 3, commit == 1 { segment.addMark() }
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
                (index == segments.count - 1 ? SegmentName.activeName : segment.name,
                    segment.bytes)
            })
    }

    /// Every bit of every frame of `segments` for which `isChosen`.
    private func flips(
        _ segments: [SegmentBuilder], in frames: (Int, SegmentBuilder.Placed) -> Bool,
        _ body: (Flip) throws -> Void
    ) throws {
        let whole = image(segments)
        for (file, segment) in segments.enumerated() {
            for frame in segment.frames where frames(file, frame) {
                for bit in frame.range.lowerBound * 8..<frame.range.upperBound * 8 {
                    var flipped = whole
                    flipped.files[file].bytes[bit / 8] ^= 1 << (bit % 8)
                    try body(Flip(file: file, bit: bit, frame: frame, image: flipped))
                }
            }
        }
    }

    /// The first id that nothing in a killed log proves durable.
    private func bound(_ segments: [SegmentBuilder]) -> UInt64 {
        segments.flatMap(\.frames).map(\.commit).max() ?? 0
    }

    private func expectDamage(_ flip: Flip, nextID: UInt64) throws {
        let found = try flip.image.examine()
        let place = "\(flip.image.files[flip.file].name) bit \(flip.bit)"
        #expect(found.verdict == .damaged, "\(place)")
        #expect(found.findings.count { $0.kind.isDamage } == 1, "\(place)")
        guard let finding = found.findings.first(where: \.kind.isDamage) else { return }
        let ids = flip.frame.isMark ? nil : flip.frame.id...flip.frame.id + flip.frame.ids - 1
        #expect(finding.segment == flip.image.files[flip.file].name)
        #expect(finding.offset == UInt64(flip.frame.range.lowerBound), "\(place)")
        #expect(finding.length == UInt64(flip.frame.range.count), "\(place)")
        #expect(finding.lost == ids, "\(place)")
        #expect(found.nextID == nextID, "\(place)")
    }

    @Test func everyBitOfAClosedLogButItsClosingMark() throws {
        for segments in logs(closed: true) {
            let last = segments[2]
            try flips(segments, in: { $0 < 2 || $1 != last.frames[last.frames.count - 1] }) {
                try expectDamage($0, nextID: last.nextID)
            }
        }
    }

    @Test func aClosingMarkThatRottedCostsNothing() throws {
        for segments in logs(closed: true) {
            let last = segments[2]
            let mark = last.frames[last.frames.count - 1]
            try flips(segments, in: { $0 == 2 && $1 == mark }) { flip in
                let found = try flip.image.examine()
                #expect(found.verdict == .torn)
                #expect(found.nextID == last.nextID)
            }
        }
    }

    @Test func everyBitOfWhatAKilledLogKnowsDurable() throws {
        for segments in logs(closed: false) {
            let bound = bound(segments)
            let last = segments[2]
            try flips(segments, in: { $1.id + max($1.ids, 1) <= bound && $0 >= 0 }) {
                try expectDamage($0, nextID: last.nextID)
            }
        }
    }

    @Test func inTheLastCommitOfAKilledLogRotLooksLikeATear() throws {
        for segments in logs(closed: false) {
            let bound = bound(segments)
            try flips(segments, in: { $0 == 2 && $1.id >= bound && !$1.isMark }) { flip in
                let found = try flip.image.examine()
                #expect(found.verdict == .torn, "bit \(flip.bit)")
                #expect(found.nextID == flip.frame.id)
            }
            // Unless a consumer has acknowledged the message.
            try flips(segments, in: { $0 == 2 && $1.id >= bound && !$1.isMark }) { flip in
                let found = try flip.image.examine(knownDurable: flip.frame.id)
                #expect(found.verdict == .damaged, "bit \(flip.bit)")
            }
        }
    }

    /// What `Log.open` does with such a log, for every third bit.
    @Test func aDamagedLogDoesNotOpenAndIsNotTouched() throws {
        for segments in logs(closed: true) {
            let last = segments[2]
            let closing = last.frames[last.frames.count - 1]
            try flips(segments, in: { $0 < 2 || $1 != closing }) { flip in
                guard flip.bit % 11 == 0 else { return }
                let disk = flip.image.disk()
                disk.startTrace()
                let files = disk.files(in: LogImage.directory)
                var damage: Damage?
                do {
                    _ = try Log.open(LogImage.directory, host: .on(disk))
                } catch OpenError.damaged(let found) { damage = found }
                let name = flip.image.files[flip.file].name
                #expect(damage?.segment == LogImage.directory.appending(name))
                #expect(damage?.offset == UInt64(flip.frame.range.lowerBound))
                #expect(damage?.places == 1)
                #expect(damage?.lost?.lowerBound.rawValue
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
