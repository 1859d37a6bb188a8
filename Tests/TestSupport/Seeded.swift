/// Random numbers that are the same for the same seed on every machine (SplitMix64).
public struct Seeded: RandomNumberGenerator, Sendable {
    @usableFromInline var state: UInt64

    /// The sequence of `seed`.
    public init(_ seed: UInt64) { state = seed }

    /// 64 bits. Inlined where an exploration is built with optimisation: it draws a great many.
    @inlinable
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// 0 up to, not including, 1.
    public mutating func fraction() -> Double { Double(next() >> 11) / Double(1 << 53) }

    /// Any bytes.
    public mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            withUnsafeBytes(of: next()) { bytes.append(contentsOf: $0) }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}
