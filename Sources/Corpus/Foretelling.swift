internal import Inspection
internal import WAL

/// Tells what an image of one log has to give, from what was written to it and where its bytes
/// still are what was written. It parses nothing: it knows every frame.
///
/// The segments stand in a row, each where it was written. What is done to whole files (one is
/// gone, one stands twice) is told by whoever did it.
struct Foretelling {
    private let image: LogImage
    private var told = Expectation()
    /// All ids below are proved durable by the log itself.
    private var proven: UInt64 = 0
    private var acknowledged: UInt64
    private var lastTime: UInt64?
    private var metNewer = false

    // The segment at hand.
    private var segment: SegmentBytes
    private var isSealed = false
    private var following: UInt64?
    /// Frames that stand in it, whole and in their places, by offset.
    private var standing: [(offset: Int, frame: WrittenFrame)] = []
    private var id: UInt64 = 0
    private var verdict = Verdict.clean
    /// Nothing stands before it that would say which id it begins with.
    private var isFirst = true

    init(_ image: LogImage) {
        self.image = image
        acknowledged = image.acknowledged.map { $0 + 1 } ?? 0
        segment = image.segments[0]
    }

    static func expectation(of image: LogImage) -> Expectation {
        var foretelling = Foretelling(image)
        return foretelling.run()
    }

    private var name: String { segment.name.fileName }
    private var size: Int { segment.bytes.count }

    private mutating func run() -> Expectation {
        for segment in image.segments {
            if case .sealed(let first) = segment.name { proven = max(proven, first) }
        }
        var expected: UInt64?
        for (index, segment) in image.segments.enumerated() {
            self.segment = segment
            isSealed = segment.name != .active
            standing = framesInPlace(segment)
            following = nil
            if index + 1 < image.segments.count { following = image.segments[index + 1].firstID }
            verdict = .clean
            walk(expected: expected)
            if let following, following > id, verdict < .newer, !metNewer {
                // Cut where a frame begins: only the next segment tells.
                told.findings.append(
                    .init(.segmentMissing, name, UInt64(size), 0, lost: id...following - 1))
                verdict = .damaged
            }
            if isSealed { proven = max(proven, id) }
            told.verdict = max(told.verdict, verdict)
            if !metNewer { told.nextID = id }
            expected = id
        }
        // Behind a later version's frame nothing is told, and no damage before it either.
        if metNewer {
            told.findings.removeAll { $0.kind.severity == .damage || $0.kind == .tornTail }
        }
        told.durableBelow = max(proven, acknowledged)
        return told
    }

    private func framesInPlace(_ segment: SegmentBytes) -> [(offset: Int, frame: WrittenFrame)] {
        image.written.compactMap { frame in
            let offset = frame.position &- segment.base
            let end = offset.addingReportingOverflow(UInt64(frame.bytes.count))
            guard !end.overflow, end.partialValue <= UInt64(segment.bytes.count) else { return nil }
            let place = Int(offset)..<Int(end.partialValue)
            return segment.bytes[place].elementsEqual(frame.bytes)
                ? (Int(offset), frame) : nil
        }.sorted { $0.offset < $1.offset }
    }

    // MARK: The walk

    private mutating func walk(expected: UInt64?) {
        var hasMessages = false
        var offset = 0
        var isMarkBroken = false
        id = segment.firstID
        isFirst = expected == nil && !isSealed
        if standing.first.map({ $0.offset != 0 || $0.frame.kind != .mark }) ?? true {
            isMarkBroken = true
            takeBaseFromFrameBehindMark()
            id = isSealed ? segment.firstID : expected ?? firstIDWithoutMark()
            proven = max(proven, id)
        }
        while true {
            let here = standing.first { $0.offset == offset }?.frame
            if let here, here.isValid, here.id == id, !isMarkBroken || offset > 0 {
                accept(here, at: offset)
                hasMessages = hasMessages || here.ids > 0
                offset += here.bytes.count
                continue
            }
            guard let next = place(offset, here, disjoint: isMarkBroken && offset == 0) else {
                break
            }
            offset = next
        }
        let joins = !isSealed || (following.map { $0 <= id } ?? true)
        if !hasMessages, verdict < .torn, joins, !metNewer {
            told.findings.append(.init(.emptySegment, name, 0, UInt64(size)))
        }
    }

    /// Where its mark is gone, the frame behind it says where a segment is: also one that a copied
    /// page has put there.
    private mutating func takeBaseFromFrameBehindMark() {
        let behind = image.written.first { frame in
            size > 38 && frame.isValid && segment.bytes[38...].starts(with: frame.bytes)
        }
        guard let behind, behind.position &- 38 != segment.base else { return }
        segment.base = behind.position &- 38
        standing = framesInPlace(segment)
    }

    /// The settled reading: that of the first whole frame, less as many as there was room for.
    private func firstIDWithoutMark() -> UInt64 {
        guard let first = standing.first(where: { $0.frame.isValid && $0.offset > 0 }) else {
            return 0
        }
        let room = UInt64((first.offset - 38) / 38)
        return first.frame.id - min(first.frame.id, room)
    }

    private mutating func accept(_ frame: WrittenFrame, at offset: Int) {
        id = frame.id + frame.ids
        proven = max(proven, frame.durableBelow)
        guard !metNewer else { return }
        if frame.kind == .message { told.intact.append(frame.id) }
        let length = UInt64(frame.bytes.count)
        if case .lost = frame.kind {
            told.findings.append(
                .init(.lost, name, UInt64(offset), length, lost: frame.id...id - 1))
        }
        if let lastTime, frame.timestamp < lastTime {
            told.findings.append(.init(.clockBack, name, UInt64(offset), length))
        }
        lastTime = frame.timestamp
    }

    // MARK: A place without its frame

    /// Applies the table at P; the offset to go on at, or nil.
    private mutating func place(_ p: Int, _ here: WrittenFrame?, disjoint: Bool) -> Int? {
        let behind = standing.filter { $0.offset > p && $0.frame.id >= id }
        var bound = proven
        for (_, frame) in behind where frame.kind != .invalid {
            bound = max(bound, frame.durableBelow)
        }
        if let here, here.kind == .newer, here.id >= id { bound = max(bound, here.durableBelow) }
        let known = max(bound, acknowledged)
        var newer = behind.first { $0.frame.kind == .newer }
        if let here, here.kind == .newer { newer = (p, here) }
        let atEnd = p >= size
        let zeros = !atEnd && segment.bytes[p...].allSatisfy { $0 == 0 }
        let isInvalid = here != nil

        if let newer {
            proven = bound
            verdict = max(verdict, .newer)
            if !metNewer {
                told.findings.append(
                    .init(
                        .unknownField, name, UInt64(newer.offset), UInt64(newer.frame.bytes.count)))
                told.nextID = id
            }
            metNewer = true
            if isSealed { id = max(id, following ?? id) }
            return nil
        }
        let isDurable = known > id && !(isSealed && atEnd)
        if !(isDurable || (isSealed && !atEnd) || isInvalid || disjoint) {
            proven = bound
            if atEnd { return nil }
            verdict = max(verdict, zeros ? .zeroTail : .torn)
            add(zeros ? .zeroTail : .tornTail, p, to: size)
            return nil
        }
        verdict = .damaged
        if !isSealed, !disjoint, atEnd || zeros {
            addBeyondEnd(p)
            id = known
            return nil
        }
        if let here, !isDurable, !isSealed, !disjoint {
            // Left out: nothing proves it durable, and nothing but its writer can have made it.
            let takesID = here.id == id && here.kind == .invalid
            damage(p, here, to: p + here.bytes.count, lostBelow: takesID ? id + 1 : id)
            if takesID { id += 1 }
            return p + here.bytes.count
        }
        return close(p, here, behind, known: known, provenHere: bound)
    }

    /// Closes the gap at P: up to the next frame that is kept, or for good.
    private mutating func close(
        _ p: Int, _ here: WrittenFrame?, _ behind: [(offset: Int, frame: WrittenFrame)],
        known: UInt64, provenHere: UInt64
    ) -> Int? {
        let limit = isSealed ? following ?? .max : known
        var tornFrom: Int?
        let from = p + (here?.bytes.count ?? 1)
        for (offset, frame) in behind where frame.isValid && offset >= from {
            if frame.id <= limit {
                damage(p, here, to: offset, lostBelow: frame.id)
                id = frame.id
                return offset
            }
            tornFrom = tornFrom ?? offset
        }
        let end = isSealed ? following ?? known : known
        let torn = isSealed ? nil : tornFrom
        damage(p, here, to: torn ?? size, lostBelow: end)
        if !isSealed, acknowledged > provenHere { addBeyondEnd(p) }
        if !isSealed { proven = max(proven, end) }
        id = max(id, end)
        if let torn { add(.tornTail, torn, to: size) }
        return nil
    }

    private mutating func damage(
        _ p: Int, _ here: WrittenFrame?, to end: Int, lostBelow: UInt64
    ) {
        let isZero = segment.bytes[p..<end].allSatisfy { $0 == 0 }
        let lost = lostBelow > id ? id...lostBelow - 1 : nil
        add(isZero ? .zeroHole : fault(p, here), p, to: end, lost: lost)
    }

    private mutating func add(
        _ kind: FindingKind, _ p: Int, to end: Int, lost: ClosedRange<UInt64>? = nil
    ) {
        guard !metNewer else { return }
        told.findings.append(.init(kind, name, UInt64(p), UInt64(end - p), lost: lost))
    }

    private mutating func addBeyondEnd(_ p: Int) {
        guard acknowledged > id, !metNewer else { return }
        told.findings.append(
            .init(.ackedBeyondEnd, name, UInt64(p), 0, lost: id...acknowledged - 1))
    }

    /// What stands at P instead of the frame that belongs there.
    private func fault(_ p: Int, _ here: WrittenFrame?) -> FindingKind {
        if let here { return here.kind == .invalid ? image.invalidKind : .badID }
        // Any frame that was ever written, standing where it does not belong.
        let stray = image.written.first { frame in
            segment.bytes[p...].starts(with: frame.bytes)
        }
        if let stray {
            if stray.kind == .invalid { return image.invalidKind }
            // No frame but a mark has its place at the beginning, whatever its id.
            let isPlaceWrong = p == 0 && isFirst && stray.kind != .mark
            return stray.id == id || isPlaceWrong ? .badPosition : .badID
        }
        guard size - p >= 4 else { return .badLength }
        let length = segment.bytes[p..<p + 4].reversed().reduce(0) { $0 << 8 | Int($1) }
        let isPossible = (34...4_194_300).contains(length) && p + 4 + length <= size
        return isPossible ? .badCRC : .badLength
    }
}
