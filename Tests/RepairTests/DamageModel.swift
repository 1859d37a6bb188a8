import DataDirectory
import Inspection
import Repair
import SystemPackage
import WALTestSupport

@testable import WAL

/// A log of a few segments, damaged at random, and what is known of what was written to it.
struct DamagedLog {
    /// A message where it was written.
    struct Written {
        var file: String
        var range: Range<Int>
        var frame: [UInt8]
        var id: UInt64
        /// How many ids it takes: 0 for a mark.
        var ids: UInt64
        var commit: UInt64
        var payload: [UInt8]
    }

    private(set) var files: [(name: String, bytes: [UInt8])] = []
    private(set) var written: [Written] = []
    private(set) var acked: UInt64?
    /// What was done, for the report of a failure.
    private(set) var story: [String] = []
    /// Files that hold whole frames of other places.
    private var strangers: Set<String> = []
    /// The last file, that is appended to.
    private var active: Int { files.count - 1 }

    init(seed: UInt64) {
        var random = Seeded(seed)
        build(&random)
        let number = Int.random(in: 1...4, using: &random)
        let count = number == 4 ? Int.random(in: 2...8, using: &random) : 1
        for _ in 0..<count { damage(&random, isOnlyOne: count == 1) }
    }

    // MARK: Writing

    private mutating func build(_ random: inout Seeded) {
        var segment = SegmentBuilder(base: UInt64.random(in: 0..<1 << 62, using: &random))
        let count = Int.random(in: 1...3, using: &random)
        for number in 0..<count {
            for _ in 0..<Int.random(in: 0...8, using: &random) {
                segment.add(commit(&random, segment.bytes))
                if Int.random(in: 0..<5, using: &random) == 0 { segment.addMark() }
            }
            let isLast = number == count - 1
            if segment.nextID == segment.firstID, !isLast {
                segment.add(commit(&random, segment.bytes))
            }
            if isLast, Bool.random(using: &random) { segment.addMark() }
            let name = isLast ? SegmentName.activeName : segment.name
            files.append((name, segment.bytes))
            for frame in segment.frames {
                written.append(
                    Written(
                        file: name, range: frame.range, frame: Array(segment.bytes[frame.range]),
                        id: frame.id, ids: frame.ids, commit: frame.commit,
                        payload: frame.message?.payload ?? []))
            }
            segment = segment.next()
        }
        let next = written.last.map { $0.id + $0.ids } ?? 0
        if next > 0, Int.random(in: 0..<3, using: &random) == 0 {
            acked = UInt64.random(in: 0..<next, using: &random)
        }
    }

    private func commit(_ random: inout Seeded, _ sofar: [UInt8]) -> [TestMessage] {
        (0..<Int.random(in: 1...4, using: &random)).map { _ in
            switch Int.random(in: 0..<8, using: &random) {
            case 0: return TestMessage([])
            case 1: return TestMessage([UInt8](repeating: 0, count: 60))
            case 2: return TestMessage(Array(sofar.suffix(300)))
            case 3:
                return TestMessage(
                    random.bytes(20), key: random.bytes(5), headers: [MessageHeader("a", "b")])
            default:
                return TestMessage(random.bytes(Int.random(in: 1...200, using: &random)))
            }
        }
    }

    // MARK: Damaging

    private mutating func damage(_ random: inout Seeded, isOnlyOne: Bool) {
        let file = Int.random(in: 0..<files.count, using: &random)
        let size = files[file].bytes.count
        guard size > 0 else { return }
        let frames = written.filter { $0.file == files[file].name && $0.range.upperBound <= size }
        guard let frame = frames.randomElement(using: &random) else { return }
        let range = frame.range
        let kind = Int.random(in: 0..<16, using: &random)
        story.append("\(kind) in \(files[file].name) of \(size) near \(range)")
        if [6, 10, 12, 13].contains(kind) { strangers.insert(files[file].name) }
        switch kind {
        case 0, 1, 2:
            let field =
                [0, 4, 12, 20, 28, 32, 34, range.count - 4, range.count - 1]
                .filter { $0 < range.count }.randomElement(using: &random) ?? 0
            files[file].bytes[range.lowerBound + field] ^=
                1 << UInt8.random(in: 0..<8, using: &random)
        case 3: fill(file, range, random.bytes(range.count))
        case 4: fill(file, range, [UInt8](repeating: 0, count: range.count))
        case 5: fill(file, page(size, &random), [UInt8](repeating: 0, count: 4096))
        case 6:
            // A page that was written twice.
            let page = page(size, &random)
            let other = self.page(size, &random)
            fill(file, other, Array(files[file].bytes[page]))
        case 7: files[file].bytes += random.bytes(Int.random(in: 1...500, using: &random))
        case 8: files[file].bytes += [UInt8](repeating: 0, count: 700)
        case 9:
            let values: [UInt32] = [0, 1, 33, 34, 4_194_300, 4_194_301, .max]
            let value = values.randomElement(using: &random) ?? 0
            fill(file, range.lowerBound..<range.lowerBound + 4, value.littleEndianBytes)
        case 10: swap(file, frame, &random)
        case 11: files[file].bytes.removeLast(Int.random(in: 1...size, using: &random))
        case 12:
            // An earlier life: frames that are whole and stand somewhere else.
            let tail = Array(files[file].bytes[range.lowerBound...])
            files[file].bytes += tail
        case 13:
            // Logs put together.
            let other = files[Int.random(in: 0..<files.count, using: &random)].bytes
            files[file].bytes += other
        case 14 where isOnlyOne && range.lowerBound > 38:
            // Another life's frame, right in every other way. Where nothing else says more it
            // is believed: so nothing else is damaged, and the frame behind the mark is not.
            var stale = RawFrame(
                id: frame.id, position: UInt64.random(in: 0...1 << 62, using: &random))
            stale.body = random.bytes(range.count - 38)
            fill(file, range, stale.bytes)
        default:
            let at = Int.random(in: 0..<size, using: &random)
            fill(file, at..<min(size, at + 37), random.bytes(37))
        }
    }

    private func page(_ size: Int, _ random: inout Seeded) -> Range<Int> {
        let bytes = [64, 512, 4096].randomElement(using: &random) ?? 64
        let start = Int.random(in: 0..<size, using: &random) / bytes * bytes
        return start..<min(start + bytes, size)
    }

    private mutating func fill(_ file: Int, _ range: Range<Int>, _ bytes: [UInt8]) {
        for (at, byte) in zip(range, bytes) where at < files[file].bytes.count {
            files[file].bytes[at] = byte
        }
    }

    /// Two frames of the same size change places, or neighbours of any size.
    private mutating func swap(_ file: Int, _ frame: Written, _ random: inout Seeded) {
        let others = written.filter {
            $0.file == frame.file && $0.range.lowerBound > frame.range.lowerBound
                && ($0.range.count == frame.range.count
                    || $0.range.lowerBound == frame.range.upperBound)
                && $0.range.upperBound <= files[file].bytes.count
        }
        guard let other = others.randomElement(using: &random) else { return }
        let mine = Array(files[file].bytes[frame.range])
        let theirs = Array(files[file].bytes[other.range])
        if frame.range.count == other.range.count {
            fill(file, frame.range, theirs)
            fill(file, other.range, mine)
        } else {
            fill(file, frame.range.lowerBound..<other.range.upperBound, theirs + mine)
        }
    }

    // MARK: What has to come out

    /// Frames that stand, whole, where they were written.
    var whole: [Written] {
        written.filter { frame in
            guard let file = files.first(where: { $0.name == frame.file }),
                file.bytes.count >= frame.range.upperBound
            else { return false }
            return Array(file.bytes[frame.range]) == frame.frame
        }
    }

    /// The first id that nothing proves durable: by the frames that are whole, by the names, by
    /// the acknowledgement.
    var durableBelow: UInt64 {
        var bound = acked.map { $0 + 1 } ?? 0
        for frame in whole { bound = max(bound, frame.ids == 0 ? frame.id : frame.commit) }
        for file in files {
            if case .sealed(let first)? = SegmentName(file.name) { bound = max(bound, first) }
        }
        for frame in whole where frame.file != SegmentName.activeName {
            bound = max(bound, frame.id + frame.ids)
        }
        return bound
    }

    /// The messages that any repair has to keep: whole, in place, and not part of a torn commit.
    var mustKeep: [UInt64: [UInt8]] {
        let bound = durableBelow
        let whole = whole
        var kept: [UInt64: [UInt8]] = [:]
        for frame in whole where frame.id < bound && frame.ids > 0 {
            kept[frame.id] = frame.payload
        }
        // Behind that nothing is proved: what stands before the first tear, marks counted.
        for frame in written where frame.id >= bound {
            guard whole.contains(where: { $0.range == frame.range && $0.file == frame.file })
            else { break }
            if frame.ids > 0 { kept[frame.id] = frame.payload }
        }
        return kept
    }

    /// Whether a mark is gone and most of what is left in its file may be from somewhere else:
    /// then nothing tells which of the frames belong there.
    var isUndecidable: Bool {
        let marks = Set(whole.filter { $0.range.lowerBound == 0 }.map(\.file))
        return story.count > 1 && !strangers.subtracting(marks).isEmpty
    }

    /// Every payload by id.
    var payloads: [UInt64: [UInt8]] {
        Dictionary(
            written.filter { $0.ids > 0 }.map { ($0.id, $0.payload) },
            uniquingKeysWith: { first, _ in first })
    }

    /// Whether a message that was known durable is not whole any more.
    var losesDurable: Bool {
        let there = Set(whole.filter { $0.ids > 0 }.map(\.id))
        let bound = durableBelow
        return written.contains { $0.ids > 0 && $0.id < bound && !there.contains($0.id) }
    }
}
