import TestSupport
import WALTestSupport

@testable import WAL

extension DamagedLog {
    /// What can be done to a log.
    enum Damage: CaseIterable {
        case flip, flipTwice, garbageFrame, zeroFrame, zeroPage, garbagePage, hole, repeatedPage
        case garbageTail, zeroTail, length, swap, cut, staleTail, earlierLife, ownLogs, otherLog
        case wholeLogs, staleFrame, scribble, shiftedBeginning, insertion, removal
    }

    /// The fields of a frame: where each begins, and how long it is.
    private static let fields = [
        0..<4, 4..<12, 12..<20, 20..<28, 28..<32, 32..<34, 34..<36, 36..<40,
    ]

    mutating func damage(_ random: inout Seeded, isOnlyOne: Bool) {
        let file = Int.random(in: 0..<files.count, using: &random)
        let size = files[file].bytes.count
        guard size > 0, let kind = Damage.allCases.randomElement(using: &random) else { return }
        let frames = written.filter { $0.file == files[file].name && $0.range.upperBound <= size }
        guard let frame = frames.randomElement(using: &random) else { return }
        let range = frame.range
        story.append("\(kind) in \(files[file].name) of \(size) near \(range)")
        switch kind {
        case .flip: flip(file, range, &random)
        case .flipTwice:
            flip(file, range, &random)
            flip(file, range, &random)
        case .garbageFrame: fill(file, range, random.bytes(range.count))
        case .zeroFrame: fill(file, range, [UInt8](repeating: 0, count: range.count))
        case .zeroPage:
            let page = page(size, &random)
            fill(file, page, [UInt8](repeating: 0, count: page.count))
        case .garbagePage:
            let page = page(size, &random)
            fill(file, page, random.bytes(page.count))
        case .hole:
            let start = Int.random(in: 0..<size, using: &random)
            let end = Int.random(in: start...size, using: &random)
            fill(file, start..<end, [UInt8](repeating: 0, count: end - start))
        case .repeatedPage:
            strangers.insert(files[file].name)
            let page = page(size, &random)
            let other = self.page(size, &random)
            fill(file, other, Array(files[file].bytes[page]))
        case .garbageTail: append(file, random.bytes(Int.random(in: 1...500, using: &random)))
        case .zeroTail:
            append(file, [UInt8](repeating: 0, count: Int.random(in: 1...5000, using: &random)))
        case .length:
            let values: [UInt32] = [
                0, 1, 33, 34, UInt32(range.count), 4_194_300, 4_194_301, 1 << 31, .max,
            ]
            let value = values.randomElement(using: &random) ?? 0
            fill(file, range.lowerBound..<range.lowerBound + 4, value.littleEndianBytes)
        case .swap: swap(file, frame, &random)
        case .cut:
            files[file].bytes.removeLast(Int.random(in: 1...size, using: &random))
        case .scribble:
            let at = Int.random(in: 0..<size, using: &random)
            fill(file, at..<min(size, at + 37), random.bytes(37))
        case .staleFrame: staleFrame(file, frame, &random, isOnlyOne: isOnlyOne)
        case .staleTail, .earlierLife, .ownLogs, .otherLog: addStrangers(kind, file, frame, &random)
        case .wholeLogs, .shiftedBeginning:
            // What tells where the frames belong must be there.
            if isOnlyOne { moveAll(kind, file, &random) }
        case .insertion, .removal: shiftRest(kind, file, &random)
        }
    }

    private mutating func flip(_ file: Int, _ range: Range<Int>, _ random: inout Seeded) {
        let end = range.count - 4..<range.count
        let field = (DamagedLog.fields + [end]).randomElement(using: &random) ?? end
        let within = min(Int.random(in: field, using: &random), range.count - 1)
        files[file].bytes[range.lowerBound + within] ^= 1 << UInt8.random(in: 0..<8, using: &random)
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

    private mutating func append(_ file: Int, _ bytes: [UInt8]) { files[file].bytes += bytes }

    /// Two frames of the same size change places, or neighbours of any size.
    private mutating func swap(_ file: Int, _ frame: Written, _ random: inout Seeded) {
        strangers.insert(files[file].name)
        let others = written.filter {
            $0.file == frame.file && $0.range.lowerBound > frame.range.lowerBound
                && ($0.range.count == frame.range.count
                    || $0.range.lowerBound == frame.range.upperBound)
                && $0.range.upperBound <= files[file].bytes.count
        }
        guard let other = others.randomElement(using: &random) else { return }
        // Where a mark changes places the other frames tell so, and have to be more than these two.
        let rest = files[file].bytes.count - frame.range.count - other.range.count
        if frame.ids == 0, frame.range.lowerBound == 0, rest < 2 * other.range.count { return }
        let mine = Array(files[file].bytes[frame.range])
        let theirs = Array(files[file].bytes[other.range])
        if frame.range.count == other.range.count {
            fill(file, frame.range, theirs)
            fill(file, other.range, mine)
        } else {
            fill(file, frame.range.lowerBound..<other.range.upperBound, theirs + mine)
        }
    }

    /// Another life's frame, right in every other way. Where nothing else says more it is
    /// believed: so nothing else is damaged, and the frame behind the mark is not.
    private mutating func staleFrame(
        _ file: Int, _ frame: Written, _ random: inout Seeded, isOnlyOne: Bool
    ) {
        guard isOnlyOne, frame.range.lowerBound > 38 else { return }
        var stale = RawFrame(
            id: frame.id, position: UInt64.random(in: 0...1 << 62, using: &random))
        stale.body = random.bytes(frame.range.count - 38)
        fill(file, frame.range, stale.bytes)
    }

    /// Whole frames that stand somewhere else than they say.
    private mutating func addStrangers(
        _ kind: Damage, _ file: Int, _ frame: Written, _ random: inout Seeded
    ) {
        strangers.insert(files[file].name)
        let bytes = files[file].bytes
        switch kind {
        case .staleTail: append(file, Array(bytes[frame.range.lowerBound...]))
        case .earlierLife:
            // Space that was used before, by a log with the same ids.
            let next = written.last { $0.file == frame.file }.map { $0.id + $0.ids } ?? 0
            var life = SegmentBuilder(
                firstID: next, base: UInt64.random(in: 0..<1 << 62, using: &random), mark: false)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                life.add(TestMessage(random.bytes(30)))
            }
            life.addMark()
            append(file, life.bytes)
        case .ownLogs:
            // The one behind would stand in its place there: that is `wholeLogs`.
            let other = Int.random(in: 0..<files.count, using: &random)
            if other != file + 1 { append(file, files[other].bytes) }
        default:
            var other = SegmentBuilder(
                firstID: UInt64.random(in: 0...frame.id, using: &random),
                base: UInt64.random(in: 0..<1 << 62, using: &random))
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                other.add(TestMessage(random.bytes(30)))
            }
            append(file, other.bytes)
        }
    }

    /// All frames of a file stand further on, or further back, than they did.
    private mutating func moveAll(_ kind: Damage, _ file: Int, _ random: inout Seeded) {
        let name = files[file].name
        if kind == .wholeLogs {
            // The segment before and this one, as cat(1) puts them together.
            guard file > 0 else { return }
            holdsTwo = true
            if Bool.random(using: &random) {
                files[file - 1].bytes += files[file].bytes
                return
            }
            moved[name] = files[file - 1].bytes.count
            files[file].bytes = files[file - 1].bytes + files[file].bytes
            return
        }
        let count = Int.random(in: 1...200, using: &random)
        if Bool.random(using: &random) {
            let zeros = [UInt8](repeating: 0, count: count)
            let added = Bool.random(using: &random) ? zeros : random.bytes(count)
            files[file].bytes = added + files[file].bytes
            moved[name] = count
            return
        }
        // A frame at offset 0 stands where a mark belongs. And the most of a file must be left, or
        // payloads with copies of frames say as much.
        let starts = written.filter { $0.file == name }.map(\.range.lowerBound)
        guard count * 4 < files[file].bytes.count, !starts.contains(count) else { return }
        files[file].bytes.removeFirst(count)
        moved[name] = -count
    }

    /// Bytes are put into a file or taken out of it: what follows is not in its place any more.
    private mutating func shiftRest(_ kind: Damage, _ file: Int, _ random: inout Seeded) {
        let size = files[file].bytes.count
        guard size > 39 else { return }
        strangers.insert(files[file].name)
        let at = Int.random(in: 38..<size, using: &random)
        let count = Int.random(in: 1...100, using: &random)
        if kind == .insertion {
            files[file].bytes.insert(contentsOf: random.bytes(count), at: at)
        } else {
            files[file].bytes.removeSubrange(at..<min(size, at + count))
        }
    }
}
