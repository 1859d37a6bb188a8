import TestSupport
/// What tells a message from all others: who published it and as which. Its payload follows from
/// it, so that nothing has to be kept of a message but this.
struct Stamp: Hashable, Sendable {
    /// Invariant: below 2^16.
    let producer: UInt64
    /// Invariant: below 2^48.
    let sequence: UInt64

    /// Every tenth message has no key: nobody can say what has become of it when its answer is
    /// lost.
    var hasKey: Bool { sequence % 10 != 9 }
    var key: String? { hasKey ? "p\(producer):\(sequence)" : nil }

    /// Everything in one number.
    var packed: UInt64 { producer << 48 | sequence }

    init(producer: UInt64, sequence: UInt64) {
        self.producer = producer
        self.sequence = sequence
    }

    init(packed: UInt64) {
        self.init(producer: packed >> 48, sequence: packed & (1 << 48 - 1))
    }

    /// The payload: the stamp in letters, then bytes that follow from it, of all values. One in a
    /// hundred is large.
    func payload(seed: UInt64) -> [UInt8] {
        var random = Seeded(seed ^ packed)
        let filler = random.next() % 100 == 0 ? random.next() % 16_384 : random.next() % 256
        var bytes = Array("\(producer).\(sequence):".utf8)
        bytes.reserveCapacity(bytes.count + Int(filler) + 8)
        let end = bytes.count + Int(filler)
        while bytes.count < end {
            let number = random.next()
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: number >> shift))
            }
        }
        return bytes
    }

    /// Whose payload this is, byte for byte; nil if it is nobody's.
    static func of(_ payload: [UInt8], seed: UInt64) -> Stamp? {
        guard let colon = payload.prefix(40).firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let parts = String(decoding: payload[..<colon], as: UTF8.self).split(separator: ".")
        guard parts.count == 2, let producer = UInt64(parts[0]), producer < 1 << 16,
            let sequence = UInt64(parts[1]), sequence < 1 << 48
        else { return nil }
        let stamp = Stamp(producer: producer, sequence: sequence)
        return stamp.payload(seed: seed) == payload ? stamp : nil
    }
}
