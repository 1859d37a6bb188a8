import Inspection
import SystemPackage
import Testing
import WAL

@Suite("Go segment walk") struct GoSegmentWalkTests {
    // MARK: Sound logs

    @Test func aSoundLogIsClean() throws {
        let first = GoBytes.joined(GoBytes.frames(0..<3))
        let result = try GoWalkResult(first, GoBytes.joined(GoBytes.frames(3..<5)))
        #expect(result.ids == [0, 1, 2, 3, 4])
        #expect(result.messages.map(\.segment.first) == ["0", "0", "0", "0", "0"])
        #expect(result.messages[3].segment == "000001.log")
        #expect(result.messages[3].offset == 0)
        #expect(result.messages[3].key == "k3")
        #expect(result.messages[4].visibleAt == 4)
        #expect(result.findings.isEmpty)
        var summary = GoWalkSummary()
        summary.firstID = 0
        summary.nextID = 5
        summary.messages = 5
        #expect(result.summary == summary)
    }

    @Test func theFirstIDMayBeAny() throws {
        let result = try GoWalkResult(GoBytes.joined(GoBytes.frames(41..<44)))
        #expect(result.ids == [41, 42, 43])
        #expect(result.summary.verdict == .clean)
        #expect(result.summary.firstID == 41)
    }

    @Test func noFilesAndEmptyFilesAreClean() throws {
        let none = try GoWalkResult([GoSegment](), on: GoMemoryDisk([]))
        #expect(none.summary.verdict == .clean)
        #expect(none.summary.nextID == 0)
        let empty = try GoWalkResult([], GoBytes.joined(GoBytes.frames(0..<1)), [])
        #expect(empty.ids == [0])
        #expect(empty.kinds == [.emptySegment, .emptySegment])
        #expect(empty.findings.map(\.segment) == ["000000.log", "000002.log"])
        #expect(empty.summary.nextID == 1)
    }

    @Test func nextIDIsNotMadeUp() throws {
        let disk = GoMemoryDisk([[], []])
        let later = try GoWalkResult(Array(disk.segments.dropFirst()), on: disk)
        #expect(later.summary.firstID == nil)
        #expect(later.summary.nextID == nil)
    }

    @Test func aClockThatWentBackIsARemark() throws {
        let times: [UInt64] = [10, 20, 15, 15, 21]
        let log = times.enumerated().flatMap { GoBytes.frame(UInt64($0), timestamp: $1) }
        let result = try GoWalkResult(log)
        #expect(result.ids.count == 5)
        #expect(result.kinds == [.clockBack])
        #expect(result.findings.first?.offset == 60)
        #expect(result.findings.first?.length == 30)
        #expect(result.summary.verdict == .clean)
    }

    @Test func framesLargerThanTheBufferAreReadWhole() throws {
        let sizes = [3_000_000, 10, 4_194_278, 700_000, 0, 1_048_577]
        let log = sizes.enumerated().map { id, size in
            GoBytes.frame(UInt64(id), payload: Array(repeating: UInt8(id), count: size))
        }
        let disk = GoMemoryDisk([GoBytes.joined(log)])
        let result = try GoWalkResult(disk.segments, on: disk)
        #expect(result.messages.map(\.payload.count) == sizes)
        #expect(disk.bytesRead == UInt64(GoBytes.joined(log).count))
    }

    @Test func aWalkStopsWhenItIsToldTo() throws {
        let disk = GoMemoryDisk([GoBytes.joined(GoBytes.frames(0..<9))])
        var walk = GoSegmentWalk(disk.segments, on: Storage(disk))
        var seen: [UInt64] = []
        try walk.run { message in
            seen.append(message.id)
            return message.id < 3
        } finding: { _ in
        }
        #expect(seen == [0, 1, 2, 3])
        guard case .frame(let frame) = try walk.next() else {
            Issue.record("no frame")
            return
        }
        #expect(frame.id == 4)
        #expect(walk.frameBytes.copied() == GoBytes.frames(4..<5)[0])
        #expect(walk.segment.name == "000000.log")
    }

    @Test func anIOErrorIsAnErrorAndNoVerdict() throws {
        let second = GoBytes.joined(GoBytes.frames(3..<5))
        let disk = GoMemoryDisk([GoBytes.joined(GoBytes.frames(0..<3)), second], failingAt: 1)
        let error = DiskError(operation: .read, path: GoMemoryDisk.path(1), errno: .ioError)
        #expect(throws: error) { try GoWalkResult(disk.segments, on: disk) }
        // Also where the search behind a bad place comes to it.
        let torn = Array(GoBytes.joined(GoBytes.frames(0..<3)).dropLast())
        let broken = GoMemoryDisk([torn, second], failingAt: 1)
        #expect(throws: error) { try GoWalkResult(broken.segments, on: broken) }
    }

    // MARK: Tails

    @Test func aCutAnywhereIsTornAndKeepsTheWholeFrames() throws {
        let all = GoBytes.frames(0..<6)
        let log = GoBytes.joined(all)
        for length in 0..<log.count {
            var end = 0
            let whole = all.prefix {
                end += $0.count
                return end <= length
            }
            let kept = GoBytes.joined(Array(whole)).count
            let result = try GoWalkResult(Array(log[..<length]))
            let isTorn = kept < length
            let expected: [LogFinding.Kind] =
                isTorn ? [.tornTail] : length == 0 ? [.emptySegment] : []
            let isRight =
                result.ids == Array(0..<UInt64(whole.count))
                && result.kinds == expected && result.summary.nextID == UInt64(whole.count)
                && result.summary.verdict == (isTorn ? .torn : .clean)
                && (!isTorn || result.findings[0].offset == UInt64(kept))
                && (!isTorn || result.findings[0].length == UInt64(length - kept))
            if !isRight { Issue.record("cut at \(length): \(result)") }
        }
    }

    @Test func aCutOfTheSamplesIsTornAtEveryByte() throws {
        let topics = GoFixtures.path("v1-c-consumers-kill9").appending("data").appending("topics")
        for name in ["audit.log", "тема"] {
            let log = try GoFixtures.bytes(topics.appending(name).appending("000000.log"))
            let whole = try GoWalkResult(log)
            let ends = Set(whole.messages.map(\.offset))
            for length in 1..<log.count where !ends.contains(UInt64(length)) {
                let result = try GoWalkResult(Array(log[..<length]))
                let isRight =
                    result.summary.verdict == .torn
                    && result.messages.elementsEqual(whole.messages.prefix(result.messages.count))
                if !isRight { Issue.record("\(name) cut at \(length): \(result)") }
            }
        }
    }

    @Test func aTornFrameThatHoldsOlderFramesIsNotDamage() throws {
        let old = GoBytes.frames(0..<5)
        let log = GoBytes.joined(old)
        let last = GoBytes.frame(5, payload: log + GoBytes.frame(5) + log)
        for length in log.count + 1..<log.count + last.count {
            let result = try GoWalkResult(Array((log + last)[..<length]))
            let isRight = result.ids == [0, 1, 2, 3, 4] && result.kinds == [.tornTail]
            if !isRight { Issue.record("cut at \(length): \(result.findings)") }
        }
        // The same where the last frame is whole in length, but not in content.
        for place in stride(from: log.count + 30, to: log.count + last.count, by: 7) {
            var rotten = log + last
            rotten[place] ^= 0x10
            #expect(try GoWalkResult(rotten).summary.verdict == .torn)
        }
    }

    @Test func zerosAtTheEndAreARemark() throws {
        for count in [1, 3, 4, 29, 30, 5_000, 300_000] {
            let zeros = [UInt8](repeating: 0, count: count)
            let result = try GoWalkResult(GoBytes.joined(GoBytes.frames(0..<3)) + zeros)
            #expect(result.kinds == [.zeroTail])
            #expect(result.findings.first?.length == UInt64(count))
            #expect(result.summary.verdict == .zeroTail)
            #expect(result.summary.nextID == 3)
            let fresh = try GoWalkResult(zeros)
            #expect(fresh.kinds == [.zeroTail, .emptySegment])
        }
        let dirty = try GoWalkResult(GoBytes.joined(GoBytes.frames(0..<3)) + [0, 0, 0, 0, 0, 1])
        #expect(dirty.kinds == [.tornTail])
    }

    @Test func aTornEndBeforeEmptyFilesIsStillTorn() throws {
        let torn = Array(GoBytes.joined(GoBytes.frames(0..<3)).dropLast(2))
        let result = try GoWalkResult(torn, [], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5])
        #expect(result.ids == [0, 1])
        #expect(
            result.kinds == [.tornTail, .emptySegment, .zeroTail, .emptySegment, .tornTail])
        #expect(result.summary.verdict == .torn)
        #expect(result.summary.nextID == 2)
    }

    // MARK: Bounds

    @Test func aPayloadMadeOfFramesThatClaimMuchIsSearchedInLinearTime() throws {
        // Every 30 bytes stands a frame whose lengths add up to half a megabyte, checksum wrong.
        let claim = 512 << 10
        let decoy =
            GoBytes.little(UInt32(claim - 4)) + GoBytes.little(UInt64(1 << 40))
            + GoBytes.little(UInt64(1)) + GoBytes.little(UInt16(0))
            + GoBytes.little(UInt32(claim - 30)) + [9, 9, 9, 9]
        let decoys = Array(repeatElement(decoy, count: 35_000).joined())
        var broken = GoBytes.frame(1, payload: decoys)
        broken[0] ^= 1
        broken[22] ^= 1
        let disk = GoMemoryDisk([GoBytes.frame(0) + broken + GoBytes.frame(2)])
        let result = try GoWalkResult(disk.segments, on: disk)
        #expect(result.ids == [0, 2])
        #expect(result.lost == [1...1])
        #expect(disk.bytesRead < UInt64(4 * broken.count))
    }
}
