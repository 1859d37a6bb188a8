import Inspection
import Testing
import WALTestSupport

@testable import Repair
@testable import WAL

/// A page that has got into another segment, or came from another log, takes the mark of that one
/// with it. What stands beside a file says whether its name or its mark is right: no frame that
/// stands where it belongs is given up, and nothing that is gone goes without a word.
@Suite struct ExchangedPageTests {
    /// A log, the bytes of each segment, and where its messages are.
    private struct Bench {
        var files: [(name: String, bytes: [UInt8])] = []
        /// By id: the number of the file and its bytes there.
        var frames: [(file: Int, range: Range<Int>)] = []

        init(_ counts: [Int], payload: Int = 60, base: UInt64 = 1 << 40, firstID: UInt64 = 0) {
            var segment = SegmentBuilder(firstID: firstID, base: base)
            for (number, count) in counts.enumerated() {
                for _ in 0..<count {
                    let start = segment.bytes.count
                    segment.add(
                        TestMessage([UInt8](repeating: UInt8(segment.nextID % 251), count: payload))
                    )
                    frames.append((number, start..<segment.bytes.count))
                }
                let isLast = number + 1 == counts.count
                if isLast { segment.addMark() }
                files.append((isLast ? SegmentName.activeName : segment.name, segment.bytes))
                segment = segment.next()
            }
        }

        mutating func exchange(_ one: Int, _ other: Int, _ pageBytes: Int) {
            let count = min(pageBytes, files[one].bytes.count, files[other].bytes.count)
            let page = files[one].bytes[..<count]
            files[one].bytes.replaceSubrange(..<count, with: files[other].bytes[..<count])
            files[other].bytes.replaceSubrange(..<count, with: page)
        }

        /// The ids of the messages that are as they were and where they were.
        func inPlace(asIn sound: Bench) -> Set<UInt64> {
            let ids = frames.indices.filter { id in
                let (file, range) = frames[id]
                return files[file].bytes.count >= range.upperBound
                    && files[file].bytes[range] == sound.files[file].bytes[range]
            }
            return Set(ids.map(UInt64.init))
        }

        /// Repairs it and compares what is lost and kept with what is in place.
        func expectOnlyWhatIsOutOfPlaceIsLost(asIn sound: Bench, _ what: String) throws {
            let whole = inPlace(asIn: sound)
            let all = Set(frames.indices.map(UInt64.init))
            let bench = RepairBench(files)
            let found = try bench.check().topics[0]
            let lost = Set(found.findings.compactMap(\.lost).flatMap { Array($0) })
            #expect(lost == all.subtracting(whole), "\(what)")
            #expect(found.nextID == UInt64(frames.count), "\(what)")
            let outcome = try bench.repair()
            #expect(outcome.bits == [.corrected, .messagesLost], "\(what)")
            #expect(try bench.check().exitBits.isEmpty, "\(what)")
            let read = try bench.messagesThenAppend()
            #expect(Set(read.keys) == whole, "\(what)")
        }
    }

    /// Frames are left in both files: those say where they belong, however few they are.
    @Test(arguments: [512, 1024, 4096])
    func firstPagesThatChangedPlacesCostWhatIsInThem(_ pageBytes: Int) throws {
        for counts in [[60, 45, 70, 50], [12, 50, 12, 60], [50, 44]] {
            let sound = Bench(counts)
            for one in counts.indices {
                for other in 0..<one {
                    var bench = sound
                    bench.exchange(one, other, pageBytes)
                    let isLeft = { (file: Int) in
                        !bench.inPlace(asIn: sound).isDisjoint(
                            with: sound.frames.indices.filter { sound.frames[$0].file == file }
                                .map(UInt64.init))
                    }
                    guard isLeft(one), isLeft(other) else { continue }
                    try bench.expectOnlyWhatIsOutOfPlaceIsLost(
                        asIn: sound, "\(counts), \(one) and \(other)")
                }
            }
        }
    }

    /// All of a short segment has gone into the active one and the other way round: its name and
    /// where it has to stand are all that is left of it.
    @Test func aShortSegmentAndTheBeginningOfTheActiveOneChangedPlaces() throws {
        for counts in [[20, 30, 5, 40], [5, 60], [30, 5, 60], [20, 16, 20]] {
            let sound = Bench(counts)
            var bench = sound
            let short = counts.indices.dropLast().min { counts[$0] < counts[$1] } ?? 0
            bench.exchange(short, counts.count - 1, .max)
            try bench.expectOnlyWhatIsOutOfPlaceIsLost(asIn: sound, "\(counts)")
        }
    }

    /// All of it is a piece of the segment behind it: that has its frames itself.
    @Test func aSegmentWrittenOverWithTheBeginningOfTheNextOneIsLost() throws {
        for counts in [[20, 50], [20, 50, 30], [30, 20, 50]] {
            let sound = Bench(counts)
            var bench = sound
            let count = counts.count - 2
            let size = bench.files[count].bytes.count
            bench.files[count].bytes = Array(bench.files[count + 1].bytes.prefix(size))
            try bench.expectOnlyWhatIsOutOfPlaceIsLost(asIn: sound, "\(counts)")
        }
    }

    @Test func theFirstPageOfAnotherLogIsNotBelievedThoughItIsMostOfTheSegment() throws {
        let sound = Bench([45, 45, 45, 45])
        for file in 0..<3 {
            for (firstID, number) in [(0, 0), (0, 1), (1000, 0), (5, 2)] as [(UInt64, Int)] {
                let other = Bench([45, 45, 45, 45], base: 1 << 60, firstID: firstID)
                var bench = sound
                bench.files[file].bytes.replaceSubrange(
                    ..<4096, with: other.files[number].bytes[..<4096])
                try bench.expectOnlyWhatIsOutOfPlaceIsLost(
                    asIn: sound, "\(file), \(firstID), \(number)")
            }
        }
    }

    /// The page behind the damaged end of a segment is in the active one: what stands there says
    /// that it has come from elsewhere, and not that the segment ended before.
    @Test func theEndOfASegmentAndTheBeginningOfTheActiveOneChangedPlaces() throws {
        let sound = Bench([80, 60])
        var bench = sound
        let page = 4096..<sound.files[0].bytes.count
        let end = bench.files[0].bytes[page]
        bench.files[0].bytes.replaceSubrange(page, with: bench.files[1].bytes[..<page.count])
        bench.files[1].bytes.replaceSubrange(..<page.count, with: end)
        try bench.expectOnlyWhatIsOutOfPlaceIsLost(asIn: sound, "")
    }

    /// It has ids that nobody knows of, under a name that is below them.
    @Test func theSegmentOfAnotherLogUnderALowNameMakesNothingLost() throws {
        let sound = Bench([10, 10, 10])
        for name: UInt64 in [3, 5, 15] {
            var bench = sound
            let other = Bench([10, 10], base: 1 << 60, firstID: 1000)
            bench.files.append((SegmentName.sealed(first: name).fileName, other.files[0].bytes))
            let found = try RepairBench(bench.files).check()
            #expect(found.exitBits == .uncorrected, "\(name)")
            #expect(found.topics[0].nextID == 30, "\(name)")
            #expect(try RepairBench.idsAfterRepair(bench.files) == Array(0..<30), "\(name)")
        }
    }

    /// One against one: the sealed segment stays as it is, and all that the other one holds beyond
    /// it is named.
    @Test func theSegmentLogOfAnotherLogWithIDsOfASealedOneIsSetAside() throws {
        let sound = Bench([44, 33])
        var bench = sound
        bench.files[1].bytes = Bench([29, 30], base: 1 << 60).files[1].bytes
        let outcome = try RepairBench(bench.files).repair()
        #expect(outcome.bits == [.corrected, .messagesLost])
        #expect(outcome.report.topics[0].findings.compactMap(\.lost) == [44...58])
        let ids = try RepairBench.idsAfterRepair(bench.files, bits: [.corrected, .messagesLost])
        #expect(ids == Array(0..<44))
    }

    /// It stands alone against all others, and may be longer than they are together.
    @Test func aMessageInFrontOfALogIsNotTakenForAnotherLog() throws {
        let sound = Bench([20])
        for payload in [10, 3000] {
            let other = Bench([1], payload: payload, base: 1 << 60)
            var bench = sound
            bench.files[0].bytes =
                other.files[0].bytes[other.frames[0].range] + bench.files[0].bytes
            #expect(try RepairBench.idsAfterRepair(bench.files) == Array(0..<20), "\(payload)")
        }
    }
}
