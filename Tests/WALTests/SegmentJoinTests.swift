import Testing
import WALTestSupport

@testable import WAL

/// How segments follow each other, and marks that are damaged, misplaced or not there yet.
@Suite struct SegmentJoinTests {
    /// Three segments of three messages each.
    private func three(ids: UInt64 = 0) -> [SegmentBuilder] {
        var first = SegmentBuilder(firstID: ids)
        first.add(numbered(0..<1))
        first.add(numbered(1..<3))
        var second = first.next()
        second.add(numbered(3..<6))
        var third = second.next()
        third.add(numbered(6..<8))
        third.add(numbered(8..<9))
        return [first, second, third]
    }

    private func image(_ segments: [SegmentBuilder]) -> LogImage {
        LogImage(
            files: segments.dropLast().map { ($0.name, $0.bytes) }
                + [(SegmentName.activeName, segments.last?.bytes ?? [])])
    }

    // MARK: Joins

    @Test func aMissingSegmentInTheMiddleIsDamageAndItsIDsAreNamed() throws {
        var segments = three()
        segments.remove(at: 1)
        let found = try image(segments).examine()
        #expect(found.verdict == .damaged)
        #expect(found.kinds == [.segmentMissing])
        #expect(found.findings[0].lost == 3...5)
        #expect(found.nextID == 9)
    }

    @Test func aMissingFirstSegmentIsALogWhoseBeginningWasDropped() throws {
        let found = try image(Array(three().dropFirst())).examine()
        #expect(found.verdict == .clean)
        #expect(found.segments[0].firstID == 3)
        #expect(found.nextID == 9)
    }

    @Test func aMissingActiveSegmentIsOneNotMadeYetUnlessAnAcknowledgementKnowsBetter() throws {
        let segments = three()
        let sealed = LogImage(files: segments.dropLast().map { ($0.name, $0.bytes) })
        let found = try sealed.examine()
        #expect(found.verdict == .clean)
        #expect(found.active == .unmade(exists: false))
        #expect(found.nextID == 6)
        #expect(found.durableBelow == 6)
        #expect(found.endPosition == segments[1].position)
        #expect(try sealed.examine(knownDurable: 5).verdict == .clean)
        let beyond = try sealed.examine(knownDurable: 6)
        #expect(beyond.verdict == .damaged)
        #expect(beyond.kinds == [.ackedBeyondEnd])
        #expect(beyond.findings[0].lost == 6...6)
    }

    @Test func aRenamedSegmentIsDamage() throws {
        for name: UInt64 in [1, 2, 100] {
            let segments = three()
            var files = image(segments).files
            files[0].name = SegmentName.sealed(first: name).fileName
            let found = try LogImage(files: files.sorted { $0.name < $1.name }).examine()
            #expect(found.verdict == .damaged, "\(name)")
        }
    }

    @Test func aSealedSegmentThatWasCutAnywhereIsDamage() throws {
        let segments = three()
        let second = segments[1]
        for size in 1..<second.bytes.count {
            var cut = segments
            cut[1].bytes = Array(second.bytes.prefix(size))
            let found = try image(cut).examine()
            #expect(found.verdict == .damaged, "cut at \(size)")
            let whole = second.frames.last { $0.range.upperBound <= size }
            let next = whole.map { $0.id + $0.ids } ?? 3
            // What is gone is named once: the rest of the segment that is there, or, where the
            // cut is between two frames, what is missing before the next.
            let lost = found.findings.compactMap(\.lost)
            #expect(lost == [next...5], "cut at \(size)")
            #expect(found.nextID == 9)
        }
    }

    @Test func anEmptyFileUnderASealedNameHoldsNothing() throws {
        let segments = three()
        var files = image(segments).files
        files[1].bytes = []
        let found = try LogImage(files: files).examine()
        #expect(found.verdict == .damaged)
        #expect(found.findings.compactMap(\.lost) == [3...5])
        // Where nothing is missing it is no harm: a seal renames over it.
        var sound = image(segments).files
        sound.insert((SegmentName.sealed(first: 6).fileName, []), at: 2)
        #expect(try LogImage(files: sound).examine().verdict == .clean)
    }

    @Test func aSealedSegmentWithoutAMessageIsSoundIfTheNextBeginsAtItsName() throws {
        var first = SegmentBuilder()
        first.add(numbered(0..<2))
        let empty = first.next()
        for further: UInt64 in [0, 1] {
            var last = SegmentBuilder(
                firstID: 2 + further, base: empty.position, timestamp: empty.timestamp)
            last.add(numbered(2..<3))
            let found = try LogImage(first, empty, last).examine()
            #expect(found.verdict == (further == 0 ? .clean : .damaged))
            #expect(found.nextID == 3 + further)
        }
    }

    @Test func segmentsThatOverlapAreDamageWithoutLoss() throws {
        let segments = three()
        var files = image(segments).files
        files.insert((SegmentName.sealed(first: 2).fileName, files[1].bytes), at: 1)
        let found = try LogImage(files: files).examine()
        #expect(found.verdict == .damaged)
        #expect(found.nextID == 9)
    }

    @Test func positionsThatDoNotJoinAreDamageThoughTheIDsDo() throws {
        for shift: Int64 in [-38, -1, 1, 38, 1 << 40] {
            let segments = three()
            var second = SegmentBuilder(
                firstID: 3, base: segments[0].position &+ UInt64(bitPattern: shift),
                timestamp: segments[0].timestamp)
            second.add(numbered(3..<6))
            let third = second.next()
            let found = try image([segments[0], second, third]).examine()
            #expect(found.verdict == .damaged, "\(shift)")
            #expect(found.findings.compactMap(\.lost).isEmpty)
            #expect(found.nextID == 6)
        }
    }

    @Test func theLargestIDsAndPositionsDoNotOverflow() throws {
        let top = UInt64.max - 10
        for segments in [three(ids: top), three(ids: .max - 9)] {
            let found = try image(segments).examine()
            #expect(found.verdict == .clean)
            #expect(found.nextID == (segments.last?.nextID ?? 0))
        }
        var wrapped = SegmentBuilder(base: .max - 50)
        wrapped.add(numbered(0..<3))
        #expect(wrapped.position < wrapped.base)
        let behind = wrapped.next()
        #expect(try image([wrapped, behind]).examine().verdict == .clean)
    }

    @Test(arguments: [7, 8, 9])
    func aFileWithoutAMessageUnderANameWithinTheActiveSegmentIsNoLoss(_ first: UInt64) throws {
        let segments = three()
        let name = SegmentName.sealed(first: first).fileName
        var marks = SegmentBuilder(firstID: first, base: segments[2].position)
        let one = marks.bytes
        marks.addMark()
        for bytes in [[], one, marks.bytes, SegmentBuilder(firstID: 100, base: 1).bytes] {
            var log = image(segments)
            log.files.append((name, bytes))
            let found = try log.examine()
            #expect(found.verdict == .damaged)
            #expect(found.kinds == [.segmentOverlap])
            #expect(found.findings.first?.segment == name)
            #expect(found.findings.allSatisfy { $0.lost == nil })
            #expect(found.nextID == 9)
            #expect(found.segments.map(\.messages) == [3, 3, 0, 3])
            #expect(throws: OpenError.self) {
                _ = try Log.open(LogImage.directory, host: .on(log.disk()))
            }
        }
    }

    @Test func theNameOfAFileWithoutAMessageProvesThatTheLogHadComeSoFar() throws {
        let segments = three()
        var log = image(segments)
        log.files.append((SegmentName.sealed(first: 11).fileName, []))
        let found = try log.examine()
        #expect(found.kinds == [.segmentMissing, .segmentOverlap])
        #expect(found.findings[0].segment == SegmentName.activeName)
        #expect(found.findings[0].offset == UInt64(segments[2].bytes.count))
        #expect(found.findings[0].lost == 9...10)
        #expect(found.nextID == 11)
    }

    // MARK: Marks

    @Test func aSegmentOfAtMost38BytesWithoutAWholeMarkWasNotFinished() throws {
        let segments = three()
        let mark = segments[2].bytes.prefix(38)
        for size in 0..<38 {
            for bytes in [Array(mark.prefix(size)), .init(repeating: 0, count: size)] {
                let files = image(segments).files.dropLast() + [(SegmentName.activeName, bytes)]
                let found = try LogImage(files: Array(files)).examine()
                #expect(found.verdict < .damaged)
                #expect(found.active == .unmade(exists: true))
                #expect(found.nextID == 6)
                #expect(found.endPosition == segments[1].position)
                let beyond = try LogImage(files: Array(files)).examine(knownDurable: 6)
                #expect(beyond.verdict == .damaged)
            }
        }
        for bit in 0..<38 * 8 {
            var flipped = Array(mark)
            flipped[bit / 8] ^= 1 << (bit % 8)
            let files = image(segments).files.dropLast() + [(SegmentName.activeName, flipped)]
            let found = try LogImage(files: Array(files)).examine()
            // A presence bit behind a wrong crc is no newer frame.
            #expect(found.verdict < .damaged, "bit \(bit)")
            #expect(found.nextID == 6)
        }
    }

    @Test func aLongerOneWithoutItsMarkIsDamaged() throws {
        let segments = three()
        let mark = Array(segments[2].bytes.prefix(38))
        for bit in 0..<38 * 8 {
            var longer = mark + [0]
            longer[bit / 8] ^= 1 << (bit % 8)
            for others in [Array(image(segments).files.dropLast()), []] {
                let files = others + [(SegmentName.activeName, longer)]
                #expect(try LogImage(files: files).examine().verdict == .damaged, "bit \(bit)")
            }
        }
    }

    @Test func aLongRunOfZerosIsASegmentWithoutItsMark() throws {
        for size in [39, 4096, 300_000] {
            let zeros = [UInt8](repeating: 0, count: size)
            let alone = try LogImage(files: [(SegmentName.activeName, zeros)]).examine()
            #expect(alone.verdict == .damaged)
            let files = image(three()).files.dropLast() + [(SegmentName.activeName, zeros)]
            let found = try LogImage(files: Array(files)).examine()
            #expect(found.verdict == .damaged)
            #expect(found.nextID == 6)
        }
    }

    @Test func theFrameBehindADamagedMarkTellsItsPosition() throws {
        for index in 0..<3 {
            for bit in 0..<38 * 8 {
                var segments = three()
                segments[index].bytes[bit / 8] ^= 1 << (bit % 8)
                let found = try image(segments).examine()
                #expect(found.verdict == .damaged, "segment \(index) bit \(bit)")
                #expect(found.findings.count == 1)
                #expect(found.findings[0].offset == 0)
                #expect(found.findings[0].length == 38)
                #expect(found.findings[0].lost == nil)
                #expect(found.nextID == 9)
                #expect(found.segments[index].base == segments[index].base)
                #expect(found.segments[index].messages == 3)
            }
        }
    }

    @Test func elseTheNeighbouringSegmentTellsIt() throws {
        var segments = three()
        let first = segments[1].frames[1].range
        segments[1].bytes[5] ^= 1
        segments[1].bytes[first.upperBound - 1] ^= 1
        let found = try image(segments).examine()
        #expect(found.verdict == .damaged)
        #expect(found.segments[1].base == segments[1].base)
        #expect(found.findings.compactMap(\.lost) == [3...3])
        #expect(found.nextID == 9)
    }

    @Test func theSegmentBehindTellsItTooWhenTheMarkChangedPlacesWithTheFirstFrame() throws {
        var segments = three()
        let (mark, first) = (segments[0].frames[0].range, segments[0].frames[1].range)
        let swapped = Array(segments[0].bytes[first]) + Array(segments[0].bytes[mark])
        segments[0].bytes.replaceSubrange(mark.lowerBound..<first.upperBound, with: swapped)
        let found = try image(segments).examine()
        #expect(found.verdict == .damaged)
        #expect(found.segments[0].base == segments[0].base)
        #expect(found.findings.compactMap(\.lost) == [0...0])
        #expect(found.nextID == 9)
    }

    @Test func elseAnyWholeFrameTellsItAndACopyInAPayloadDoesNot() throws {
        // The payload of the last message is a whole segment of another log.
        var other = SegmentBuilder(firstID: 0, base: 1 << 50)
        other.add(numbered(0..<2))
        var segment = SegmentBuilder(firstID: 40)
        segment.add(numbered(0..<3))
        segment.add(TestMessage(other.bytes))
        segment.addMark()
        segment.bytes[5] ^= 1
        segment.bytes[segment.frames[1].range.upperBound - 1] ^= 1
        let found = try LogImage(segment).examine()
        #expect(found.verdict == .damaged)
        #expect(found.segments[0].base == segment.base)
        #expect(found.segments[0].messages == 3)
        #expect(found.nextID == 44)
        // Without a segment before: the first id is that of the first whole frame, less what
        // there was room for.
        #expect(found.findings.compactMap(\.lost) == [40...40])
    }

    @Test func aSegmentWithoutASoundFrameIsLostAsFarAsTheNextOneTells() throws {
        var segments = three()
        segments[1].bytes = segments[1].bytes.map { $0 ^ 0x55 }
        let found = try image(segments).examine()
        #expect(found.verdict == .damaged)
        #expect(found.findings.compactMap(\.lost) == [3...5])
        #expect(found.nextID == 9)
        #expect(found.segments[2].messages == 3)
    }

    @Test func aMarkInTheMiddleTakesNoIDWithItWhenItIsDamaged() throws {
        var segment = SegmentBuilder()
        segment.add(numbered(0..<2))
        segment.addMark()
        segment.add(numbered(2..<3))
        let mark = segment.frames[3].range
        segment.bytes[mark.upperBound - 1] ^= 1
        // The last commit proves no id behind the mark durable: torn, with what follows it.
        let torn = try LogImage(segment).examine()
        #expect(torn.verdict == .torn)
        #expect(torn.nextID == 2)
        segment.addMark()
        let found = try LogImage(segment).examine()
        #expect(found.verdict == .damaged)
        #expect(found.findings.map(\.offset) == [UInt64(mark.lowerBound)])
        #expect(found.findings.map(\.length) == [38])
        #expect(found.findings.compactMap(\.lost).isEmpty)
        #expect(found.nextID == 3)
    }

    @Test func anActiveSegmentWithTheMarkOfAnotherPlaceIsDamaged() throws {
        let segments = three()
        for (id, position) in [(7, 0), (5, 0), (6, 1), (6, -1), (7, 38)] {
            var third = SegmentBuilder(
                firstID: UInt64(id),
                base: segments[1].position &+ UInt64(bitPattern: Int64(position)),
                timestamp: segments[1].timestamp)
            third.add(numbered(6..<8))
            let found = try image([segments[0], segments[1], third]).examine()
            #expect(found.verdict == .damaged, "\(id) \(position)")
        }
    }
}
