package import SystemPackage
internal import Threads
package import WAL

/// One call of the log on its disk.
package struct DiskCall: Sendable, CustomStringConvertible {
    /// 1 for the first call since the disk was made.
    package var number: UInt64
    package var operation: DiskError.Operation
    package var path: FilePath
    /// Which open file it is made on; 0 for calls on names.
    package var handle: UInt64 = 0
    package var offset: UInt64 = 0
    package var count = 0

    package var name: String { path.string.lastName }
    /// Whether it changes or forces anything.
    package var isWrite: Bool {
        switch operation {
        case .open, .read, .list, .status, .lock, .close: false
        default: true
        }
    }
    package var description: String {
        "\(number) \(operation.rawValue) \(name) #\(handle) \(offset)+\(count)"
    }
}

/// What becomes of a call.
package enum DiskFault: Sendable {
    /// It fails and does nothing.
    case fail(Errno)
    /// A read or write moves at most that many bytes and succeeds.
    case partial(Int)
}

/// What a name leads to. Unchecked: the lock of the disk's state guards it, as everything in that.
final class Node: @unchecked Sendable {
    let kind: DirectoryEntry.Kind
    let inode: UInt64
    var device: UInt64 = 7
    var bytes: [UInt8] = []
    var durable: [UInt8] = []
    /// Written since the last sync, whether that succeeded or not.
    var dirty: [Range<Int>] = []
    var modified: Int64 = 0

    init(kind: DirectoryEntry.Kind, inode: UInt64) {
        self.kind = kind
        self.inode = inode
    }

    var status: FileStatus {
        FileStatus(
            kind: kind, size: UInt64(bytes.count), device: device, inode: inode, modified: modified,
            changed: modified)
    }

    /// What is dirty reaches the disk, and the size with it.
    func force() {
        if durable.count > bytes.count {
            durable.removeLast(durable.count - bytes.count)
        } else if durable.count < bytes.count {
            durable += .zeros(bytes.count - durable.count)
        }
        for range in dirty {
            let range = range.clamped(to: 0..<bytes.count)
            durable.overwrite(range, with: bytes, from: range.lowerBound)
        }
        dirty = []
    }

    func afterPowerLoss() -> Node {
        let node = Node(kind: kind, inode: inode)
        node.bytes = durable
        node.durable = durable
        node.device = device
        node.modified = modified
        return node
    }
}

extension Array where Element == UInt8 {
    /// Without optimisation `repeatElement` takes calls for each byte, too.
    fileprivate static func zeros(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { bytes, made in
            _ = UnsafeMutableRawBufferPointer(bytes).initializeMemory(as: UInt8.self, repeating: 0)
            made = count
        }
    }

    /// Copies as many bytes of `other` as `range` has. Without optimisation `replaceSubrange`
    /// takes a call for each byte.
    fileprivate mutating func overwrite(_ range: Range<Int>, with other: [UInt8], from: Int) {
        guard !range.isEmpty else { return }
        withUnsafeMutableBytes { mine in
            other.withUnsafeBytes { theirs in
                let source = UnsafeRawBufferPointer(rebasing: theirs[from..<from + range.count])
                UnsafeMutableRawBufferPointer(rebasing: mine[range]).copyMemory(from: source)
            }
        }
    }
}

final class MemoryFile: DiskFile {
    let path: FilePath
    private let disk: MemoryDisk
    private let node: Node
    private let handle: UInt64
    private let isClosed = Monitor(false)

    init(_ disk: MemoryDisk, _ node: Node, _ path: FilePath, handle: UInt64) {
        self.disk = disk
        self.node = node
        self.path = path
        self.handle = handle
    }

    deinit { close() }

    private func begin(
        _ operation: DiskError.Operation, offset: UInt64 = 0, count: Int = 0
    ) throws(DiskError) -> Int {
        guard !isClosed.withLock({ $0 }) else {
            throw DiskError(operation: operation, path: path, errno: .badFileDescriptor)
        }
        return try disk.begin(operation, path, handle: handle, offset: offset, count: count)
    }

    /// An array: without optimisation each element of a lazy collection takes several calls.
    private static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

    func status() throws(DiskError) -> FileStatus {
        _ = try begin(.status)
        return disk.state.withLock { _ in node.status }
    }

    func read(
        at offset: UInt64, upTo limit: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int {
        let limit = min(limit, try begin(.read, offset: offset, count: limit))
        // A copy of the array is a reference: what is written meanwhile copies it.
        let bytes = disk.state.withLock { _ in node.bytes }
        guard offset < UInt64(bytes.count), limit > 0 else { return 0 }
        let start = Int(offset)
        let count = min(limit, bytes.count - start)
        buffer.append(RawSpan(of: bytes).extracting(start..<start + count))
        return count
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) -> Int {
        let limit = try begin(.write, offset: offset, count: bytes.byteCount)
        let wanted = min(bytes.byteCount, limit)
        let new = bytes.extracting(0..<wanted).copied()
        return try disk.enter(.write, path) { state throws(Errno) in
            let start = Int(offset)
            let growth = max(start + wanted - node.bytes.count, 0)
            let room = state.capacity - state.used
            guard growth <= room || wanted > growth - room else { throw Errno.noSpace }
            let count = growth <= room ? wanted : wanted - (growth - room)
            if start > node.bytes.count {
                node.dirty.append(node.bytes.count..<start)
                node.bytes.append(
                    contentsOf: MemoryFile.zeros(start - node.bytes.count))
            }
            let end = start + count
            if end > node.bytes.count {
                node.bytes.append(contentsOf: MemoryFile.zeros(end - node.bytes.count))
            }
            node.bytes.overwrite(start..<end, with: new, from: 0)
            state.used += min(growth, max(room, 0))
            node.dirty.append(start..<start + count)
            state.clock += 1
            node.modified = state.clock
            return count
        }
    }

    /// For a script and a trace a sync of so many bytes.
    func startWriting(_ range: Range<UInt64>) throws(DiskError) {
        _ = try begin(.sync, offset: range.lowerBound, count: range.count)
    }

    func truncate(to size: UInt64) throws(DiskError) {
        _ = try begin(.truncate, offset: size)
        try disk.enter(.truncate, path) { state throws(Errno) in
            let size = Int(size)
            let old = node.bytes.count
            if size < old {
                node.bytes.removeLast(old - size)
                node.dirty = node.dirty.compactMap {
                    $0.lowerBound < size ? $0.clamped(to: 0..<size) : nil
                }
            } else if size > old {
                node.bytes.append(contentsOf: MemoryFile.zeros(size - old))
                node.dirty.append(old..<size)
            }
            state.used += size - old
            state.clock += 1
            node.modified = state.clock
        }
    }

    func setAccess(_ access: FileAccess) throws(DiskError) { _ = try begin(.changeAccess) }

    func sync(_ extent: SyncExtent) throws(DiskError) {
        do throws(DiskError) {
            _ = try begin(.sync)
        } catch {
            // The pages are marked clean and were not written.
            if error.errno != .badFileDescriptor {
                disk.state.withLock { _ in node.dirty = [] }
            }
            throw error
        }
        disk.state.withLock { _ in node.force() }
    }

    func close() {
        let wasOpen = isClosed.withLock { closed in
            defer { closed = true }
            return !closed
        }
        if wasOpen { disk.state.withLock { $0.descriptors -= 1 } }
    }
}

final class MemoryLock: DiskLock {
    private let disk: MemoryDisk
    private let inode: UInt64
    private let isReleased = Monitor(false)

    init(_ disk: MemoryDisk, _ inode: UInt64) {
        self.disk = disk
        self.inode = inode
    }

    deinit { release() }

    func release() {
        let isFirst = isReleased.withLock { released in
            defer { released = true }
            return !released
        }
        guard isFirst else { return }
        disk.state.withLock { state in
            state.locks.remove(inode)
            state.descriptors -= 1
        }
    }
}

extension MemoryDisk {
    /// Counts a call, asks the script about it, and gives how many bytes it may move.
    @discardableResult
    func begin(
        _ operation: DiskError.Operation, _ path: FilePath, handle: UInt64 = 0,
        offset: UInt64 = 0, count: Int = 0
    ) throws(DiskError) -> Int {
        let (call, script) = state.withLock { state in
            state.calls += 1
            let call = DiskCall(
                number: state.calls, operation: operation, path: path, handle: handle,
                offset: offset, count: count)
            state.trace?.append(call)
            return (call, state.script)
        }
        switch script?(call) {
        case nil: return .max
        case .partial(let bytes)?: return bytes
        case .fail(let errno)?:
            throw DiskError(operation: operation, path: path, errno: errno)
        }
    }

    /// Carries a call out.
    func enter<R: Sendable>(
        _ operation: DiskError.Operation, _ path: FilePath,
        _ body: (inout State) throws(Errno) -> R
    ) throws(DiskError) -> R {
        let result = state.withLock { state -> Result<R, Errno> in
            do throws(Errno) {
                return .success(try body(&state))
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let value): return value
        case .failure(let errno):
            throw DiskError(operation: operation, path: path, errno: errno)
        }
    }
}
