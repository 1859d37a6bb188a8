/// Enumerates what a power cut may leave of a state: every subset of what no sync has covered,
/// where their number allows, and seeded samples beyond.
///
/// - Writes: each unit of `unitBytes` that was touched has its old content or the new one. What was
///   never forced before is zeros or garbage where it is missing.
/// - Size: the old or the new one.
/// - The last write may be torn at any byte.
/// - Names: each change of a directory is there or not; a rename is there whole or not at all.
package struct PowerCut: Sendable {
    /// 512 for a sector, 4096 for a page; smaller units find more.
    package var unitBytes = 512
    /// At most so many outcomes a state.
    package var limit: Int

    package init(unitBytes: Int = 512, limit: Int) {
        self.unitBytes = unitBytes
        self.limit = limit
    }

    /// One thing that may be or not be.
    private enum Choice {
        case unit(SimulatedState.InodeNumber, Int)
        case size(SimulatedState.InodeNumber)
        case name(SimulatedState.InodeNumber, Int)
        /// Missing new units are garbage, not zeros.
        case garbage(SimulatedState.InodeNumber)
    }

    private func choices(_ state: SimulatedState) -> [Choice] {
        var choices: [Choice] = []
        for (number, inode) in state.inodes.sorted(by: { $0.key < $1.key }) {
            switch inode {
            case .file(let file) where file.isDirty:
                var units = Set<Int>()
                for write in file.pending {
                    let last = write.offset + write.bytes.count - 1
                    for unit in write.offset / unitBytes...last / unitBytes { units.insert(unit) }
                }
                choices += units.sorted().map { .unit(number, $0) }
                if file.cached.count != file.forced.count {
                    choices.append(.size(number))
                    if file.cached.count > file.forced.count, !units.isEmpty {
                        choices.append(.garbage(number))
                    }
                }
            case .directory(let directory):
                choices += directory.pending.indices.map { .name(number, $0) }
            default: break
            }
        }
        return choices
    }

    /// Calls `body` with each outcome; `label` tells how to play it again.
    package func forEachOutcome<R: RandomNumberGenerator>(
        of state: SimulatedState, using random: inout R,
        _ body: (SimulatedState, String) throws -> Void
    ) rethrows {
        let choices = choices(state)
        let isExhaustive = choices.count < 20 && (1 << choices.count) <= limit
        let count = isExhaustive ? 1 << choices.count : limit
        for number in 0..<count {
            let picks: [Bool]
            if isExhaustive {
                picks = choices.indices.map { number >> $0 & 1 == 1 }
            } else if number == 0 {
                picks = choices.map { _ in false }
            } else if number == 1 {
                picks = choices.map { _ in true }
            } else {
                picks = choices.map { _ in Bool.random(using: &random) }
            }
            let seed = UInt64.random(in: 0 ... .max, using: &random)
            let outcome = self.outcome(of: state, choices, picks, seed)
            try body(outcome, "cut \(picks.map { $0 ? "1" : "0" }.joined()) garbage \(seed)")
        }
        try forEachTear(of: state, choices, using: &random, body)
    }

    /// The last write of each file, torn: the first bytes are there, the rest is not.
    private func forEachTear<R: RandomNumberGenerator>(
        of state: SimulatedState, _ choices: [Choice], using random: inout R,
        _ body: (SimulatedState, String) throws -> Void
    ) rethrows {
        for (number, inode) in state.inodes.sorted(by: { $0.key < $1.key }) {
            guard case .file(let file) = inode, let last = file.pending.last,
                last.bytes.count > 1
            else { continue }
            let tears = min(last.bytes.count - 1, max(limit / 8, 1))
            for tear in 0..<tears {
                let at =
                    tears == last.bytes.count - 1
                    ? tear + 1 : Int.random(in: 1..<last.bytes.count, using: &random)
                var torn = state
                var changed = file
                changed.pending[changed.pending.count - 1].bytes = Array(last.bytes.prefix(at))
                let isLonger = file.cached.count > file.forced.count
                changed.cached = file.forced
                if isLonger {
                    SimulatedState.resize(&changed.cached, to: last.offset + at)
                } else {
                    SimulatedState.resize(&changed.cached, to: file.cached.count)
                }
                torn.inodes[number] = .file(changed)
                let all = choices.map { _ in true }
                try body(outcome(of: torn, choices, all, 0), "tear at \(at) of inode \(number)")
            }
        }
    }

    private func outcome(
        of state: SimulatedState, _ choices: [Choice], _ picks: [Bool], _ seed: UInt64
    ) -> SimulatedState {
        var units: [SimulatedState.InodeNumber: Set<Int>] = [:]
        var sizes = Set<SimulatedState.InodeNumber>()
        var garbage = Set<SimulatedState.InodeNumber>()
        var names: [SimulatedState.InodeNumber: Set<Int>] = [:]
        for (choice, isPicked) in zip(choices, picks) where isPicked {
            switch choice {
            case .unit(let inode, let unit): units[inode, default: []].insert(unit)
            case .size(let inode): sizes.insert(inode)
            case .garbage(let inode): garbage.insert(inode)
            case .name(let inode, let index): names[inode, default: []].insert(index)
            }
        }
        var result = state
        for (number, inode) in state.inodes {
            switch inode {
            case .file(let file) where file.isDirty:
                result.inodes[number] = .file(
                    platter(
                        file, units[number] ?? [], newSize: sizes.contains(number),
                        garbage: garbage.contains(number) ? seed &+ number : nil))
            case .directory(var directory) where !directory.pending.isEmpty:
                var kept = directory.forced
                for (index, change) in directory.pending.enumerated()
                where names[number]?.contains(index) ?? false {
                    SimulatedState.apply(change, to: &kept)
                }
                directory.cached = kept
                directory.forced = kept
                directory.pending = []
                result.inodes[number] = .directory(directory)
            default: break
            }
        }
        return result
    }

    /// The file after the cut: forced bytes, and of the pending ones the units that were picked.
    private func platter(
        _ file: SimulatedState.File, _ units: Set<Int>, newSize: Bool, garbage: UInt64?
    ) -> SimulatedState.File {
        var bytes = file.forced
        let size = newSize ? file.cached.count : file.forced.count
        let old = bytes.count
        SimulatedState.resize(&bytes, to: max(size, old))
        if let garbage, bytes.count > old {
            var random = SplitMix(seed: garbage)
            let touched = Set(
                file.pending.flatMap { write in
                    write.offset / unitBytes...(write.offset + write.bytes.count - 1) / unitBytes
                })
            for unit in touched.sorted() where !units.contains(unit) {
                let begin = max(unit * unitBytes, old)
                for at in begin..<max(begin, min((unit + 1) * unitBytes, bytes.count)) {
                    bytes[at] = UInt8.random(in: 0...255, using: &random)
                }
            }
        }
        for write in file.pending {
            for at in write.offset..<write.offset + write.bytes.count
            where at < bytes.count && units.contains(at / unitBytes) {
                bytes[at] = write.bytes[at - write.offset]
            }
        }
        SimulatedState.resize(&bytes, to: size)
        return SimulatedState.File(cached: bytes, forced: bytes, modified: file.modified)
    }
}

/// A small generator that gives the same numbers for the same seed on every machine.
package struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64
    package init(seed: UInt64) { state = seed }
    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
