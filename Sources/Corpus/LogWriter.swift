package import WAL

/// One segment file of an image: its bytes, and where they belong.
package struct SegmentBytes: Sendable {
    package var name: SegmentName
    /// The id that it began with when it was written.
    package var firstID: UInt64
    /// Position of offset 0 when it was written.
    package var base: UInt64
    package var bytes: [UInt8] = []
}

/// Writes a log as a broker would, in memory, and remembers every frame.
package struct LogWriter: Sendable {
    package var random: SeededRandom
    package private(set) var segments: [SegmentBytes] = []
    /// Every frame ever written, also those that were written over since.
    package private(set) var written: [WrittenFrame] = []
    package var nextID: UInt64
    package var timestamp: UInt64

    /// A log whose first segment has its mark.
    package init(_ random: SeededRandom, firstID: UInt64? = nil, base: UInt64? = nil) {
        var random = random
        let choices: [UInt64] = [0, 0, 0, 1, 1000, 1 << 32, 1 << 63]
        nextID = firstID ?? random.one(of: choices)
        timestamp = 1_700_000_000_000_000_000 + random.next() % 1_000_000_000_000_000
        let start = base ?? random.next() >> 2
        self.random = random
        begin(base: start)
    }

    /// Where the next frame goes.
    package var position: UInt64 {
        let active = segments[segments.count - 1]
        return active.base &+ UInt64(active.bytes.count)
    }

    private mutating func begin(base: UInt64) {
        segments.append(SegmentBytes(name: .active, firstID: nextID, base: base))
        addMark()
    }

    /// Writes a frame behind the last one.
    package mutating func add(_ frame: WrittenFrame) {
        written.append(frame)
        segments[segments.count - 1].bytes += frame.bytes
        if frame.isValid { nextID = frame.id + frame.ids }
    }

    package mutating func addMark() {
        add(.mark(id: nextID, position: position, timestamp: timestamp))
    }

    package mutating func addLost(_ count: UInt64, room: Int) {
        add(
            .lost(count, room: room, id: nextID, position: position, timestamp: timestamp))
    }

    /// One commit of so many messages.
    package mutating func commit(_ count: Int, payload: [UInt8]? = nil) {
        timestamp += [0, 1, 1000, 1_000_000_000][random.below(4)]
        for index in 0..<count {
            var presence: UInt16 = 0
            var parts: [UInt8] = []
            if random.once(in: 4) {
                presence |= 1
                parts += FrameParts.key(random.bytes(random.one(of: [1, 2, 8, 36])))
            }
            if random.once(in: 5) {
                presence |= 2
                let headers = (0..<random.within(1...3)).map { _ in
                    (
                        name: random.bytes(random.within(1...8)),
                        value: random.bytes(random.below(20))
                    )
                }
                parts += FrameParts.headers(headers)
            }
            parts += payload ?? self.payload()
            add(
                WrittenFrame(
                    .message, id: nextID, position: position, timestamp: timestamp,
                    commitIndex: UInt32(index), presence: presence, parts: parts))
        }
    }

    /// Some commits, with marks between them now and then.
    package mutating func commits(_ count: Int, upTo limit: Int = 5) {
        for _ in 0..<count {
            commit(random.once(in: 2) ? 1 : random.within(1...limit))
            if random.once(in: 6) { addMark() }
        }
    }

    private mutating func payload() -> [UInt8] {
        switch random.below(12) {
        case 0: return []
        case 1: return [UInt8](repeating: 0, count: random.within(1...80))
        case 2: return random.bytes(random.within(80...400))
        case 3:
            // A copy of a frame: it does not stand where it says.
            return random.one(of: written).bytes
        case 4: return Array("lorem ipsum dolor sit amet".utf8.prefix(random.within(1...26)))
        default: return random.bytes(random.within(1...60))
        }
    }

    /// Seals the active segment and begins the next one, `skipping` positions.
    package mutating func roll(skipping: UInt64 = 0) {
        let base = position &+ skipping
        let last = segments.count - 1
        segments[last].name = .sealed(first: segments[last].firstID)
        begin(base: base)
    }

    /// Forgets the active segment's bytes from a frame on, as a cut does: the next frames are
    /// written over them.
    package mutating func cut(to frame: WrittenFrame) {
        let last = segments.count - 1
        segments[last].bytes.removeLast(Int(position - frame.position))
        nextID = frame.id
    }
}
