import Broker
import ChaosHarness
import DataDirectory
import Foundation
import Logging
import Server
import Simulation
import Synchronization
import SystemPackage
import WAL

/// A broker in this process on a disk in memory. Crashing it cuts the power: nothing is left that
/// no sync has covered.
final class PowerCutVictim: Victim {
    let refusesWhenCrashing = true
    private var disk = MortalDisk(SimulatedDisk(), acknowledgesEarly: false)
    private let acknowledgesEarly: Bool
    private var port = 0
    private var running: (broker: Broker, server: Server)?

    /// - Parameter acknowledgesEarly: a sync of the log's data returns at once and does nothing, as
    ///   if its broker did not wait for it.
    init(acknowledgesEarly: Bool) {
        self.acknowledgesEarly = acknowledgesEarly
        disk = MortalDisk(SimulatedDisk(), acknowledgesEarly: acknowledgesEarly)
    }

    var layout: DataLayout { DataLayout("/data", storage: Storage(disk)) }
    var ending: String? { nil }

    func start() throws -> Int {
        let broker = try Broker("/data", storage: Storage(disk))
        let server: Server
        do { server = try listen(broker) } catch {
            broker.close()
            throw error
        }
        running = (broker, server)
        port = server.port
        return port
    }

    /// A client on its way somewhere may have been given the port that was free for a moment.
    private func listen(_ broker: Broker) throws -> Server {
        var options = ServerOptions()
        options.port = port
        let logger = Logger(label: "toymq") { _ in SwiftLogNoOpLogHandler() }
        let deadline = ContinuousClock.now + .seconds(10)
        while true {
            do { return try Server(broker, options: options, logger: logger) } catch {
                guard port != 0, ContinuousClock.now < deadline else { throw error }
                usleep(50_000)
            }
        }
    }

    func crash() throws {
        guard let running else { return }
        // From here on nothing is forced, and so nothing may be acknowledged any more.
        disk.die()
        let left = PowerCut.harshest(disk.state)
        _ = running.server.stop(timeout: 200_000_000)
        running.broker.close()
        self.running = nil
        disk = MortalDisk(SimulatedDisk(left), acknowledgesEarly: acknowledgesEarly)
    }

    func stop() throws -> String? {
        guard let running else { return "it does not run" }
        let isDone = running.server.stop(timeout: 5_000_000_000)
        running.broker.close()
        self.running = nil
        return isDone ? nil : "it did not stop within 5 s"
    }
}

/// A disk that fails every change from one moment on. What was forced before is in `state` then,
/// and no sync that it does not cover has succeeded.
private final class MortalDisk: Disk {
    private let disk: SimulatedDisk
    private let life: Life
    private let acknowledgesEarly: Bool

    init(_ disk: SimulatedDisk, acknowledgesEarly: Bool) {
        self.disk = disk
        self.acknowledgesEarly = acknowledgesEarly
        life = Life()
    }

    func die() { life.end() }
    var state: SimulatedState { disk.state }

    func open(_ path: FilePath, _ mode: WAL.FileMode) throws(DiskError) -> any DiskFile {
        if case .read = mode {} else { try life.check(.open, path) }
        return MortalFile(
            try disk.open(path, mode), life, acknowledgesEarly: acknowledgesEarly)
    }
    func list(_ directory: FilePath) throws(DiskError) -> [DirectoryEntry] {
        try disk.list(directory)
    }
    func status(_ path: FilePath) throws(DiskError) -> FileStatus? { try disk.status(path) }
    func makeDirectory(_ path: FilePath) throws(DiskError) {
        try life.check(.open, path)
        try disk.makeDirectory(path)
    }
    func rename(_ old: FilePath, to new: FilePath) throws(DiskError) {
        try life.check(.open, old)
        try disk.rename(old, to: new)
    }
    func link(_ existing: FilePath, to new: FilePath) throws(DiskError) {
        try life.check(.open, existing)
        try disk.link(existing, to: new)
    }
    func setAccess(_ access: FileAccess, ofDirectory path: FilePath) throws(DiskError) {
        try life.check(.changeAccess, path)
        try disk.setAccess(access, ofDirectory: path)
    }
    func remove(_ path: FilePath) throws(DiskError) {
        try life.check(.open, path)
        try disk.remove(path)
    }
    func syncDirectory(_ path: FilePath) throws(DiskError) {
        try life.check(.open, path)
        try disk.syncDirectory(path)
        try life.check(.open, path)
    }
    func lock(_ path: FilePath) throws(DiskError) -> any DiskLock { try disk.lock(path) }
    func lockHolder(_ path: FilePath) -> LockHolder? { disk.lockHolder(path) }
}

private final class MortalFile: DiskFile {
    private let file: any DiskFile
    private let life: Life
    private let acknowledgesEarly: Bool

    init(_ file: any DiskFile, _ life: Life, acknowledgesEarly: Bool) {
        self.file = file
        self.life = life
        self.acknowledgesEarly = acknowledgesEarly
    }

    var path: FilePath { file.path }
    func status() throws(DiskError) -> FileStatus { try file.status() }
    func read(
        at offset: UInt64, upTo limit: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int { try file.read(at: offset, upTo: limit, into: &buffer) }
    func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) -> Int {
        try life.check(.write, path)
        return try file.write(bytes, at: offset)
    }
    func truncate(to size: UInt64) throws(DiskError) {
        try life.check(.write, path)
        try file.truncate(to: size)
    }
    func setAccess(_ access: FileAccess) throws(DiskError) {
        try life.check(.changeAccess, path)
        try file.setAccess(access)
    }
    func sync(_ extent: SyncExtent) throws(DiskError) {
        try life.check(.write, path)
        if case .data = extent, acknowledgesEarly { return }
        try file.sync(extent)
        // The power may have gone while it was at work: then it has not returned.
        try life.check(.write, path)
    }
    func close() { file.close() }
}

private final class Life: Sendable {
    private let isOver = Atomic<Bool>(false)

    func end() { isOver.store(true, ordering: .releasing) }

    func check(_ operation: DiskError.Operation, _ path: FilePath) throws(DiskError) {
        if isOver.load(ordering: .acquiring) {
            throw DiskError(operation: operation, path: path, errno: .ioError)
        }
    }
}
