internal import Inspection
internal import WAL

/// What disks and programs do to the bytes of a log, at random.
extension ImageKinds {
    /// A flipped bit in each field. The frame may be any, also a mark or the last one.
    static let fields: [(name: String, make: Make)] = [
        ("flip-length", { kind, random in flip(kind, random) { _ in 0..<4 } }),
        ("flip-id", { kind, random in flip(kind, random) { _ in 4..<12 } }),
        ("flip-position", { kind, random in flip(kind, random) { _ in 12..<20 } }),
        ("flip-timestamp", { kind, random in flip(kind, random) { _ in 20..<28 } }),
        ("flip-commit-index", { kind, random in flip(kind, random) { _ in 28..<32 } }),
        ("flip-presence", { kind, random in flip(kind, random) { _ in 32..<34 } }),
        ("flip-parts", { kind, random in flip(kind, random) { 34..<max(35, $0 - 4) } }),
        ("flip-crc", { kind, random in flip(kind, random) { $0 - 4..<$0 } }),
    ]

    private static func flip(
        _ kind: String, _ random: SeededRandom, _ range: (Int) -> Range<Int>
    ) -> CrashImage {
        var image = LogImage(anyLog(random))
        let frame = image.random.one(of: image.written)
        let bits = range(frame.bytes.count)
        let place = bits.lowerBound + image.random.below(bits.count)
        let bit = UInt8(1) << UInt8(image.random.below(8))
        change(&image, frame, at: place) { $0 ^= bit }
        return CrashImage(kind, image)
    }

    // MARK: Blocks

    static let blocks: [(name: String, make: Make)] = [
        ("zeroed-page", { kind, random in page(kind, random) { _, page in page.map { _ in 0 } } }),
        (
            "duplicated-page",
            { kind, random in
                page(kind, random) { image, page in
                    let bytes = image.segments[image.active].bytes
                    let start = image.random.below((bytes.count + 511) / 512) * 512
                    return Array(bytes[start...].prefix(page.count))
                }
            }
        ),
        (
            "noise-page",
            { kind, random in page(kind, random) { $0.random.bytes($1.count) } }
        ),
        ("hole", hole), ("several", several), ("torn-sectors", tornSectors),
    ]

    /// One page of 512 bytes of the active segment is what `make` says.
    private static func page(
        _ kind: String, _ random: SeededRandom,
        _ make: (inout LogImage, ArraySlice<UInt8>) -> [UInt8]
    ) -> CrashImage {
        let writer = log(random, segments: 1, commits: 14, closed: true)
        var image = LogImage(writer)
        let bytes = image.segments[image.active].bytes
        let start = image.random.below((bytes.count + 511) / 512) * 512
        let old = bytes[start..<min(bytes.count, start + 512)]
        let new = make(&image, old)
        for (index, byte) in new.enumerated() where index < old.count {
            image.segments[image.active].bytes[start + index] = byte
        }
        return CrashImage(kind, image)
    }

    /// Zeros anywhere, also over several frames or a part of one.
    private static func hole(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(anyLog(random))
        let index = image.random.below(image.segments.count)
        let size = image.segments[index].bytes.count
        let start = image.random.below(size)
        let end = min(size, start + image.random.within(1...300))
        for place in start..<end { image.segments[index].bytes[place] = 0 }
        return CrashImage(kind, image)
    }

    /// Some frames of one segment broken, each in its own way.
    private static func several(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(anyLog(random))
        let index = image.random.below(image.segments.count)
        let frames = image.frames(of: index).dropFirst()
        for (offset, frame) in frames where image.random.once(in: 4) {
            switch image.random.below(3) {
            case 0: image.segments[index].bytes[offset + 20] ^= 4
            case 1: image.segments[index].bytes[offset + 3] = 0xFF
            default:
                for place in offset..<offset + frame.bytes.count {
                    image.segments[index].bytes[place] = 0
                }
            }
        }
        return CrashImage(kind, image)
    }

    /// A power cut in a large commit: each of its sectors is there, or still zero.
    private static func tornSectors(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var writer = log(random)
        let start = writer.segments[writer.segments.count - 1].bytes.count
        writer.commit(writer.random.within(8...24))
        var image = LogImage(writer)
        let size = image.segments[image.active].bytes.count
        for place in start..<size where place == start || place % 512 == 0 {
            if image.random.once(in: 2) { continue }
            for byte in place..<min(size, (place / 512 + 1) * 512) {
                image.segments[image.active].bytes[byte] = 0
            }
        }
        if image.random.once(in: 2) { append(&image, zeros: 4096) }
        return CrashImage(kind, image)
    }

    // MARK: Lengths

    static let lengths: [(name: String, make: Make)] = [
        ("length-huge", { kind, random in anyLength(kind, random, [4_194_301, 1 << 31, .max]) }),
        ("length-small", { kind, random in anyLength(kind, random, [1, 33, 34, 35]) }),
        ("length-zero", { kind, random in anyLength(kind, random, [0]) }),
    ]

    /// Any frame with one of these lengths, also a mark or the last one.
    private static func anyLength(
        _ kind: String, _ random: SeededRandom, _ lengths: [UInt32]
    ) -> CrashImage {
        var image = LogImage(anyLog(random))
        let frame = image.random.one(of: image.written)
        replace(&image, frame, with: little(image.random.one(of: lengths)))
        return CrashImage(kind, image)
    }

    // MARK: Frames in the wrong place

    static let moves: [(name: String, make: Make)] = [
        ("swapped-frames", swapped), ("repeated-frame", repeated),
        ("concatenated-logs", concatenated), ("stale-tail", staleTail),
        ("newer-behind-damage", newerBehindDamage), ("lost-frames", lostFrames),
    ]

    private static func swapped(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(log(random, commits: 6, closed: true))
        let frames = image.frames(of: 0)
        let index = image.random.within(1...frames.count - 2)
        let (first, second) = (frames[index], frames[index + 1])
        let range = first.offset..<second.offset + second.frame.bytes.count
        image.segments[0].bytes.replaceSubrange(
            range, with: second.frame.bytes + first.frame.bytes)
        return CrashImage(kind, image)
    }

    /// A frame written once more behind the last one, or over another.
    private static func repeated(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(log(random, commits: 6))
        let frames = image.frames(of: 0)
        let copy = image.random.one(of: frames).frame.bytes
        if image.random.once(in: 2) {
            image.segments[0].bytes += copy
        } else {
            let over = frames[image.random.within(1...frames.count - 1)].offset
            let end = min(image.segments[0].bytes.count, over + copy.count)
            image.segments[0].bytes.replaceSubrange(over..<end, with: copy.prefix(end - over))
        }
        return CrashImage(kind, image)
    }

    /// Another log, or this one once more, stands behind.
    private static func concatenated(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(anyLog(random))
        var other = image.segments[0].bytes
        if image.random.once(in: 2) {
            let stranger = log(SeededRandom(image.random.next()))
            image.written += stranger.written
            other = stranger.segments[0].bytes
        }
        let index = image.random.below(image.segments.count)
        image.segments[index].bytes += other
        return CrashImage(kind, image)
    }

    /// The log was cut and went on; bytes of its earlier life stand behind its end.
    private static func staleTail(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var writer = log(random, commits: 6)
        let old = writer.segments[0].bytes
        let messages = writer.written.filter { $0.kind == .message && $0.commitIndex == 0 }
        writer.cut(to: messages[writer.random.within(1...messages.count - 1)])
        writer.commits(1, upTo: 3)
        var image = LogImage(writer)
        let end = image.segments[0].bytes.count
        if end < old.count { image.segments[0].bytes += old[end...] }
        return CrashImage(kind, image)
    }

    private static func newerBehindDamage(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var writer = log(random, commits: 5)
        addNewer(&writer)
        writer.commits(1)
        var image = LogImage(writer)
        let before = image.written.filter { $0.kind == .message }.prefix(4)
        spoil(&image, image.random.one(of: Array(before)))
        return CrashImage(kind, image)
    }

    /// What a repair left, damaged again.
    private static func lostFrames(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var writer = log(random)
        writer.addLost(UInt64(writer.random.within(1...9)), room: writer.random.within(8...90))
        writer.commits(2)
        if writer.random.once(in: 2) {
            writer.addLost(UInt64(writer.random.within(1...9)), room: 8)
            writer.roll(skipping: UInt64(writer.random.below(2) * 1000))
            writer.commits(2)
        }
        writer.addMark()
        var image = LogImage(writer)
        if image.random.once(in: 2) { spoil(&image, pickMessage(&image)) }
        return CrashImage(kind, image)
    }

    // MARK: Ends

    static let ends: [(name: String, make: Make)] = [
        ("garbage-tail", { kind, random in tail(kind, random) { $0.bytes($0.within(1...700)) } }),
        (
            "zeros-tail",
            { kind, random in
                tail(kind, random) { [UInt8](repeating: 0, count: $0.within(1...5000)) }
            }
        ),
        (
            "zeros-garbage-tail",
            { kind, random in
                tail(kind, random) { [UInt8](repeating: 0, count: 77) + $0.bytes(60) }
            }
        ),
        ("cut", cut),
    ]

    private static func tail(
        _ kind: String, _ random: SeededRandom, _ bytes: (inout SeededRandom) -> [UInt8]
    ) -> CrashImage {
        var image = LogImage(anyLog(random))
        let index = image.random.once(in: 3) ? 0 : image.active
        image.segments[index].bytes += bytes(&image.random)
        return CrashImage(kind, image)
    }

    /// A segment ends early, at any byte behind its mark.
    private static func cut(_ kind: String, _ random: SeededRandom) -> CrashImage {
        var image = LogImage(anyLog(random))
        let index = image.random.once(in: 3) ? 0 : image.active
        let size = image.segments[index].bytes.count
        image.segments[index].bytes.removeLast(image.random.within(1...size - 39))
        return CrashImage(kind, image)
    }
}
