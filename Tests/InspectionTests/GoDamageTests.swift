import Inspection
import SystemPackage
import Testing
import TestSupport
import WAL

@Suite("Go damage") struct GoDamageTests {
    // MARK: One file

    @Test func everyFlippedBitBeforeTheLastFrameIsDamageOfOneFrame() throws {
        let all = GoBytes.frames(0..<5)
        let log = GoBytes.joined(all)
        let sound = try GoWalkResult(log).messages
        var start = 0
        for (id, frame) in all.enumerated() {
            for bit in start * 8..<(start + frame.count) * 8 {
                var flipped = log
                flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                let result = try GoWalkResult(flipped)
                let isLast = id == all.count - 1
                let isRight =
                    result.messages == sound.filter { $0.id != UInt64(id) }
                    && result.findings.count == 1 && result.findings[0].offset == UInt64(start)
                    && result.findings[0].length == UInt64(frame.count)
                    && result.summary.verdict == (isLast ? .torn : .damaged)
                    && result.lost == (isLast ? [] : [UInt64(id)...UInt64(id)])
                    && result.summary.nextID == UInt64(isLast ? 4 : 5)
                if !isRight { Issue.record("bit \(bit): \(result.findings)") }
            }
            start += frame.count
        }
    }

    @Test func theFindingSaysWhichRuleWasBroken() throws {
        let all = GoBytes.frames(0..<4)
        func finding(_ second: [UInt8]) throws -> LogFinding? {
            let result = try GoWalkResult(all[0] + second + all[2] + all[3])
            #expect(result.ids == [0, 2, 3] || result.ids == [0, 1, 2, 3])
            #expect(result.findings.count == 1)
            #expect(result.summary.verdict == .damaged)
            return result.findings.first
        }
        let length = all[1].count
        #expect(try finding([9, 0, 0, 0] + all[1].dropFirst(4))?.kind == .badLength)
        #expect(try finding([0, 0, 80, 0] + all[1].dropFirst(4))?.kind == .badLength)
        #expect(try finding(all[1].dropLast() + [all[1][length - 1] ^ 1])?.kind == .badCRC)
        #expect(try finding(Array(repeating: 0, count: length))?.kind == .zeroHole)
        let inner = GoBytes.sealed(Array(all[1][4..<length - 4]) + [1])
        #expect(try finding(inner)?.kind == .badInner)
        let stale = try finding(all[1] + all[0])
        #expect(stale?.kind == .badID)
        #expect(stale?.lost == nil)
        #expect(stale?.offset == UInt64(all[0].count + length))
        let missing = try finding([])
        #expect(missing?.kind == .badID)
        #expect(missing?.lost == 1...1)
        #expect(missing?.length == 0)
    }

    @Test func aTornTailBeginsWithTheWordForItsReason() throws {
        let first = GoBytes.frame(0)
        let second = GoBytes.frame(1)
        let length = second.count
        for (word, tail) in [
            ("short", Array(second.prefix(3))), ("short", Array(second.dropLast())),
            ("length", [5, 0, 0, 0] + second.dropFirst(4)),
            ("crc", second.dropLast() + [second[length - 1] ^ 1]),
            ("length", GoBytes.sealed(Array(second[4..<length - 4]) + [1])), ("id", first),
        ] as [(String, [UInt8])] {
            let result = try GoWalkResult(first + tail)
            #expect(result.kinds == [.tornTail])
            let detail = try #require(result.findings.first?.detail)
            #expect(detail.hasPrefix(word + ": "), "\(detail)")
        }
    }

    @Test func severalBadPlacesAreToldApart() throws {
        var all = GoBytes.frames(0..<9)
        all[2][10] ^= 1
        all[3] = []
        all[6][0] ^= 0x80
        let result = try GoWalkResult(GoBytes.joined(all))
        #expect(result.ids == [0, 1, 4, 5, 7, 8])
        #expect(result.lost == [2...3, 6...6])
        #expect(result.summary.lostIDs == 3)
        #expect(result.summary.nextID == 9)
    }

    @Test func bytesThatGotBetweenTwoFramesLoseNoMessage() throws {
        let all = GoBytes.frames(0..<6)
        let before = GoBytes.joined(Array(all[..<3]))
        let behind = GoBytes.joined(Array(all[3...]))
        let zeros = [UInt8](repeating: 0, count: 99)
        for garbage: [UInt8] in [[1], [1, 2, 3, 4, 5], Array(all[3].dropLast(3)), zeros] {
            let result = try GoWalkResult(before + garbage + behind)
            #expect(result.ids == [0, 1, 2, 3, 4, 5])
            #expect(result.findings.count == 1)
            #expect(result.findings.first?.length == UInt64(garbage.count))
            #expect(result.lost.isEmpty)
            #expect(result.summary.verdict == .damaged)
        }
    }

    @Test func bytesThatWereRemovedLoseTheirMessagesOnly() throws {
        let all = GoBytes.frames(0..<40)
        let log = GoBytes.joined(all)
        // From inside frame 3 to inside frame 30: there is no room left for what is missing.
        let from = GoBytes.joined(Array(all[..<3])).count + 11
        let to = GoBytes.joined(Array(all[..<30])).count + 17
        let result = try GoWalkResult(Array(log[..<from] + log[to...]))
        #expect(result.ids == [0, 1, 2] + Array(31..<40))
        #expect(result.lost == [3...30])
    }

    @Test func aBrokenFrameThatHoldsFramesOfAnotherLogLeadsNowhere() throws {
        let foreign = GoBytes.joined(GoBytes.frames(1000..<1004))
        var all = GoBytes.frames(0..<6)
        all[2] = GoBytes.frame(2, payload: foreign + GoBytes.text("and more"))
        let log = GoBytes.joined(all)
        let start = all[0].count + all[1].count
        for bit in start * 8..<(start + all[2].count) * 8 {
            var flipped = log
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            let result = try GoWalkResult(flipped)
            let isRight = result.ids == [0, 1, 3, 4, 5] && result.lost == [2...2]
            if !isRight { Issue.record("bit \(bit): \(result.findings)") }
        }
        // One frame alone is not taken for the log's, even when both lengths are gone.
        let single = GoBytes.frame(1000) + GoBytes.text("and more")
        all[2] = GoBytes.frame(2, payload: single)
        all[2].replaceSubrange(0..<26, with: [UInt8](repeating: 0xff, count: 26))
        #expect(try GoWalkResult(GoBytes.joined(all)).ids == [0, 1, 3, 4, 5])
    }

    @Test func largeFramesBehindABadPlaceAreFoundAndJudgedAsBefore() throws {
        var all = [30, 900_000, 5_000, 2_000_000, 0, 70_000].enumerated().map { id, size in
            GoBytes.frame(UInt64(id), payload: (0..<size).map { UInt8(truncatingIfNeeded: $0) })
        }
        all[0][5] ^= 1
        let result = try GoWalkResult(GoBytes.joined(all))
        #expect(result.ids == [1, 2, 3, 4, 5])
        #expect(result.lost == [0...0])
        // In a suspect file a flipped bit of a large frame is found as anywhere.
        all[3][1_234_567] ^= 4
        let again = try GoWalkResult(GoBytes.joined(all))
        #expect(again.ids == [1, 2, 4, 5])
        #expect(again.kinds == [.badCRC, .badCRC])
    }

    @Test func theFirstFrameOfTheLogMayBeTheBrokenOne() throws {
        var all = GoBytes.frames(0..<3)
        all[0][8] ^= 1
        let zeroth = try GoWalkResult(GoBytes.joined(all))
        #expect(zeroth.ids == [1, 2])
        #expect(zeroth.lost == [0...0])
        #expect(zeroth.summary.firstID == 1)
        // In a file that is not the log's first nobody knows what was there.
        let disk = GoMemoryDisk([[], GoBytes.joined(all)])
        let later = try GoWalkResult(Array(disk.segments.dropFirst()), on: disk)
        #expect(later.ids == [1, 2])
        #expect(later.kinds == [.badCRC])
        #expect(later.lost.isEmpty)
    }

    @Test func anUnsureFrameIsBetterThanNone() throws {
        // Far too high an id, nothing that continues it, and garbage behind.
        let log = GoBytes.frames(0..<1)[0] + [1, 2, 3] + GoBytes.frame(900) + [4, 5, 6]
        let result = try GoWalkResult(log)
        #expect(result.ids == [0, 900])
        #expect(result.kinds == [.badLength, .tornTail])
        #expect(result.lost == [1...899])
        #expect(result.summary.verdict == .damaged)
    }

    // MARK: Several files

    @Test func aMissingFileIsASegmentMissing() throws {
        let all = GoBytes.frames(0..<9)
        let first = GoBytes.joined(Array(all[..<3]))
        let result = try GoWalkResult(first, GoBytes.joined(Array(all[5...])))
        #expect(result.ids == [0, 1, 2, 5, 6, 7, 8])
        #expect(result.kinds == [.segmentMissing])
        #expect(result.findings.first?.segment == "000000.log")
        #expect(result.findings.first?.offset == UInt64(first.count))
        #expect(result.findings.first?.length == 0)
        #expect(result.lost == [3...4])
        #expect(result.summary.verdict == .damaged)
    }

    @Test func aFirstFileWithoutMessagesHasLostThem() throws {
        let result = try GoWalkResult([], GoBytes.joined(GoBytes.frames(3..<5)))
        #expect(result.ids == [3, 4])
        #expect(result.kinds == [.emptySegment, .segmentMissing])
        #expect(result.lost == [0...2])
    }

    @Test func aTornEndThatALaterFileGoesOnFromIsDamageWithoutLoss() throws {
        let all = GoBytes.frames(0..<6)
        let torn = GoBytes.joined(Array(all[..<3])) + all[3].dropLast(5)
        let result = try GoWalkResult(torn, GoBytes.joined(Array(all[3...])))
        #expect(result.ids == [0, 1, 2, 3, 4, 5])
        #expect(result.kinds == [.badLength])
        #expect(result.lost.isEmpty)
        #expect(result.summary.verdict == .damaged)
        let behind = try GoWalkResult(torn, [], GoBytes.joined(Array(all[4...])))
        #expect(behind.ids == [0, 1, 2, 4, 5])
        #expect(behind.kinds == [.badLength, .emptySegment])
        #expect(behind.lost == [3...3])
    }

    @Test func everyByteThatIsPassedOverIsInAFinding() throws {
        let all = GoBytes.frames(0..<9)
        let first = GoBytes.joined(Array(all[..<3])) + [1, 2, 3, 4, 5]
        let second = [UInt8](repeating: 0, count: 77)
        let third = Array(all[4].dropFirst(9)) + GoBytes.joined(Array(all[5...]))
        let result = try GoWalkResult(first, second, third)
        #expect(result.ids == [0, 1, 2, 5, 6, 7, 8])
        #expect(result.kinds == [.badLength, .zeroHole, .badLength])
        #expect(result.findings.map(\.length) == [5, 77, UInt64(all[4].count - 9)])
        #expect(result.lost == [3...4])
        #expect(result.findings.map(\.segment) == ["000000.log", "000001.log", "000002.log"])
    }

    @Test func aFileThatRepeatsTheOneBeforeItHasABadID() throws {
        let all = GoBytes.frames(0..<6)
        let first = GoBytes.joined(Array(all[..<4]))
        let result = try GoWalkResult(first, first, GoBytes.joined(Array(all[4...])))
        #expect(result.ids == [0, 1, 2, 3, 4, 5])
        #expect(result.kinds == [.badID])
        #expect(result.findings.first?.segment == "000001.log")
        #expect(result.findings.first?.length == UInt64(first.count))
        #expect(result.lost.isEmpty)
    }

    // MARK: Any damage

    @Test func anyDamageGivesOnlyWhatWasWritten() throws {
        let all = GoBytes.frames(0..<24)
        let files = [0..<9, 9..<17, 17..<24].map { GoBytes.joined(Array(all[$0])) }
        let sound = try GoWalkResult(files[0], files[1], files[2]).messages
        let payloads = Dictionary(uniqueKeysWithValues: sound.map { ($0.id, $0.payload) })
        for seed in UInt64(0)..<600 {
            var random = Seeded(seed)
            var damaged = files
            for _ in 0...Int.random(in: 0..<4, using: &random) { damage(&damaged, &random) }
            let result = try GoWalkResult(damaged[0], damaged[1], damaged[2])
            var isRight = zip(result.ids, result.ids.dropFirst()).allSatisfy { $0 < $1 }
            for message in result.messages where payloads[message.id] != message.payload {
                isRight = false
            }
            let lost = result.lost.reduce(0) { $0 + UInt64($1.count) }
            isRight = isRight && lost == result.summary.lostIDs
            // A cut between two frames at the end leaves nothing that could tell.
            if result.summary.verdict == .clean {
                isRight = isRight && sound.starts(with: result.messages)
            }
            if result.summary.verdict < .damaged { isRight = isRight && lost == 0 }
            // Below the next id everything is either there or said to be lost.
            let known = UInt64(result.ids.count) + lost
            isRight = isRight && result.summary.nextID == known
            if !isRight { Issue.record("seed \(seed): \(result.ids) \(result.findings)") }
        }
    }

    private func damage(_ files: inout [[UInt8]], _ random: inout Seeded) {
        let index = Int.random(in: 0..<files.count, using: &random)
        guard files[index].count > 1 else { return }
        let start = Int.random(in: 0..<files[index].count, using: &random)
        let end = min(files[index].count, start + Int.random(in: 1..<90, using: &random))
        switch Int.random(in: 0..<5, using: &random) {
        case 0: files[index][start] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1:
            let zeros = repeatElement(UInt8(0), count: end - start)
            files[index].replaceSubrange(start..<end, with: zeros)
        case 2: files[index].removeSubrange(start..<end)
        case 3: files[index].insert(contentsOf: files[index][start..<end], at: end)
        default: files[index].removeSubrange(start...)
        }
    }
}
