package import SystemPackage
package import WAL

/// Everything a simulated disk holds, as a value: a copy is a snapshot. What is forced is kept
/// apart from what only the cache has, so that a power cut can be played from any snapshot.
package struct SimulatedState: Sendable {
    package typealias InodeNumber = UInt64

    /// A change of names that no sync of the directory has covered yet.
    package enum NameChange: Sendable {
        case add(String, InodeNumber)
        case remove(String)
        /// Atomic: both or neither.
        case rename(String, String, InodeNumber)
    }

    package struct Directory: Sendable {
        package var cached: [String: InodeNumber] = [:]
        package var forced: [String: InodeNumber] = [:]
        package var pending: [NameChange] = []
    }

    package enum Inode: Sendable {
        case file(File)
        case directory(Directory)
    }

    package var inodes: [InodeNumber: Inode] = [1: .directory(Directory())]
    package var nextInode: InodeNumber = 2
    package var ticks: Int64 = 0

    package init() {}

    // MARK: Paths

    package func resolve(_ path: FilePath) -> InodeNumber? {
        resolve(SimulatedState.names(path)[...])
    }

    private func resolve(_ names: ArraySlice<Substring>) -> InodeNumber? {
        var inode: InodeNumber = 1
        for name in names {
            guard case .directory(let directory)? = inodes[inode],
                let next = directory.cached[String(name)]
            else { return nil }
            inode = next
        }
        return inode
    }

    /// The names of a path as text: taking a FilePath apart is slow without optimisation, and an
    /// exploration does nothing so often.
    private static func names(_ path: FilePath) -> [Substring] {
        let text = path.string
        let names = text.split(separator: "/")
        if !names.contains(where: { $0 == "." || $0 == ".." }) { return names }
        return path.lexicallyNormalized().string.split(separator: "/")
    }

    package func parent(_ path: FilePath) -> (InodeNumber, String)? {
        let names = SimulatedState.names(path)
        guard let name = names.last, let parent = resolve(names.dropLast()) else { return nil }
        return (parent, String(name))
    }

    package func directory(_ inode: InodeNumber) -> Directory? {
        if case .directory(let directory)? = inodes[inode] { return directory }
        return nil
    }

    package func file(_ inode: InodeNumber) -> File? {
        if case .file(let file)? = inodes[inode] { return file }
        return nil
    }

    package func file(at path: FilePath) -> File? { resolve(path).flatMap { file($0) } }

    /// The bytes that the cache shows for a path.
    package func bytes(_ path: FilePath) -> [UInt8]? { file(at: path)?.cached }

    // MARK: Names

    package mutating func change(_ inode: InodeNumber, _ name: NameChange) {
        guard case .directory(var directory)? = inodes[inode] else { return }
        SimulatedState.apply(name, to: &directory.cached)
        directory.pending.append(name)
        inodes[inode] = .directory(directory)
    }

    static func apply(_ change: NameChange, to names: inout [String: InodeNumber]) {
        switch change {
        case .add(let name, let inode): names[name] = inode
        case .remove(let name): names[name] = nil
        case .rename(let old, let new, let inode):
            if names[old] == inode { names[old] = nil }
            names[new] = inode
        }
    }

    package mutating func syncDirectory(_ inode: InodeNumber) {
        guard case .directory(var directory)? = inodes[inode] else { return }
        directory.forced = directory.cached
        directory.pending = []
        inodes[inode] = .directory(directory)
    }

    // MARK: Content

    package mutating func write(_ bytes: [UInt8], to inode: InodeNumber, at offset: Int) {
        guard !bytes.isEmpty else { return }
        changeFile(inode, isNews: true) { $0.write(bytes, at: offset) }
    }

    package mutating func setAccess(_ access: FileAccess, of inode: InodeNumber) {
        changeFile(inode, isNews: false) { $0.access = access }
    }

    package mutating func truncate(_ inode: InodeNumber, to size: Int) {
        changeFile(inode, isNews: true) { $0.resize(to: size) }
    }

    /// What a sync that succeeds does: pending writes reach the platter, and the size.
    package mutating func sync(_ inode: InodeNumber, _ extent: SyncExtent = .everything) {
        changeFile(inode, isNews: false) { $0.force(extent) }
    }

    /// What a sync that fails may do: the pages are marked clean, and a later sync that succeeds
    /// does not bring them to the platter.
    package mutating func failSync(_ inode: InodeNumber) {
        changeFile(inode, isNews: false) { $0.losePending() }
    }

    private mutating func changeFile(
        _ inode: InodeNumber, isNews: Bool, _ body: (inout File) -> Void
    ) {
        guard case .file(var file)? = inodes[inode] else { return }
        // Taken out first: the bytes are changed in place and not copied.
        inodes[inode] = nil
        if isNews {
            ticks += 1
            file.modified = ticks
        }
        body(&file)
        inodes[inode] = .file(file)
    }
}
