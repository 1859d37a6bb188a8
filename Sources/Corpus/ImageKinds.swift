internal import Inspection
internal import WAL

/// All kinds of images: one for each row of the verdict table, one for each finding, and what
/// disks, programs and people do to logs.
package enum ImageKinds {
    typealias Make = @Sendable (_ kind: String, _ random: SeededRandom) -> CrashImage

    /// In the order in which they take turns.
    package static var names: [String] { all.map(\.name) }

    static let all: [(name: String, make: Make)] =
        rows + findings + fields + blocks + lengths + moves + ends + besides + go

    /// One image. It depends on its arguments only, and not on the images before it.
    package static func image(seed: UInt64, number: Int) -> CrashImage {
        let kind = all[number % all.count]
        return kind.make(kind.name, SeededRandom(seed, part: UInt64(number)))
    }

    /// The image of one kind that a seed gives first.
    package static func image(seed: UInt64, kind: String) -> CrashImage? {
        all.firstIndex { $0.name == kind }.map { image(seed: seed, number: $0) }
    }

    // MARK: Logs to begin with

    /// A log of a few commits: `commits` of up to `limit` messages, rolled now and then.
    static func log(
        _ random: SeededRandom, segments: Int = 1, commits: Int = 4, closed: Bool = false,
        firstID: UInt64? = nil
    ) -> LogWriter {
        var writer = LogWriter(random, firstID: firstID)
        for index in 0..<segments {
            if index > 0 { writer.roll() }
            writer.commits(writer.random.within(max(1, commits - 2)...commits + 2))
            // Never the last of a commit of several: what follows proves it.
            writer.commit(1)
        }
        if closed { writer.addMark() }
        return writer
    }

    /// A log of one to three segments, closed or killed.
    static func anyLog(_ random: SeededRandom) -> LogWriter {
        var random = random
        let segments = random.one(of: [1, 1, 2, 3])
        let closed = random.once(in: 2)
        return log(random, segments: segments, commits: random.within(2...6), closed: closed)
    }

    // MARK: The verdict table

    private static let rows: [(name: String, make: Make)] = [
        ("clean-end", { kind, random in CrashImage(kind, LogImage(log(random, closed: true))) }),
        (
            "torn-commit",
            { kind, random in
                var image = LogImage(tornGroup(random))
                // The pages of one commit reach the disk in any subset: not the first of this one.
                let last = image.written.last { $0.commitIndex == 0 && $0.kind == .message }
                if let last { spoil(&image, last) }
                return CrashImage(kind, image)
            }
        ),
        (
            "durable-lost",
            { kind, random in
                var image = LogImage(log(random, commits: 5, closed: true))
                spoil(&image, pickMessage(&image))
                return CrashImage(kind, image)
            }
        ),
        (
            "sealed-short",
            { kind, random in
                var image = LogImage(log(random, segments: 2))
                image.segments[0].bytes += image.random.bytes(image.random.within(4...200))
                return CrashImage(kind, image)
            }
        ),
        (
            "whole-invalid",
            { kind, random in
                var writer = log(random)
                addInvalid(&writer)
                return CrashImage(kind, LogImage(writer))
            }
        ),
        (
            "disjoint",
            { kind, random in
                var image = LogImage(log(random))
                image.segments[0].bytes[image.random.within(4...37)] ^= 0x10
                return CrashImage(kind, image)
            }
        ),
        (
            "newer-frame",
            { kind, random in
                var writer = log(random)
                addNewer(&writer)
                if writer.random.once(in: 2) { writer.commits(2) }
                return CrashImage(kind, LogImage(writer))
            }
        ),
    ]

    /// A log that ends in a commit of several messages, of which nothing proves anything.
    static func tornGroup(_ random: SeededRandom) -> LogWriter {
        var writer = log(random)
        writer.commit(writer.random.within(2...6))
        return writer
    }

    /// A whole frame in its place that breaks a rule behind its checksum.
    static func addInvalid(_ writer: inout LogWriter) {
        let id = writer.nextID
        let (presence, index, parts): (UInt16, UInt32, [UInt8]) =
            switch writer.random.below(5) {
            case 0: (1, 0, little(UInt16(0)) + [1, 2, 3])
            case 1: (2, 0, little(UInt32(9)) + [0, 0, 1])
            case 2: (0, UInt32(truncatingIfNeeded: min(id, 1 << 30)) + 1, [7])
            case 3: (4, 0, little(UInt64(0)))
            default: (1, 0, little(UInt16(60_000)) + [1])
            }
        // An index above the id is possible only where the id is small enough.
        let breaks = UInt64(index) > id || index == 0
        writer.add(
            WrittenFrame(
                .invalid, id: id, position: writer.position, timestamp: writer.timestamp,
                commitIndex: breaks ? index : 0, presence: breaks ? presence : 4,
                parts: breaks ? parts : little(UInt64(0))))
    }

    /// A whole frame with a presence bit of a later version.
    static func addNewer(_ writer: inout LogWriter) {
        let bit = UInt16(1) << UInt16(writer.random.within(4...15))
        let parts = writer.random.bytes(writer.random.below(30))
        writer.add(
            WrittenFrame(
                .newer, id: writer.nextID, position: writer.position, timestamp: writer.timestamp,
                presence: bit, parts: parts))
        writer.nextID += 1
    }

    /// A message that is neither the first nor the last of the active segment, if it has such.
    static func pickMessage(_ image: inout LogImage) -> WrittenFrame {
        let base = image.segments[image.active].base
        let messages = image.written.filter { $0.kind == .message && $0.position >= base }
        let inner = messages.count > 2 ? Array(messages[1..<messages.count - 1]) : messages
        return image.random.one(of: inner)
    }

    /// Changes a byte of a frame that says nothing of its length.
    static func spoil(_ image: inout LogImage, _ frame: WrittenFrame) {
        let place = image.random.within(4...frame.bytes.count - 1)
        change(&image, frame, at: place) { $0 ^= 0x21 }
    }

    /// Changes one byte of a frame, wherever it stands.
    static func change(
        _ image: inout LogImage, _ frame: WrittenFrame, at place: Int, _ body: (inout UInt8) -> Void
    ) {
        for index in image.segments.indices {
            let offset = frame.position &- image.segments[index].base
            guard offset < UInt64(image.segments[index].bytes.count),
                image.segments[index].bytes[Int(offset)...].starts(with: frame.bytes)
            else { continue }
            body(&image.segments[index].bytes[Int(offset) + place])
            return
        }
    }

    /// Puts other bytes in a frame's place.
    static func replace(_ image: inout LogImage, _ frame: WrittenFrame, with bytes: [UInt8]) {
        for (index, byte) in bytes.enumerated() where index < frame.bytes.count {
            overwrite(&image, frame.position &+ UInt64(index), byte)
        }
    }

    private static func overwrite(_ image: inout LogImage, _ position: UInt64, _ byte: UInt8) {
        for index in image.segments.indices {
            let offset = position &- image.segments[index].base
            guard offset < UInt64(image.segments[index].bytes.count) else { continue }
            image.segments[index].bytes[Int(offset)] = byte
            return
        }
    }
}
