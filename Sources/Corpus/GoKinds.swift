internal import Inspection
internal import WAL

/// Logs of the Go program: their only evidence is order.
extension ImageKinds {
    static let go: [(name: String, make: Make)] = [
        ("go-clean", goClean), ("go-torn", goTorn), ("go-damaged", goDamaged),
        ("go-segment-missing", goSegmentMissing), ("go-offsets-damaged", goOffsetsDamaged),
    ]

    private static let firstName = "000000.log"
    private static let secondName = "000001.log"

    /// One frame: with a key, a delay, or neither.
    static func goFrame(id: UInt64, timestamp: UInt64, _ random: inout SeededRandom) -> [UInt8] {
        let key = random.once(in: 3) ? random.bytes(random.within(1...12)) : []
        let payload = random.bytes(random.within(0...60))
        var body = little(id) + little(timestamp) + little(UInt16(key.count)) + key
        body += little(UInt32(payload.count)) + payload
        if random.once(in: 4) { body += little(timestamp &+ 1_000_000_000) }
        return little(UInt32(body.count + 4)) + body + little(CRC32.of(RawSpan(of: body)))
    }

    private struct GoLog {
        var frames: [[UInt8]] = []
        var bytes: [UInt8] { frames.flatMap { $0 } }
        var expectation: Expectation {
            var told = Expectation()
            told.intact = (0..<frames.count).map(UInt64.init)
            told.nextID = UInt64(frames.count)
            return told
        }
        func offset(of index: Int) -> Int { frames[..<index].reduce(0) { $0 + $1.count } }
    }

    private static func goLog(_ random: inout SeededRandom, from first: UInt64 = 0) -> GoLog {
        var log = GoLog()
        var time = 1_700_000_000_000_000_000 + first * 1_000_000_000
        for index in 0..<random.within(4...12) {
            time += UInt64(random.below(1_000_000))
            log.frames.append(
                goFrame(id: first + UInt64(index), timestamp: time, &random))
        }
        return log
    }

    private static func goClean(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var random = random
        let log = goLog(&random)
        return CrashImage(kind, go: [(firstName, log.bytes)], expecting: log.expectation)
    }

    private static func goTorn(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var random = random
        let log = goLog(&random)
        let last = log.frames.count - 1
        let start = log.offset(of: last)
        var bytes = log.bytes
        var told = log.expectation
        told.intact.removeLast()
        told.nextID = UInt64(last)
        told.verdict = .torn
        bytes.removeLast(random.within(1...log.frames[last].count - 1))
        told.findings.append(
            .init(.tornTail, firstName, UInt64(start), UInt64(bytes.count - start)))
        // What is left of the last frame may be zeros, and then it is no tear.
        if bytes[start...].allSatisfy({ $0 == 0 }) {
            bytes = Array(bytes[..<start])
            told.findings = []
            told.verdict = .clean
        }
        return CrashImage(kind, go: [(firstName, bytes)], expecting: told)
    }

    private static func goDamaged(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var random = random
        let log = goLog(&random)
        let index = random.within(0...log.frames.count - 2)
        let start = log.offset(of: index)
        var bytes = log.bytes
        bytes[start + log.frames[index].count - 1] ^= 1
        var told = log.expectation
        told.intact.remove(at: index)
        told.verdict = .damaged
        let lost = UInt64(index)
        told.findings.append(
            .init(
                .badCRC, firstName, UInt64(start), UInt64(log.frames[index].count),
                lost: index == 0 ? 0...0 : lost...lost))
        return CrashImage(kind, go: [(firstName, bytes)], expecting: told)
    }

    private static func goSegmentMissing(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var random = random
        let log = goLog(&random)
        let gap = UInt64(random.within(1...20))
        let next = UInt64(log.frames.count)
        let more = goLog(&random, from: next + gap)
        var told = log.expectation
        told.intact += (0..<more.frames.count).map { next + gap + UInt64($0) }
        told.nextID = next + gap + UInt64(more.frames.count)
        told.verdict = .damaged
        told.findings.append(
            .init(
                .segmentMissing, firstName, UInt64(log.bytes.count), 0,
                lost: next...next + gap - 1))
        return CrashImage(
            kind, go: [(firstName, log.bytes), (secondName, more.bytes)], expecting: told)
    }

    private static func goOffsetsDamaged(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var random = random
        let log = goLog(&random)
        let files = [
            (firstName, log.bytes),
            ("offsets.json", Array("{\"consumers\": {\"c\": {\"has_acked\": true}}}\n".utf8)),
        ]
        var told = log.expectation
        told.verdict = .damaged
        told.findings.append(.init(.offsetsDamaged, "offsets.json", nil, nil))
        return CrashImage(kind, go: files, expecting: told)
    }
}
