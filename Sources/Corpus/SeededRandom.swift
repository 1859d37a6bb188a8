/// Random numbers that are the same for the same seed on every machine and with every compiler:
/// SplitMix64, with ranges of its own. (How the standard library draws from a range is not
/// settled.)
package struct SeededRandom: Sendable {
    private var state: UInt64

    /// The sequence of `seed`.
    package init(_ seed: UInt64) { state = seed }

    /// The sequence of one part of a corpus; parts do not depend on each other.
    package init(_ seed: UInt64, part: UInt64) {
        state = seed
        let mixed = next()
        state = mixed ^ (part &* 0xD6E8_FEB8_6659_FD93)
        _ = next()
    }

    /// 64 bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is above 0.
    package mutating func below(_ limit: Int) -> Int {
        precondition(limit > 0)
        return Int(next() % UInt64(limit))
    }

    /// A number of `range`.
    package mutating func within(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + below(range.count)
    }

    /// True once in `many` times.
    package mutating func once(in many: Int) -> Bool { below(many) == 0 }

    /// One of `choices`, which has some.
    package mutating func one<T>(of choices: [T]) -> T { choices[below(choices.count)] }

    /// Any bytes.
    package mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            let bits = next()
            for shift in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift * 8)))
            }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}
