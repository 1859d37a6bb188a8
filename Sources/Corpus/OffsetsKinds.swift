internal import Inspection
internal import WAL

/// What offsets.json may be.
extension ImageKinds {
    static let besides: [(name: String, make: Make)] = [
        ("acknowledged", acknowledged), ("acknowledged-torn", acknowledgedTorn),
        ("offsets-variant", offsetsVariant), ("frames-in-payloads", framesInPayloads),
        ("unmade-segment", unmadeSegment),
    ]

    /// The file's bytes: one consumer for each highest id, with a checksum that holds.
    static func offsetsFile(_ consumers: [(name: String, entry: String)], extra: String = "")
        -> [UInt8]
    {
        let entries = consumers.map { "\"\($0.name)\": \($0.entry)" }.joined(separator: ", ")
        let body = Array("{\"consumers\": {\(entries)}\(extra)".utf8)
        return body + Array(", \"crc32\": \"\(hex(CRC32.of(RawSpan(of: body))))\"}\n".utf8)
    }

    static func hex(_ value: UInt32) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }

    static func entry(_ acked: UInt64?, _ above: [ClosedRange<UInt64>] = []) -> String {
        let ranges = above.map { "[\($0.lowerBound), \($0.upperBound)]" }
        return "{\"acked\": \(acked.map(String.init) ?? "null"), "
            + "\"above\": [\(ranges.joined(separator: ", "))]}"
    }

    static func ackedBeyondEnd(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(log(random))
        let next = image.expectation.nextID ?? 0
        let highest = next + UInt64(image.random.below(9))
        image.acknowledged = highest
        if image.random.once(in: 3) { append(&image, zeros: 64) }
        let bytes = offsetsFile([("c", entry(highest))])
        return CrashImage(kind, image, others: [("offsets.json", bytes)])
    }

    /// A consumer is as far as it can be.
    private static func acknowledged(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(anyLog(random))
        let last = (image.expectation.nextID ?? 1) - 1
        image.acknowledged = last
        let bytes = offsetsFile(
            [("a", entry(nil)), ("b", entry(last))], extra: ", \"later\": [1, {}]")
        return CrashImage(kind, image, others: [("offsets.json", bytes)])
    }

    /// The last commit is gone or broken, and a consumer had seen some of it: no crash does that.
    private static func acknowledgedTorn(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(tornGroup(random))
        let last = image.written[image.written.count - 1]
        let first = last.durableBelow
        let seen = first + UInt64(image.random.below(Int(last.commitIndex) + 1))
        image.acknowledged = seen
        let group = image.written.filter { $0.kind == .message && $0.id >= first }
        spoil(&image, image.random.one(of: group))
        let bytes = offsetsFile([("c", entry(seen))])
        return CrashImage(kind, image, others: [("offsets.json", bytes)])
    }

    static func offsetsDamaged(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(log(random))
        let last = (image.expectation.nextID ?? 1) - 1
        var bytes = offsetsFile([("c", entry(last))])
        switch image.random.below(6) {
        case 0: bytes[image.random.below(bytes.count)] ^= 0x40
        case 1: bytes.removeLast(image.random.within(1...bytes.count - 1))
        case 2: bytes = []
        case 3: bytes = image.random.bytes(100)
        case 4: bytes = Array("{}\n".utf8)
        default: bytes = offsetsFile([("c", "{\"acked\": -1, \"above\": []}")])
        }
        var told = image.expectation
        told.verdict = .damaged
        told.findings.append(
            .init(.offsetsDamaged, "offsets.json", nil, UInt64(bytes.count)))
        return CrashImage(kind, image, others: [("offsets.json", bytes)], expecting: told)
    }

    /// What may be in the file and is right, or what may not.
    private static func offsetsVariant(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(log(random, commits: 6, firstID: 0))
        let next = image.expectation.nextID ?? 0
        let low = UInt64(image.random.below(Int(next) - 1))
        let (bytes, highest): ([UInt8]?, UInt64?) =
            switch image.random.below(8) {
            case 0: (offsetsFile([]), nil)
            case 1: (offsetsFile([("c", entry(nil))]), nil)
            case 2: (offsetsFile([("c", entry(0))]), 0)
            case 3: (offsetsFile([("c", entry(nil, [low + 1...low + 1]))]), low + 1)
            case 4: (offsetsFile([("\\u00fc", entry(low))], extra: ", \"x\": null"), low)
            // Not ascending, not apart, no id at all, a member too few: none of it can be.
            case 5: (offsetsFile([("c", entry(5, [9...9, 7...8]))]), nil)
            case 6: (offsetsFile([("c", entry(.max))]), nil)
            default: (offsetsFile([("c", "{\"acked\": 1}")]), nil)
            }
        image.acknowledged = highest
        var told = image.expectation
        if let bytes, !isPossible(bytes, image) {
            told.verdict = .damaged
            told.findings.append(
                .init(.offsetsDamaged, "offsets.json", nil, UInt64(bytes.count)))
        }
        return CrashImage(kind, image, others: [("offsets.json", bytes ?? [])], expecting: told)
    }

    /// Whether a variant above is one of those that may be.
    private static func isPossible(_ bytes: [UInt8], _ image: LogImage) -> Bool {
        let impossible = [entry(5, [9...9, 7...8]), entry(.max), "{\"acked\": 1}"]
        return !impossible.contains { bytes == offsetsFile([("c", $0)]) }
    }

    /// Payloads that are frames: of this log, of another, of what comes next. With a page gone in
    /// one of them, or none.
    private static func framesInPayloads(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var writer = log(random)
        let other = log(SeededRandom(writer.random.next()), segments: 1)
        writer.commit(1, payload: writer.segments[0].bytes)
        writer.commit(2, payload: other.segments[0].bytes)
        let guess = WrittenFrame(
            .message, id: writer.nextID + 1, position: writer.random.next(),
            timestamp: writer.timestamp)
        writer.commit(1, payload: guess.bytes + guess.bytes)
        if writer.random.once(in: 2) { writer.commit(1) }
        var image = LogImage(writer)
        if image.random.once(in: 2) {
            let large = image.written.filter { $0.kind == .message && $0.bytes.count > 300 }
            let frame = image.random.one(of: large)
            change(&image, frame, at: image.random.within(4...60)) { $0 ^= 0x80 }
        }
        return CrashImage(kind, image)
    }

    /// A `segment.log` whose making was not finished, behind a sealed one.
    private static func unmadeSegment(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var writer = log(random)
        writer.roll()
        var image = LogImage(writer)
        let mark = image.segments.removeLast().bytes
        var told = image.expectation
        let left = image.random.below(38)
        told.findings.append(.init(.emptySegment, "segment.log", 0, UInt64(left)))
        return CrashImage(
            kind, image, others: [("segment.log", Array(mark.prefix(left)))], expecting: told)
    }
}
