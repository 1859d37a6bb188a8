import DataDirectory
import Inspection
import Repair
import SystemPackage
import TestSupport
import WALTestSupport

@testable import WAL

/// A log of a few segments, damaged at random, and what is known of what was written to it.
///
/// It judges by the bytes that it wrote and where it wrote them, and reads no frame.
struct DamagedLog {
    /// A frame where it was written.
    struct Written {
        var file: String
        var range: Range<Int>
        var frame: [UInt8]
        var id: UInt64
        /// How many ids it takes: 0 for a mark.
        var ids: UInt64
        var commit: UInt64
        /// Nil for a mark and a `lost` frame.
        var payload: [UInt8]?
    }

    var files: [(name: String, bytes: [UInt8])] = []
    private(set) var written: [Written] = []
    /// The files as they were.
    private(set) var originals: [(name: String, bytes: [UInt8])] = []
    /// Frames that stand, whole, where they were written, when all damage is done.
    private(set) var whole: [Written] = []
    private(set) var acked: UInt64?
    /// What was done, for the report of a failure.
    var story: [String] = []
    /// Files that hold whole frames of other places.
    var strangers: Set<String> = []
    /// Files with payloads that hold copies of whole frames.
    private(set) var copies: Set<String> = []
    private var holdsCopies = false
    /// By how many bytes the frames of a file stand further on than they were written, where its
    /// very beginning was changed.
    var moved: [String: Int] = [:]
    /// A segment holds the one before it as well, whole.
    var holdsTwo = false

    init(seed: UInt64) {
        var random = Seeded(seed)
        build(&random)
        originals = files
        let number = Int.random(in: 1...4, using: &random)
        let count = number == 4 ? Int.random(in: 2...8, using: &random) : 1
        for _ in 0..<count { damage(&random, isOnlyOne: count == 1) }
        whole = framesInPlace
    }

    // MARK: Writing

    private mutating func build(_ random: inout Seeded) {
        // A log whose first segments were dropped begins with another id.
        let first = Int.random(in: 0..<4, using: &random) == 0 ? UInt64(1000) : 0
        var segment = SegmentBuilder(
            firstID: first, base: UInt64.random(in: 0..<1 << 62, using: &random))
        let count = Int.random(in: 1...3, using: &random)
        for number in 0..<count {
            holdsCopies = false
            for _ in 0..<Int.random(in: 0...8, using: &random) {
                segment.add(commit(&random, segment.bytes))
                switch Int.random(in: 0..<20, using: &random) {
                case 0...3: segment.addMark()
                case 4: segment.addLost(UInt64.random(in: 1...5, using: &random))
                default: break
                }
            }
            let isLast = number == count - 1
            if segment.nextID == segment.firstID, !isLast {
                segment.add(commit(&random, segment.bytes))
            }
            if isLast, Bool.random(using: &random) { segment.addMark() }
            let name = isLast ? SegmentName.activeName : segment.name
            if holdsCopies { copies.insert(name) }
            files.append((name, segment.bytes))
            for frame in segment.frames {
                written.append(
                    Written(
                        file: name, range: frame.range, frame: Array(segment.bytes[frame.range]),
                        id: frame.id, ids: frame.ids, commit: frame.commit,
                        payload: frame.message?.payload))
            }
            segment = segment.next()
        }
        let next = written.last.map { $0.id + $0.ids } ?? 0
        if next > first, Int.random(in: 0..<3, using: &random) == 0 {
            acked = UInt64.random(in: first..<next, using: &random)
        }
    }

    private mutating func commit(_ random: inout Seeded, _ sofar: [UInt8]) -> [TestMessage] {
        (0..<Int.random(in: 1...8, using: &random)).map { _ in
            switch Int.random(in: 0..<10, using: &random) {
            case 0: return TestMessage([])
            case 1: return TestMessage([UInt8](repeating: 0, count: 60))
            case 2:
                holdsCopies = true
                return TestMessage(Array(sofar.suffix(300)))
            case 3, 4:
                let key = random.bytes(Int.random(in: 1...300, using: &random))
                let value = random.bytes(Int.random(in: 0...100, using: &random))
                return TestMessage(
                    random.bytes(20), key: key,
                    headers: [MessageHeader("a", "b"), MessageHeader(name: [1], value: value)])
            case 5 where Bool.random(using: &random):
                // Larger than a page.
                return TestMessage(random.bytes(Int.random(in: 3000...9000, using: &random)))
            default:
                return TestMessage(random.bytes(Int.random(in: 1...200, using: &random)))
            }
        }
    }

    // MARK: What has to come out

    private func bytes(_ name: String) -> [UInt8] { files.first { $0.name == name }?.bytes ?? [] }

    private var framesInPlace: [Written] {
        var held: [String: [UInt8]] = [:]
        for file in files where !isUnmade(file) { held[file.name] = file.bytes }
        return written.filter { frame in
            let start = frame.range.lowerBound + (moved[frame.file] ?? 0)
            guard let bytes = held[frame.file], start >= 0,
                start + frame.frame.count <= bytes.count
            else { return false }
            return bytes[start..<start + frame.frame.count].elementsEqual(frame.frame)
        }
    }

    /// A `segment.log` whose making was not finished: it holds nothing.
    private func isUnmade(_ file: (name: String, bytes: [UInt8])) -> Bool {
        file.name == SegmentName.activeName && file.bytes.count <= 38
            && !hasMark(file.name, file.bytes)
    }

    private func hasMark(_ name: String, _ bytes: [UInt8]) -> Bool {
        guard let mark = written.first(where: { $0.file == name }), bytes.count >= 38 else {
            return false
        }
        return bytes[..<38].elementsEqual(mark.frame)
    }

    /// The first id that nothing proves durable: by the frames that are whole, by the names, by
    /// the acknowledgement.
    var durableBelow: UInt64 {
        var bound = acked.map { $0 + 1 } ?? 0
        for file in files {
            if case .sealed(let first)? = SegmentName(file.name) { bound = max(bound, first) }
        }
        for frame in whole {
            bound = max(bound, frame.ids == 0 ? frame.id : frame.commit)
            if frame.file != SegmentName.activeName { bound = max(bound, frame.id + frame.ids) }
        }
        return bound
    }

    /// The frames that any repair has to keep: whole, in place, and not part of a torn commit.
    var mustKeep: [Written] {
        let bound = durableBelow
        let whole = whole
        let there = Set(whole.map { "\($0.file) \($0.range)" })
        var kept = whole.filter { $0.id < bound && $0.payload != nil }
        // Behind that nothing is proved: what stands before the first tear, marks counted.
        for frame in written where frame.id >= bound {
            guard there.contains("\(frame.file) \(frame.range)") else { break }
            if frame.payload != nil { kept.append(frame) }
        }
        return kept
    }

    /// Whether a mark is gone and most of what is left in its file may be from somewhere else:
    /// then nothing tells which of the frames belong there.
    var isUndecidable: Bool {
        let marks = Set(whole.filter { $0.range.lowerBound == 0 }.map(\.file))
        return story.count > 1 && !strangers.union(copies).subtracting(marks).isEmpty
    }

    /// Whether frames that lost their place, with the mark of their file, are there all the same.
    var mayBeSaved: Bool {
        let whole = whole
        let there = Set(whole.map { "\($0.file) \($0.range)" })
        return written.contains { frame in
            let bytes = bytes(frame.file)
            return !there.contains("\(frame.file) \(frame.range)") && !hasMark(frame.file, bytes)
                && strangers.contains(frame.file)
        }
    }

    /// Whether a message that was known durable is not whole any more.
    var losesDurable: Bool {
        let there = Set(whole.map { "\($0.file) \($0.range)" })
        let bound = durableBelow
        return written.contains {
            $0.ids > 0 && $0.id < bound && !there.contains("\($0.file) \($0.range)")
        }
    }

    /// Whether a message at the end of a sealed segment is not whole any more, and nothing behind
    /// it proves that it was there. It was durable, as all of a sealed segment: a check may say so.
    var losesEndOfSealed: Bool {
        let there = Set(whole.map { "\($0.file) \($0.range)" })
        let bound = durableBelow
        return written.contains {
            $0.ids > 0 && $0.id >= bound && $0.file != SegmentName.activeName
                && !there.contains("\($0.file) \($0.range)")
        }
    }

    /// Whether the end of the last sealed segment is not as it was, and nothing is left of
    /// `segment.log` to tell the id that it went to: rather too many are called lost than one that
    /// is given out again.
    var endIsUntold: Bool {
        guard let sealed = files.dropLast().last,
            let original = originals.first(where: { $0.name == sealed.name })
        else { return false }
        return sealed.bytes != original.bytes
            && !whole.contains { $0.file == SegmentName.activeName }
    }

    /// Whether the log has lost its very beginning: nothing says how many messages stood there.
    var isWithoutBeginning: Bool {
        guard let first = files.first, !hasMark(first.name, first.bytes) else { return false }
        return SegmentName(first.name) == .active
    }

    /// Whether the last segment holds marks only, and another one than its own stands first: it may
    /// be taken for its own.
    var mayBeTorn: Bool {
        guard let active = files.last, !hasMark(active.name, active.bytes) else { return false }
        return written.contains { $0.ids == 0 && active.bytes.starts(with: $0.frame) }
            && !written.contains { $0.file == active.name && $0.ids > 0 }
    }

    /// What a check has to say, by the verdict table.
    var verdict: Verdict {
        if holdsTwo { return .damaged }
        for (file, original) in zip(files, originals.dropLast()) where file.bytes != original.bytes
        {
            return .damaged
        }
        guard let active = files.last else { return .clean }
        let bound = durableBelow
        let frames = written.filter { $0.file == active.name }
        if isUnmade(active) {
            let isEmptyLog = files.count == 1
            return bound > (isEmptyLog ? 0 : frames.first?.id ?? 0) ? .damaged : .clean
        }
        if !hasMark(active.name, active.bytes) { return .damaged }
        let there = Set(whole.filter { $0.file == active.name }.map(\.range))
        let torn = frames.first { !there.contains($0.range) }
        if let torn, bound > torn.id { return .damaged }
        let end = torn?.range.lowerBound ?? frames.last?.range.upperBound ?? 0
        let rest = active.bytes[min(end, active.bytes.count)...]
        return rest.isEmpty ? .clean : rest.allSatisfy { $0 == 0 } ? .zeroTail : .torn
    }
}
