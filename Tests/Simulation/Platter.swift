import TestSupport
/// What the platter may hold of a state: for each thing that no sync has covered the alternatives,
/// oldest first.
struct Platter {
    private typealias InodeNumber = SimulatedState.InodeNumber

    /// One thing that may be this way or that. Alternative 0 is what the last sync left.
    private enum Choice {
        case unit(InodeNumber, Int, [ArraySlice<UInt8>])
        case size(InodeNumber, [Int])
        /// Missing units that nothing was ever forced to are zeros, garbage, or some of each.
        case garbage(InodeNumber)
        case name(InodeNumber, Int)
        case access(InodeNumber)

        var count: Int {
            switch self {
            case .unit(_, _, let contents): contents.count
            case .size(_, let sizes): sizes.count
            case .garbage: 3
            case .name, .access: 2
            }
        }
    }

    private let state: SimulatedState
    private let unitBytes: Int
    private var choices: [Choice] = []
    /// Units that were written to where nothing was forced before.
    private var fresh: [InodeNumber: Set<Int>] = [:]

    init(_ state: SimulatedState, unitBytes: Int) {
        self.state = state
        self.unitBytes = unitBytes
        for (number, inode) in state.inodes.sorted(by: { $0.key < $1.key }) {
            switch inode {
            case .file(let file) where file.isDirty: addFile(number, file)
            case .directory(let directory):
                choices += directory.pending.indices.map { .name(number, $0) }
            case .file: break
            }
        }
    }

    /// How many alternatives each choice has.
    var alternatives: [Int] { choices.map(\.count) }

    private mutating func addFile(_ number: InodeNumber, _ file: SimulatedState.File) {
        if file.access != file.forcedAccess { choices.append(.access(number)) }
        var image = file.forced
        var sizes = [file.forced.count]
        var units: [Int: [ArraySlice<UInt8>]] = [:]
        for change in file.pending {
            let touched = touch(change, image.count)
            for unit in touched where units[unit] == nil { units[unit] = [slice(image, unit)] }
            SimulatedState.apply(change, to: &image)
            for unit in touched {
                let content = slice(image, unit)
                if units[unit]?.last.map({ $0.elementsEqual(content) }) == false {
                    units[unit]?.append(content)
                }
            }
            if sizes.last != image.count { sizes.append(image.count) }
        }
        let isFresh = units.keys.filter { ($0 + 1) * unitBytes > file.forced.count }
        for (unit, contents) in units.sorted(by: { $0.key < $1.key }) where contents.count > 1 {
            choices.append(.unit(number, unit, contents))
        }
        let between = [
            (file.forced.count / unitBytes + 1) * unitBytes,
            (image.count - 1) / unitBytes * unitBytes,
        ]
        for size in between where size > file.forced.count && size < image.count {
            if !sizes.contains(size) { sizes.insert(size, at: 1) }
        }
        if sizes.count > 1 { choices.append(.size(number, sizes)) }
        if !isFresh.isEmpty, image.count > file.forced.count {
            fresh[number] = Set(isFresh)
            choices.append(.garbage(number))
        }
    }

    private func touch(_ change: SimulatedState.Change, _ size: Int) -> ClosedRange<Int> {
        switch change {
        case .write(let write): write.offset / unitBytes...(write.end - 1) / unitBytes
        case .resize(let new):
            min(new, size) / unitBytes...max(max(new, size) - 1, min(new, size)) / unitBytes
        }
    }

    private func slice(_ image: [UInt8], _ unit: Int) -> ArraySlice<UInt8> {
        let begin = unit * unitBytes
        let there = begin < image.count ? image[begin..<min(begin + unitBytes, image.count)] : []
        if there.count == unitBytes { return there }
        return there + [UInt8](repeating: 0, count: unitBytes - there.count)
    }

    /// The state after a power cut with this alternative of each choice.
    func outcome(_ picks: [Int], seed: UInt64) -> SimulatedState {
        var result = state
        var random = Seeded(seed)
        var sizes: [InodeNumber: Int] = [:]
        var garbage: [InodeNumber: Int] = [:]
        var units: [InodeNumber: [(unit: Int, content: ArraySlice<UInt8>)]] = [:]
        var names: [InodeNumber: Set<Int>] = [:]
        var newAccess = Set<InodeNumber>()
        for (choice, pick) in zip(choices, picks) {
            switch choice {
            case .unit(let inode, let unit, let contents):
                if pick > 0 { units[inode, default: []].append((unit, contents[pick])) }
            case .size(let inode, let alternatives): sizes[inode] = alternatives[pick]
            case .garbage(let inode): garbage[inode] = pick
            case .name(let inode, let index):
                if pick > 0 { names[inode, default: []].insert(index) }
            case .access(let inode): if pick > 0 { newAccess.insert(inode) }
            }
        }
        for (number, inode) in state.inodes.sorted(by: { $0.key < $1.key }) {
            switch inode {
            case .file(let file) where file.isDirty:
                var bytes = file.forced
                let size = sizes[number] ?? bytes.count
                let there = units[number] ?? []
                if size > bytes.count {
                    SimulatedState.resize(&bytes, to: size)
                    spoil(
                        &bytes, number, from: file.forced.count, but: Set(there.map(\.unit)),
                        degree: garbage[number] ?? 0, using: &random)
                }
                for (unit, content) in there {
                    let begin = unit * unitBytes
                    guard begin < bytes.count else { continue }
                    let end = min(begin + unitBytes, bytes.count)
                    bytes.replaceSubrange(begin..<end, with: content.prefix(end - begin))
                }
                SimulatedState.resize(&bytes, to: size)
                result.inodes[number] = .file(
                    .init(
                        forced: bytes, modified: file.modified,
                        access: newAccess.contains(number) ? file.access : file.forcedAccess))
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

    /// Puts garbage into units that are missing where nothing was forced before: none, all, or
    /// some (`degree` 0, 1, 2).
    private func spoil(
        _ bytes: inout [UInt8], _ inode: InodeNumber, from old: Int, but there: Set<Int>,
        degree: Int, using random: inout Seeded
    ) {
        guard degree > 0, let fresh = fresh[inode] else { return }
        for unit in fresh.sorted() where !there.contains(unit) {
            if degree == 2, Bool.random(using: &random) { continue }
            let begin = max(unit * unitBytes, old)
            var word: UInt64 = 0
            for at in begin..<max(begin, min((unit + 1) * unitBytes, bytes.count)) {
                if word == 0 { word = random.next() }
                bytes[at] = UInt8(truncatingIfNeeded: word)
                word >>= 8
            }
        }
    }
}
