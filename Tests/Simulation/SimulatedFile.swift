internal import SystemPackage
internal import WAL

/// An open file of a simulated disk.
final class SimulatedFile: DiskFile {
    private let disk: SimulatedDisk
    private let inode: UInt64
    let path: FilePath
    private var name: String { path.lastComponent?.string ?? "" }

    init(_ disk: SimulatedDisk, _ inode: UInt64, _ path: FilePath) {
        self.disk = disk
        self.inode = inode
        self.path = path
    }

    func status() throws(DiskError) -> FileStatus {
        disk.read { SimulatedDisk.status($0, inode) }
    }

    func read(
        at offset: UInt64, upTo limit: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int {
        let fault = disk.nextReadFault()
        if case .fails(let errno)? = fault {
            throw DiskError(operation: .read, path: path, errno: errno)
        }
        var bytes = disk.read { state -> [UInt8] in
            guard let file = state.file(inode), offset < UInt64(file.cached.count) else {
                return []
            }
            let end = min(file.cached.count, Int(offset) + limit)
            return Array(file.cached[Int(offset)..<end])
        }
        if case .flips(let bit)? = fault, !bytes.isEmpty {
            bytes[bit / 8 % bytes.count] ^= 1 << UInt8(bit % 8)
        }
        buffer.append(bytes)
        return bytes.count
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) -> Int {
        var copy = bytes.copied()
        if case .short(let count)? = disk.fault(), count < copy.count {
            copy.removeLast(copy.count - count)
        }
        let written = copy
        disk.showPartialWrites(written, inode, Int(offset), name)
        return try disk.perform(.write(name, written.count), path, .write) {
            (state) -> Result<Int, Errno> in
            state.write(written, to: inode, at: Int(offset))
            return .success(written.count)
        }
    }

    func truncate(to size: UInt64) throws(DiskError) {
        try disk.perform(.truncate(name, Int(size)), path, .truncate) {
            (state) -> Result<Void, Errno> in
            state.truncate(inode, to: Int(size))
            return .success(())
        }
    }

    func setAccess(_ access: FileAccess) throws(DiskError) {
        try disk.perform(.setAccess(name), path, .changeAccess) {
            (state) -> Result<Void, Errno> in
            state.setAccess(access, of: inode)
            return .success(())
        }
    }

    func sync(_ extent: SyncExtent) throws(DiskError) {
        let losesPages = disk.fault() == .syncLosesPages
        try disk.perform(.sync(name), path, .sync) { (state) -> Result<Void, Errno> in
            if losesPages {
                state.failSync(inode)
                return .failure(.ioError)
            }
            state.sync(inode, extent)
            return .success(())
        }
    }

    func close() {}
}
