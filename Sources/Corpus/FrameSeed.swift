package import Inspection
internal import WAL

/// Bytes for a parser of frames to begin with, and what they are.
package struct FrameSeed: Sendable {
    /// What it shows: one of `FrameSeed.kinds`.
    package let kind: String
    package let bytes: [UInt8]
    /// What is wrong; nil for a valid frame.
    package let fault: FindingKind?
    /// The id of a message that can be read from it.
    package let intact: UInt64?

    /// In the order in which they take turns.
    package static let kinds = [
        "message", "key", "headers", "key-and-headers", "empty", "mark", "lost", "lost-one",
        "two-frames", "newer", "bad-inner", "bad-crc", "length-below", "length-above",
        "length-beyond-end", "length-only", "nothing", "largest-length", "index-above-id",
        "last-id", "id-zero", "frame-in-payload",
    ]

    /// One seed, which depends on its arguments only.
    package static func seed(_ seed: UInt64, number: Int) -> FrameSeed {
        let kind = kinds[number % kinds.count]
        var random = SeededRandom(~seed, part: UInt64(number))
        return make(kind, &random)
    }

    private static func make(_ kind: String, _ random: inout SeededRandom) -> FrameSeed {
        let id = random.one(of: [0, 1, 7, 1 << 40]) + UInt64(random.below(100))
        let position = random.next() >> 2
        let time = 1_700_000_000_000_000_000 + random.next() % 1_000_000_000
        let body = random.bytes(random.below(60))
        let key = FrameParts.key(random.bytes(random.within(1...20)))
        let headers = FrameParts.headers(
            (0..<random.within(1...3)).map { _ in
                (random.bytes(random.within(1...6)), random.bytes(random.below(20)))
            })

        func frame(_ presence: UInt16, _ parts: [UInt8], id at: UInt64? = nil, index: UInt32 = 0)
            -> [UInt8]
        {
            WrittenFrame(
                .message, id: at ?? id, position: position, timestamp: time, commitIndex: index,
                presence: presence, parts: parts
            ).bytes
        }
        func valid(_ bytes: [UInt8], _ message: UInt64? = nil) -> FrameSeed {
            FrameSeed(kind: kind, bytes: bytes, fault: nil, intact: message)
        }
        func broken(_ fault: FindingKind, _ bytes: [UInt8]) -> FrameSeed {
            FrameSeed(kind: kind, bytes: bytes, fault: fault, intact: nil)
        }
        var plain = frame(0, body)
        switch kind {
        case "message": return valid(plain, id)
        case "key": return valid(frame(1, key + body), id)
        case "headers": return valid(frame(2, headers + body), id)
        case "key-and-headers": return valid(frame(3, key + headers + body), id)
        case "empty": return valid(frame(0, []), id)
        case "mark": return valid(frame(8, []))
        case "lost":
            let zeros = [UInt8](repeating: 0, count: random.below(40))
            return valid(frame(4, little(UInt64(random.within(1...99))) + zeros))
        case "lost-one": return valid(frame(4, [UInt8](repeating: 0, count: random.below(8))))
        case "two-frames": return valid(plain + frame(0, [1], id: id + 1), id)
        case "newer":
            return broken(.unknownField, frame(1 << UInt16(random.within(4...15)), body))
        case "bad-inner":
            return broken(.badInner, frame(1, little(UInt16(body.count + 1)) + body))
        case "bad-crc":
            plain[plain.count - 1 - random.below(4)] ^= 0x11
            return broken(.badCRC, plain)
        case "length-below":
            plain.replaceSubrange(0..<4, with: little(UInt32(random.below(34))))
            return broken(.badLength, plain)
        case "length-above":
            plain.replaceSubrange(0..<4, with: little(UInt32(4_194_301 + random.below(1 << 30))))
            return broken(.badLength, plain)
        case "length-beyond-end":
            plain.removeLast(random.within(1...plain.count - 4))
            return broken(.badLength, plain)
        case "length-only": return broken(.badLength, Array(plain.prefix(4)))
        case "nothing": return broken(.badLength, [])
        case "largest-length":
            plain.replaceSubrange(0..<4, with: little(UInt32(4_194_300)))
            return broken(.badLength, plain)
        case "index-above-id":
            return broken(.badInner, frame(0, body, id: 3, index: UInt32(4 + random.below(9))))
        case "last-id": return broken(.badInner, frame(0, body, id: .max))
        case "id-zero": return valid(frame(0, body, id: 0), 0)
        default: return valid(frame(0, plain), id)
        }
    }
}
