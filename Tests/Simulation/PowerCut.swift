/// Enumerates what a power cut may leave of a state: every combination of what no sync has covered,
/// where their number allows, and seeded samples beyond.
///
/// - Writes: each unit of `unitBytes` that was touched has its content as last synced, or as it was
///   after any of the writes since. What was never forced before is zeros or garbage where it is
///   missing, or some of it the one and some the other.
/// - Size: that last synced or any since, with or without the content, and at unit boundaries
///   between.
/// - The last write may be torn at any byte.
/// - Owner and mode: those last synced, or those of now.
/// - Names: each change of a directory is there or not; a rename is there whole or not at all.
package struct PowerCut: Sendable {
    /// 512 for a sector, 4096 for a page; smaller units find more.
    package var unitBytes = 512
    /// At most so many outcomes a state, and so many tears a write.
    package var limit: Int

    package init(unitBytes: Int = 512, limit: Int) {
        self.unitBytes = unitBytes
        self.limit = limit
    }

    /// Calls `body` with each outcome; the label tells them apart.
    package func forEachOutcome<R: RandomNumberGenerator>(
        of state: SimulatedState, using random: inout R,
        _ body: (SimulatedState, String) throws -> Void
    ) rethrows {
        let platter = Platter(state, unitBytes: unitBytes)
        let counts = platter.alternatives
        let all = counts.reduce(1) { product, count in
            product > limit ? product : product * count
        }
        for number in 0..<min(all, limit) {
            let picks =
                all <= limit
                ? PowerCut.digits(number, counts)
                : PowerCut.sample(number, counts, using: &random)
            let seed = UInt64.random(in: 0 ... .max, using: &random)
            try body(
                platter.outcome(picks, seed: seed),
                "power cut \(PowerCut.label(picks, counts)), garbage \(seed)")
        }
        try forEachTear(of: state, using: &random, body)
    }

    /// What is left when nothing that no sync has covered reached the platter.
    package static func harshest(_ state: SimulatedState) -> SimulatedState {
        let platter = Platter(state, unitBytes: 512)
        return platter.outcome(platter.alternatives.map { _ in 0 }, seed: 0)
    }

    /// `number` in the mixed radix of `counts`.
    private static func digits(_ number: Int, _ counts: [Int]) -> [Int] {
        var rest = number
        return counts.map { count in
            defer { rest /= count }
            return rest % count
        }
    }

    /// One of several shapes: a crash that leaves all but one sector finds other faults than one
    /// that leaves half of them.
    private static func sample<R: RandomNumberGenerator>(
        _ number: Int, _ counts: [Int], using random: inout R
    ) -> [Int] {
        let newest = counts.map { $0 - 1 }
        switch number {
        case 0: return counts.map { _ in 0 }
        case 1: return newest
        default: break
        }
        let odd = Int.random(in: counts.indices, using: &random)
        switch number % 4 {
        case 0:
            var picks = newest
            picks[odd] = Int.random(in: 0..<counts[odd], using: &random)
            return picks
        case 1: return counts.indices.map { $0 < odd ? newest[$0] : 0 }
        case 2:
            // Mostly there, or mostly not.
            let share = Double.random(in: 0...1, using: &random)
            return newest.map { Double.random(in: 0...1, using: &random) < share ? $0 : 0 }
        default: return counts.map { Int.random(in: 0..<$0, using: &random) }
        }
    }

    private static func label(_ picks: [Int], _ counts: [Int]) -> String {
        if picks.count > 96 { return "with \(picks.count) choices" }
        return zip(picks, counts).map { "\($0)/\($1 - 1)" }.joined(separator: " ")
    }

    /// The last write of each file, torn: the first bytes are there, the rest is not.
    private func forEachTear<R: RandomNumberGenerator>(
        of state: SimulatedState, using random: inout R,
        _ body: (SimulatedState, String) throws -> Void
    ) rethrows {
        for (number, inode) in state.inodes.sorted(by: { $0.key < $1.key }) {
            guard case .file(let file) = inode, case .write(let last)? = file.pending.last,
                !last.isLost, last.bytes.count > 1
            else { continue }
            let places = last.bytes.count - 1
            let tears = min(places, limit)
            for tear in 0..<tears {
                let at =
                    tears == places ? tear + 1 : Int.random(in: 1...places, using: &random)
                var torn = state
                var bytes = file.forced
                for change in file.pending.dropLast() { SimulatedState.apply(change, to: &bytes) }
                // With the size that the whole write would have given it, every other time.
                if tear % 2 == 0, bytes.count < last.end {
                    SimulatedState.resize(&bytes, to: last.end)
                }
                let part = SimulatedState.Write(
                    offset: last.offset, bytes: Array(last.bytes.prefix(at)))
                SimulatedState.apply(.write(part), to: &bytes)
                torn.inodes[number] = .file(
                    .init(forced: bytes, modified: file.modified, access: file.access))
                let platter = Platter(torn, unitBytes: unitBytes)
                try body(
                    platter.outcome(platter.alternatives.map { $0 - 1 }, seed: 0),
                    "power cut, last write to inode \(number) torn at \(at)")
            }
        }
    }
}
