import SystemPackage
import Testing
import WALTestSupport

@testable import WAL

/// What is asked of files above the seam.
@Suite struct DiskFileTests {
    private let path: FilePath = "/file"

    private func file(_ bytes: [UInt8]) throws -> (MemoryDisk, any DiskFile) {
        let disk = MemoryDisk()
        disk.put(bytes, at: path)
        return (disk, try disk.open(path, .read))
    }

    // MARK: Zeros

    @Test func onlyZerosAreZero() throws {
        let size = 600_000
        for place in [0, 1, 511, 512, 1535, 1536, 300_000, 599_999] {
            var bytes = [UInt8](repeating: 0, count: size)
            bytes[place] = 1
            let (_, file) = try file(bytes)
            #expect(try !file.isZero(0..<UInt64(size)), "\(place)")
            #expect(try file.isZero(0..<UInt64(place)), "\(place)")
            #expect(try file.isZero(UInt64(place + 1)..<UInt64(size)), "\(place)")
        }
    }

    @Test func whatIsGoneIsNotZero() throws {
        let (disk, file) = try file([UInt8](repeating: 0, count: 4096))
        #expect(try file.isZero(0..<4096))
        #expect(try file.isZero(4096..<4096))
        #expect(try !file.isZero(0..<4097))
        #expect(try !file.isZero(4096..<4097))
        disk.change(path) { $0.removeLast() }
        #expect(try !file.isZero(0..<4096))
    }

    @Test func readsThatBringLessThanWasAskedForAreGoneOnWith() throws {
        let (disk, file) = try file([UInt8](repeating: 0, count: 4096))
        disk.follow { $0.operation == .read ? .partial(7) : nil }
        #expect(try file.isZero(0..<4096))
    }
}
