package import SystemPackage

/// Everything a simulated disk holds, as a value: a copy is a snapshot. What is forced is kept apart
/// from what only the cache has, so that a power cut can be played from any snapshot.
package struct SimulatedState: Sendable {
    package typealias InodeNumber = UInt64

    /// A write that no sync has covered yet.
    package struct Write: Sendable {
        package var offset: Int
        package var bytes: [UInt8]
    }

    /// A file: what the cache shows, and what the platter has.
    package struct File: Sendable {
        package var cached: [UInt8] = []
        package var forced: [UInt8] = []
        /// Writes since the last sync, oldest first.
        package var pending: [Write] = []
        /// The size changed since the last sync.
        package var sizeIsPending = false
        /// The smallest size since the last sync, if the file was cut: what stood behind it is gone
        /// once that is forced, whatever was written there since.
        package var cutTo: Int?
        package var modified: Int64 = 0
    }

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
        var inode: InodeNumber = 1
        for component in path.lexicallyNormalized().components {
            guard case .directory(let directory)? = inodes[inode],
                let next = directory.cached[component.string]
            else { return nil }
            inode = next
        }
        return inode
    }

    package func parent(_ path: FilePath) -> (InodeNumber, String)? {
        let normal = path.lexicallyNormalized()
        guard let name = normal.lastComponent?.string,
            let parent = resolve(normal.removingLastComponent())
        else { return nil }
        return (parent, name)
    }

    package func directory(_ inode: InodeNumber) -> Directory? {
        if case .directory(let directory)? = inodes[inode] { return directory }
        return nil
    }

    package func file(_ inode: InodeNumber) -> File? {
        if case .file(let file)? = inodes[inode] { return file }
        return nil
    }

    /// The bytes that the cache shows for a path.
    package func bytes(_ path: FilePath) -> [UInt8]? {
        resolve(path).flatMap { file($0) }?.cached
    }

    // MARK: Changes

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

    package mutating func write(_ bytes: [UInt8], to inode: InodeNumber, at offset: Int) {
        guard case .file(var file)? = inodes[inode], !bytes.isEmpty else { return }
        inodes[inode] = nil
        let end = offset + bytes.count
        if file.cached.count < end {
            file.cached += [UInt8](repeating: 0, count: end - file.cached.count)
            file.sizeIsPending = true
        }
        file.cached.replaceSubrange(offset..<end, with: bytes)
        file.pending.append(Write(offset: offset, bytes: bytes))
        ticks += 1
        file.modified = ticks
        inodes[inode] = .file(file)
    }

    package mutating func truncate(_ inode: InodeNumber, to size: Int) {
        guard case .file(var file)? = inodes[inode] else { return }
        inodes[inode] = nil
        if size < file.cached.count {
            file.cached.removeLast(file.cached.count - size)
            file.cutTo = min(file.cutTo ?? size, size)
        } else {
            file.cached += [UInt8](repeating: 0, count: size - file.cached.count)
        }
        // A write that was not forced and is cut off again never gets to the platter.
        file.pending = file.pending.compactMap { write in
            guard write.offset < size else { return nil }
            var kept = write
            if write.offset + write.bytes.count > size {
                kept.bytes.removeLast(write.offset + write.bytes.count - size)
            }
            return kept
        }
        file.sizeIsPending = true
        ticks += 1
        file.modified = ticks
        inodes[inode] = .file(file)
    }

    /// What a sync that succeeds does: pending writes reach the platter, and the size.
    package mutating func sync(_ inode: InodeNumber) {
        guard case .file(var file)? = inodes[inode] else { return }
        inodes[inode] = nil
        file.force()
        inodes[inode] = .file(file)
    }

    /// What a sync that fails may do: the pages are marked clean, and a later sync that succeeds
    /// does not bring them to the platter.
    package mutating func failSync(_ inode: InodeNumber) {
        guard case .file(var file)? = inodes[inode] else { return }
        inodes[inode] = nil
        file.pending = []
        inodes[inode] = .file(file)
    }
}

extension SimulatedState.File {
    mutating func force() {
        if let cutTo { SimulatedState.resize(&forced, to: min(cutTo, forced.count)) }
        cutTo = nil
        SimulatedState.resize(&forced, to: cached.count)
        for write in pending where write.offset < forced.count {
            let count = min(write.bytes.count, forced.count - write.offset)
            forced.replaceSubrange(
                write.offset..<write.offset + count, with: write.bytes.prefix(count))
        }
        pending = []
        sizeIsPending = false
    }

    var isDirty: Bool { !pending.isEmpty || sizeIsPending }
}

extension SimulatedState {
    static func resize(_ bytes: inout [UInt8], to size: Int) {
        if size < bytes.count {
            bytes.removeLast(bytes.count - size)
        } else {
            bytes += [UInt8](repeating: 0, count: size - bytes.count)
        }
    }
}
