package import WAL

extension SimulatedState {
    /// Who owns what somebody makes, unless it is said: root.
    static let fileAccess = FileAccess(owner: 0, group: 0, permissions: 0o644)
    static let directoryAccess = FileAccess(owner: 0, group: 0, permissions: 0o755)

    /// A file: what the cache shows, what the platter has for certain, and in order what lies
    /// between.
    package struct File: Sendable {
        package internal(set) var cached: [UInt8] = []
        package internal(set) var forced: [UInt8] = []
        /// What no sync has covered yet, oldest first.
        package internal(set) var pending: [Change] = []
        package var modified: Int64 = 0
        package internal(set) var access = SimulatedState.fileAccess
        /// What of `access` a sync has covered.
        package internal(set) var forcedAccess = SimulatedState.fileAccess

        package init() {}

        /// A file that is on the platter as it is.
        package init(
            forced bytes: [UInt8], modified: Int64 = 0, access: FileAccess? = nil
        ) {
            cached = bytes
            forced = bytes
            self.modified = modified
            if let access {
                self.access = access
                forcedAccess = access
            }
        }
    }

    package enum Change: Sendable {
        case write(Write)
        /// The file was cut or made longer.
        case resize(Int)
    }

    package struct Write: Sendable {
        package var offset: Int
        package var bytes: [UInt8]
        /// A sync failed and marked its pages clean: no later sync forces it, and whether it has
        /// reached the platter shows at the next power cut.
        package var isLost = false

        package var end: Int { offset + bytes.count }
    }

    static func resize(_ bytes: inout [UInt8], to size: Int) {
        if size < bytes.count {
            bytes.removeLast(bytes.count - size)
        } else if size > bytes.count {
            bytes += [UInt8](repeating: 0, count: size - bytes.count)
        }
    }

    static func apply(_ change: Change, to bytes: inout [UInt8]) {
        switch change {
        case .resize(let size): resize(&bytes, to: size)
        case .write(let write):
            if bytes.count < write.end { resize(&bytes, to: write.end) }
            bytes.replaceSubrange(write.offset..<write.end, with: write.bytes)
        }
    }
}

extension SimulatedState.File {
    /// Whether a power cut may leave it otherwise than the cache shows it.
    package var isDirty: Bool { !pending.isEmpty || access != forcedAccess }

    mutating func write(_ bytes: [UInt8], at offset: Int) {
        note(.write(.init(offset: offset, bytes: bytes)))
    }

    mutating func resize(to size: Int) { note(.resize(size)) }

    private mutating func note(_ change: SimulatedState.Change) {
        SimulatedState.apply(change, to: &cached)
        pending.append(change)
    }

    mutating func losePending() {
        pending = pending.map { change in
            guard case .write(var write) = change else { return change }
            write.isLost = true
            return .write(write)
        }
    }

    /// Brings to the platter what a sync covers: all writes but lost ones, and the size. That a
    /// file has become shorter is metadata that fdatasync need not carry.
    mutating func force(_ extent: SyncExtent) {
        if extent == .everything { forcedAccess = access }
        var lost: [SimulatedState.Write] = []
        for change in pending {
            switch change {
            case .write(let write) where write.isLost: lost.append(write)
            case .write(let write):
                SimulatedState.apply(change, to: &forced)
                lost = lost.flatMap { $0.without(write.offset..<write.end) }
            case .resize(let size):
                lost = lost.flatMap { $0.without(size..<Int.max) }
                if extent == .everything || size >= forced.count {
                    SimulatedState.resize(&forced, to: size)
                } else {
                    for at in size..<max(size, min(forced.count, cached.count)) { forced[at] = 0 }
                }
            }
        }
        pending = lost.map { .write($0) }
        if extent == .everything || forced.count < cached.count {
            SimulatedState.resize(&forced, to: cached.count)
        } else if forced.count > cached.count {
            pending.append(.resize(cached.count))
        }
    }
}

extension SimulatedState.Write {
    /// What is left of it when something else is forced over `range`.
    func without(_ range: Range<Int>) -> [SimulatedState.Write] {
        var parts: [SimulatedState.Write] = []
        if offset < range.lowerBound {
            let count = min(end, range.lowerBound) - offset
            parts.append(.init(offset: offset, bytes: Array(bytes.prefix(count)), isLost: isLost))
        }
        if end > range.upperBound {
            let start = max(offset, range.upperBound)
            parts.append(
                .init(offset: start, bytes: Array(bytes.suffix(end - start)), isLost: isLost))
        }
        return parts
    }
}
