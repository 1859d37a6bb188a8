import Simulation
import SystemPackage
import Testing
import TestSupport

@testable import WAL

/// The simulated disk keeps no more than a real one has to, and all that one has to.
@Suite struct SimulatedDiskTests {
    private let path: FilePath = "/a"

    private func write(_ bytes: [UInt8], at offset: UInt64, to file: any DiskFile) throws {
        try file.writeAll(RawSpan(of: bytes), at: offset)
    }

    /// What the file may be after a power cut; nil where its name is gone.
    private func outcomes(
        _ disk: SimulatedDisk, unitBytes: Int = 4, limit: Int = 4096
    ) -> Set<[UInt8]?> {
        var found: Set<[UInt8]?> = []
        var random = Seeded(5)
        PowerCut(unitBytes: unitBytes, limit: limit)
            .forEachOutcome(of: disk.state, using: &random) { state, _ in
                found.insert(state.bytes(path))
            }
        return found
    }

    /// A file with eight bytes that are durable, as its name is.
    private func durableFile(_ disk: SimulatedDisk) throws -> any DiskFile {
        let file = try disk.open(path, .create)
        try write([1, 1, 1, 1, 1, 1, 1, 1], at: 0, to: file)
        try file.sync(.everything)
        try disk.syncDirectory("/")
        return file
    }

    @Test func whatIsSyncedIsThereAfterAPowerCut() throws {
        let disk = SimulatedDisk()
        _ = try durableFile(disk)
        #expect(outcomes(disk) == [[1, 1, 1, 1, 1, 1, 1, 1]])
    }

    @Test func aNameIsThereOrNotUntilItsDirectoryIsSynced() throws {
        let disk = SimulatedDisk()
        let file = try disk.open(path, .create)
        try write([1], at: 0, to: file)
        try file.sync(.everything)
        #expect(outcomes(disk) == [nil, [1]])
        try disk.syncDirectory("/")
        #expect(outcomes(disk) == [[1]])
    }

    @Test func unitsOfOneWriteReachThePlatterInAnySubset() throws {
        let disk = SimulatedDisk()
        let file = try durableFile(disk)
        try write([2, 2, 2, 2, 2, 2, 2, 2], at: 0, to: file)
        let found = outcomes(disk)
        for subset in [
            [1, 1, 1, 1, 1, 1, 1, 1], [2, 2, 2, 2, 1, 1, 1, 1], [1, 1, 1, 1, 2, 2, 2, 2],
            [2, 2, 2, 2, 2, 2, 2, 2],
        ] as [[UInt8]] { #expect(found.contains(subset)) }
        #expect(found.contains([2, 2, 2, 1, 1, 1, 1, 1]), "torn at any byte")
    }

    @Test func aUnitMayHaveAnyOfTheContentsSinceTheLastSync() throws {
        let disk = SimulatedDisk()
        let file = try durableFile(disk)
        try write([2, 2], at: 0, to: file)
        try write([3], at: 0, to: file)
        let found = outcomes(disk)
        for head in [[1, 1], [2, 2], [3, 2]] as [[UInt8]] {
            #expect(found.contains(head + [1, 1, 1, 1, 1, 1]))
        }
    }

    @Test func sizeAndContentArriveApart() throws {
        let disk = SimulatedDisk()
        let file = try durableFile(disk)
        try write([2, 2, 2, 2], at: 8, to: file)
        let found = outcomes(disk)
        let old: [UInt8] = [1, 1, 1, 1, 1, 1, 1, 1]
        #expect(found.contains(old), "neither")
        #expect(found.contains(old + [0, 0, 0, 0]), "the size without the content")
        #expect(found.contains(old + [2, 2, 2, 2]), "both")
        #expect(found.contains { $0?.count == 12 && $0?.suffix(4).max() ?? 0 > 2 }, "garbage")
    }

    @Test func aFileThatWasCutIsLongAgainUnlessTheSizeIsSynced() throws {
        let disk = SimulatedDisk()
        let file = try durableFile(disk)
        try file.truncate(to: 4)
        try write([2], at: 4, to: file)
        try file.sync(.data)
        #expect(outcomes(disk).contains([1, 1, 1, 1, 2]))
        #expect(outcomes(disk).contains { $0?.count == 8 })
        try file.sync(.everything)
        #expect(outcomes(disk) == [[1, 1, 1, 1, 2]])
    }

    @Test func afterAFailedSyncPagesAreReadAndGone() throws {
        let disk = SimulatedDisk()
        let file = try durableFile(disk)
        try write([2, 2, 2, 2], at: 0, to: file)
        disk.inject(.syncLosesPages, at: disk.calls.count)
        #expect(throws: DiskError.self) { try file.sync(.data) }
        try file.sync(.data)
        #expect(disk.state.bytes(path) == [2, 2, 2, 2, 1, 1, 1, 1], "still read")
        #expect(outcomes(disk).contains([1, 1, 1, 1, 1, 1, 1, 1]), "a later sync does not help")
        try write([2, 2, 2, 2], at: 0, to: file)
        try file.sync(.data)
        #expect(outcomes(disk) == [[2, 2, 2, 2, 1, 1, 1, 1]], "writing again does")
    }

    @Test func aRenameMayComeBeforeTheDataOfWhatItNames() throws {
        let disk = SimulatedDisk()
        _ = try durableFile(disk)
        let other = try disk.open("/b", .create)
        try write([9], at: 0, to: other)
        try disk.rename("/b", to: path)
        let found = outcomes(disk)
        #expect(found.contains([1, 1, 1, 1, 1, 1, 1, 1]), "not renamed")
        #expect(found.contains([]), "renamed, without its data")
        #expect(found.contains([9]), "renamed, with it")
    }

    @Test func readsFailAndFlipBitsOnDemand() throws {
        let disk = SimulatedDisk()
        let file = try durableFile(disk)
        disk.inject(.flips(bit: 9), atRead: 0)
        disk.inject(.fails(.ioError), atRead: 1)
        var buffer = ByteBuffer()
        _ = try file.read(at: 0, upTo: 2, into: &buffer)
        #expect(buffer.bytes.copied() == [1, 3])
        #expect(throws: DiskError.self) { try file.read(at: 0, upTo: 2, into: &buffer) }
        buffer.reset()
        _ = try file.read(at: 0, upTo: 2, into: &buffer)
        #expect(buffer.bytes.copied() == [1, 1])
    }

    @Test func aShortWriteLeavesItsFirstBytes() throws {
        let disk = SimulatedDisk()
        let file = try durableFile(disk)
        disk.inject(.short(1), at: disk.calls.count)
        disk.inject(.fails(.noSpace), at: disk.calls.count + 1)
        #expect(throws: DiskError.self) { try write([2, 2], at: 0, to: file) }
        #expect(disk.state.bytes(path) == [2, 1, 1, 1, 1, 1, 1, 1])
    }
}
