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
        let maker = Maker(&random)
        if let (bytes, message) = maker.valid(kind, &random) {
            return FrameSeed(kind: kind, bytes: bytes, fault: nil, intact: message)
        }
        let (fault, bytes) = maker.broken(kind, &random)
        return FrameSeed(kind: kind, bytes: bytes, fault: fault, intact: nil)
    }

    /// The fields and parts that a seed is made of.
    private struct Maker {
        let id: UInt64
        let position: UInt64
        let timestamp: UInt64
        let body: [UInt8]

        init(_ random: inout SeededRandom) {
            id = random.one(of: [0, 1, 7, 1 << 40]) + UInt64(random.below(100))
            position = random.next() >> 2
            timestamp = 1_700_000_000_000_000_000 + random.next() % 1_000_000_000
            body = random.bytes(random.below(60))
        }

        private func frame(
            _ presence: UInt16, _ parts: [UInt8], id other: UInt64? = nil, index: UInt32 = 0
        ) -> [UInt8] {
            WrittenFrame(
                .message, id: other ?? id, position: position, timestamp: timestamp,
                commitIndex: index, presence: presence, parts: parts
            ).bytes
        }

        private func key(_ random: inout SeededRandom) -> [UInt8] {
            FrameParts.key(random.bytes(random.within(1...20)))
        }

        private func headers(_ random: inout SeededRandom) -> [UInt8] {
            FrameParts.headers(
                (0..<random.within(1...3)).map { _ in
                    (random.bytes(random.within(1...6)), random.bytes(random.below(20)))
                })
        }

        /// The bytes, and the id of the message if it is one; nil for the kinds that are broken.
        func valid(_ kind: String, _ random: inout SeededRandom) -> ([UInt8], UInt64?)? {
            switch kind {
            case "message": return (frame(0, body), id)
            case "key": return (frame(1, key(&random) + body), id)
            case "headers": return (frame(2, headers(&random) + body), id)
            case "key-and-headers":
                return (frame(3, key(&random) + headers(&random) + body), id)
            case "empty": return (frame(0, []), id)
            case "mark": return (frame(8, []), nil)
            case "lost":
                let zeros = [UInt8](repeating: 0, count: random.below(40))
                return (frame(4, little(UInt64(random.within(1...99))) + zeros), nil)
            case "lost-one":
                return (frame(4, [UInt8](repeating: 0, count: random.below(8))), nil)
            case "two-frames": return (frame(0, body) + frame(0, [1], id: id + 1), id)
            case "id-zero": return (frame(0, body, id: 0), 0)
            case "frame-in-payload": return (frame(0, frame(0, body)), id)
            default: return nil
            }
        }

        /// What is wrong, and the bytes.
        func broken(
            _ kind: String, _ random: inout SeededRandom
        ) -> (fault: FindingKind, bytes: [UInt8]) {
            var bytes = frame(0, body)
            switch kind {
            case "newer":
                return (.unknownField, frame(1 << UInt16(random.within(4...15)), body))
            case "bad-inner":
                return (.badInner, frame(1, little(UInt16(body.count + 1)) + body))
            case "index-above-id":
                return (.badInner, frame(0, body, id: 3, index: UInt32(4 + random.below(9))))
            case "last-id": return (.badInner, frame(0, body, id: .max))
            case "bad-crc":
                bytes[bytes.count - 1 - random.below(4)] ^= 0x11
                return (.badCRC, bytes)
            case "length-below": set(&bytes, length: UInt32(random.below(34)))
            case "length-above": set(&bytes, length: UInt32(4_194_301 + random.below(1 << 30)))
            case "largest-length": set(&bytes, length: 4_194_300)
            case "length-beyond-end": bytes.removeLast(random.within(1...bytes.count - 4))
            case "length-only": bytes.removeLast(bytes.count - 4)
            case "nothing": bytes = []
            default: preconditionFailure("no seed is made for \(kind)")
            }
            return (.badLength, bytes)
        }

        private func set(_ bytes: inout [UInt8], length: UInt32) {
            bytes.replaceSubrange(0..<4, with: little(length))
        }
    }
}
