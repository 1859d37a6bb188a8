internal import Inspection
internal import WAL

/// One image for each finding that is not shown by a row of the verdict table already.
extension ImageKinds {
    static let findings: [(name: String, make: Make)] = [
        (
            FindingKind.zeroTail.rawValue,
            { kind, random in
                var image = LogImage(log(random))
                append(&image, zeros: image.random.within(1...5000))
                return CrashImage(kind, image)
            }
        ),
        (
            FindingKind.tornTail.rawValue,
            { kind, random in
                var image = LogImage(tornGroup(random))
                let active = image.active
                let last = image.written[image.written.count - 1].bytes.count
                image.segments[active].bytes.removeLast(image.random.within(1...last - 1))
                return CrashImage(kind, image)
            }
        ),
        (FindingKind.staleTemp.rawValue, staleTemp),
        (FindingKind.keptTail.rawValue, keptTail),
        (
            FindingKind.emptySegment.rawValue,
            { kind, random in
                var writer = LogWriter(random)
                if writer.random.once(in: 2) { writer.addMark() }
                return CrashImage(kind, LogImage(writer))
            }
        ),
        (
            FindingKind.clockBack.rawValue,
            { kind, random in
                var writer = log(random)
                writer.timestamp -= 5_000_000_000
                writer.commits(2)
                return CrashImage(kind, LogImage(writer))
            }
        ),
        (
            FindingKind.badLength.rawValue,
            { kind, random in
                lengthSet(kind, random) { $0.one(of: [0, 33, 4_194_301, 1 << 31]) }
            }
        ),
        (
            FindingKind.badCRC.rawValue,
            { kind, random in
                var image = LogImage(log(random, commits: 5, closed: true))
                let frame = pickMessage(&image)
                change(&image, frame, at: frame.bytes.count - 1) { $0 ^= 1 }
                return CrashImage(kind, image)
            }
        ),
        (
            FindingKind.badInner.rawValue,
            { kind, random in
                var writer = log(random)
                addInvalid(&writer)
                writer.nextID += 1
                writer.commits(1)
                writer.addMark()
                return CrashImage(kind, LogImage(writer))
            }
        ),
        (
            FindingKind.zeroHole.rawValue,
            { kind, random in
                var image = LogImage(log(random, commits: 5, closed: true))
                let frame = pickMessage(&image)
                replace(&image, frame, with: [UInt8](repeating: 0, count: frame.bytes.count))
                return CrashImage(kind, image)
            }
        ),
        (FindingKind.badID.rawValue, badID),
        (FindingKind.badPosition.rawValue, badPosition),
        (FindingKind.segmentMissing.rawValue, segmentMissing),
        (FindingKind.segmentOverlap.rawValue, segmentOverlap),
        (
            FindingKind.unknownField.rawValue,
            { kind, random in
                var writer = log(random, segments: 2)
                addNewer(&writer)
                writer.commits(2)
                var image = LogImage(writer)
                // Behind a broken frame, too, it is newer that counts.
                if image.random.once(in: 2) { spoil(&image, pickMessage(&image)) }
                return CrashImage(kind, image)
            }
        ),
        (FindingKind.offsetsDamaged.rawValue, offsetsDamaged),
        (FindingKind.ackedBeyondEnd.rawValue, ackedBeyondEnd),
        (
            FindingKind.lost.rawValue,
            { kind, random in
                var writer = log(random)
                let count = UInt64(writer.random.within(1...20))
                writer.addLost(count, room: writer.random.within(8...60))
                writer.commits(2)
                writer.addLost(1, room: writer.random.below(8))
                writer.addMark()
                return CrashImage(kind, LogImage(writer))
            }
        ),
        (
            FindingKind.foreignFile.rawValue,
            { kind, random in
                let image = LogImage(log(random))
                var told = image.expectation
                told.findings.append(.init(.foreignFile, "notes.txt", 0, 0))
                return CrashImage(
                    kind, image, others: [("notes.txt", Array("do not delete\n".utf8))],
                    expecting: told)
            }
        ),
    ]

    static func append(_ image: inout LogImage, zeros count: Int) {
        image.segments[image.active].bytes += [UInt8](repeating: 0, count: count)
    }

    private static func staleTemp(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(log(random))
        let name = image.random.one(of: ["segment.log.tmp", "offsets.json.tmp"])
        let bytes = image.random.bytes(image.random.within(1...200))
        var told = image.expectation
        told.findings.append(.init(.staleTemp, name, 0, UInt64(bytes.count)))
        return CrashImage(kind, image, others: [(name, bytes)], expecting: told)
    }

    private static func keptTail(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(log(random, closed: true))
        let name = "segment.log.torn-\(image.segments[0].base &+ 38)"
        let bytes = image.random.bytes(image.random.within(1...200))
        var told = image.expectation
        told.findings.append(.init(.keptTail, name, 0, UInt64(bytes.count)))
        return CrashImage(kind, image, others: [(name, bytes)], expecting: told)
    }

    /// A frame with a length of `choice`, in the middle of a log.
    static func lengthSet(
        _ kind: String, _ random: SeededRandom, _ choice: (inout SeededRandom) -> UInt32
    ) -> CrashImage {
        var image = LogImage(log(random, commits: 5, closed: true))
        let frame = pickMessage(&image)
        replace(&image, frame, with: little(choice(&image.random)))
        return CrashImage(kind, image)
    }

    /// An older frame stands where a newer one belongs: a block written to the wrong place.
    private static func badID(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var writer = log(random, commits: 2)
        let payload = writer.random.bytes(20)
        let first = writer.written.count
        for _ in 0..<4 {
            writer.add(
                WrittenFrame(
                    .message, id: writer.nextID, position: writer.position,
                    timestamp: writer.timestamp, parts: payload))
        }
        var image = LogImage(writer)
        replace(&image, image.written[first + 2], with: image.written[first].bytes)
        return CrashImage(kind, image)
    }

    /// A frame with the right id that was written for another place, proved durable by the next.
    private static func badPosition(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var writer = log(random)
        let elsewhere = writer.position &+ UInt64(writer.random.within(1...5000))
        let stray = WrittenFrame(
            .message, id: writer.nextID, position: elsewhere, timestamp: writer.timestamp,
            parts: writer.random.bytes(10))
        writer.add(stray)
        writer.commits(2)
        return CrashImage(kind, LogImage(writer))
    }

    private static func segmentMissing(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(log(random, segments: 4, commits: 3))
        var told = image.expectation
        let index = image.random.within(1...2)
        let gone = image.segments.remove(at: index)
        let next = image.segments[index].firstID
        let before = image.segments[index - 1]
        told.verdict = .damaged
        told.intact.removeAll { (gone.firstID..<next).contains($0) }
        told.findings.append(
            .init(
                .segmentMissing, before.name.fileName, UInt64(before.bytes.count), 0,
                lost: gone.firstID...next - 1))
        return CrashImage(kind, image, expecting: told)
    }

    /// `segment.log` is a copy of the newest sealed segment: somebody restored it under that name.
    private static func segmentOverlap(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var writer = log(random, segments: 2, commits: 3)
        writer.roll()
        var image = LogImage(writer)
        image.segments[2] = image.segments[1]
        image.segments[2].name = .active
        // The two whole segments, and the second one once more.
        var whole = image
        whole.segments.removeLast()
        var told = whole.expectation
        told.verdict = .damaged
        let copied = image.segments[1]
        told.intact += told.intact.filter { $0 >= copied.firstID }
        told.findings.append(
            .init(.segmentOverlap, "segment.log", 0, UInt64(copied.bytes.count)))
        // Its times begin over again.
        let mark = image.frames(of: 1)[0].frame
        if image.written[image.written.count - 1].timestamp > mark.timestamp {
            told.findings.append(.init(.clockBack, "segment.log", 0, UInt64(mark.bytes.count)))
        }
        return CrashImage(kind, image, expecting: told)
    }
}
