import SystemPackage
import Testing
import TestSupport
import Threads
import WALTestSupport

@testable import WAL

/// Frames checked by the run are judged as frames checked one by one.
@Suite struct FrameRunTests {
    /// What a walk has taken, and where it stopped.
    private struct Walked: Equatable {
        var frames: [DecodedFrame] = []
        var bytes: [[UInt8]] = []
        var end: UInt64 = 0
    }

    private func disk(_ bytes: [UInt8]) -> MemoryDisk {
        LogImage(files: [(SegmentName.activeName, bytes)]).disk()
    }

    private func walk(
        _ disk: MemoryDisk, base: UInt64, byRuns: Bool, chunkBytes: Int = FrameWalker.chunkBytes,
        helper: ReadAhead.Helper? = nil
    ) throws -> Walked {
        let file = try disk.open(LogImage.directory.appending(SegmentName.activeName), .read)
        defer { file.close() }
        let size = try file.status().size
        let ahead = helper.map {
            ReadAhead(file, to: size, chunkBytes: chunkBytes, helper: $0)
        }
        defer { ahead?.stop() }
        var walker = FrameWalker(file, to: size, chunkBytes: chunkBytes, ahead: ahead)
        var walked = Walked()
        var id: UInt64 = 0
        while true {
            if byRuns {
                guard try walker.advance(id: id, base: base) else {
                    // What it does not take is left to the other way of walking.
                    guard case .frame(let frame) = try walker.next(id: id, base: base) else {
                        break
                    }
                    walked.frames.append(frame)
                    walked.bytes.append(walker.frameBytes.copied())
                    id = frame.nextID
                    continue
                }
                walked.frames.append(walker.frame)
            } else {
                guard case .frame(let frame) = try walker.next(id: id, base: base) else { break }
                walked.frames.append(frame)
            }
            walked.bytes.append(walker.frameBytes.copied())
            id = walked.frames[walked.frames.count - 1].nextID
        }
        walked.end = walker.offset
        return walked
    }

    @Test func theResidueIsThatOfAnyDataWithItsChecksum() {
        var random = Seeded(7)
        for count in [0, 1, 34, 1000] {
            let data = random.bytes(count)
            let whole = data + CRC32.of(array: data).littleEndianBytes
            #expect(CRC32.of(array: whole) == FrameRun.residue)
        }
    }

    @Test func aWholeSegmentIsTakenByRunsAlone() throws {
        for shape in Shape.all(bytes: 200_000, payload: 300) {
            let segment = shape.segment
            let disk = disk(segment.bytes)
            let file = try disk.open(LogImage.directory.appending(SegmentName.activeName), .read)
            var walker = FrameWalker(file, to: UInt64(segment.bytes.count))
            var id: UInt64 = 0
            for placed in segment.frames {
                let taken = try walker.advance(id: id, base: segment.base)
                #expect(taken, "\(shape.name), \(placed.range)")
                #expect(walker.frameBytes.copied() == Array(segment.bytes[placed.range]))
                id = walker.frame.nextID
            }
            let more = try walker.advance(id: id, base: segment.base)
            #expect(!more)
        }
    }

    @Test func bothWaysOfWalkingAgreeWhateverIsDamaged() throws {
        var random = Seeded(8)
        for shape in Shape.all(bytes: 60_000, payload: 200) {
            for round in 0..<12 {
                var bytes = shape.segment.bytes
                // One place, then several in one run, where deviations could cancel out.
                for _ in 0...(round % 4) {
                    let place = Int.random(in: 0..<bytes.count, using: &random)
                    switch round % 3 {
                    case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                    case 1:
                        let end = min(place + 512, bytes.count)
                        bytes.replaceSubrange(
                            place..<end, with: [UInt8](repeating: 0, count: end - place))
                    default: bytes.removeLast(min(bytes.count - 40, place / 8))
                    }
                }
                let disk = disk(bytes)
                for chunkBytes in [1, 4096, FrameWalker.chunkBytes] {
                    let base = shape.segment.base
                    let byRuns = try walk(disk, base: base, byRuns: true, chunkBytes: chunkBytes)
                    let single = try walk(disk, base: base, byRuns: false, chunkBytes: chunkBytes)
                    #expect(byRuns == single, "\(shape.name), round \(round)")
                }
            }
        }
    }

    /// The jobs that were given away, to be done when it suits the test.
    private final class Jobs: Sendable {
        private let waiting = Monitor<[@Sendable () -> Void]>([])
        private let taken = Monitor(0)

        var count: Int { taken.withLock { $0 } }

        func keep(_ job: @escaping @Sendable () -> Void) -> Bool {
            waiting.withLock { $0.append(job) }
            taken.withLock { $0 += 1 }
            return true
        }

        func doAll() {
            let jobs = waiting.withLock { jobs in
                defer { jobs = [] }
                return jobs
            }
            for job in jobs { job() }
        }
    }

    @Test func helpChangesNothingOfWhatAWalkFinds() throws {
        var random = Seeded(11)
        let host = LogHost()
        defer { host.shutdown() }
        let jobs = Jobs()
        let helpers: [ReadAhead.Helper] = [
            // Done before the walk goes on, by another thread meanwhile, too late, never.
            { job in
                job()
                return true
            },
            { host.handOver($0) },
            { job in
                jobs.doAll()
                return jobs.keep(job)
            },
            { _ in false },
        ]
        for shape in Shape.all(bytes: 60_000, payload: 200) {
            for round in 0..<8 {
                var bytes = shape.segment.bytes
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch round % 4 {
                case 0: break
                case 1: bytes[place] ^= 0x20
                case 2: bytes.removeLast(bytes.count - max(place, 40))
                default:
                    bytes.replaceSubrange(place..<min(place + 512, bytes.count), with: [])
                }
                let disk = disk(bytes)
                let base = shape.segment.base
                let alone = try walk(disk, base: base, byRuns: true)
                for chunkBytes in [64, 1000, 4096, 32 << 10] {
                    for (index, helper) in helpers.enumerated() {
                        let helped = try walk(
                            disk, base: base, byRuns: true, chunkBytes: chunkBytes, helper: helper)
                        #expect(
                            helped == alone, "\(shape.name), round \(round), helper \(index)")
                    }
                }
            }
        }
        #expect(jobs.count > 0)
        jobs.doAll()
    }

    @Test func halfOfALongSegmentIsCheckedByTheHelper() throws {
        var segment = SegmentBuilder(base: 3)
        for _ in 0..<2_000 { segment.add(TestMessage([UInt8](repeating: 5, count: 200))) }
        let disk = disk(segment.bytes)
        let asked = Monitor(0)
        let walked = try walk(
            disk, base: 3, byRuns: true, chunkBytes: 8192,
            helper: { job in
                asked.withLock { $0 += 1 }
                job()
                return true
            })
        #expect(walked.frames.count == segment.frames.count)
        let chunks = segment.bytes.count / 8192
        #expect((chunks / 2 - 2...chunks / 2 + 2).contains(asked.withLock { $0 }))
    }

    @Test func stoppingWaitsForWhoeverReadsTheFile() throws {
        var segment = SegmentBuilder(base: 3)
        for _ in 0..<200 { segment.add(TestMessage([UInt8](repeating: 5, count: 200))) }
        let disk = disk(segment.bytes)
        let file = try disk.open(LogImage.directory.appending(SegmentName.activeName), .read)
        let thread = Monitor<OwnedThread?>(nil)
        let size = try file.status().size
        let ahead = ReadAhead(
            file, to: size, chunkBytes: 4096,
            helper: { job in
                thread.withLock { $0 = OwnedThread(job) }
                return true
            })
        for _ in 0..<50 {
            ahead.ask(from: 0)
            ahead.stop()
            thread.withLock { $0 }?.join()
            // Whether the thread came to it or not: nothing is under way, and the next can be
            // asked.
            var buffer = ByteBuffer()
            _ = ahead.take(from: 0, into: &buffer)
        }
        file.close()
    }

    @Test func theSameErrorInTwoFramesOfARunDoesNotCancelOut() throws {
        var segment = SegmentBuilder(base: 77)
        for _ in 0..<20 { segment.add(TestMessage([UInt8](repeating: 9, count: 100))) }
        for (one, other) in [(3, 4), (3, 5), (1, 19)] {
            var bytes = segment.bytes
            for frame in [one, other] { bytes[segment.frames[frame].range.lowerBound + 60] ^= 0x10 }
            let walked = try walk(disk(bytes), base: segment.base, byRuns: true)
            #expect(walked.end == UInt64(segment.frames[one].range.lowerBound))
        }
    }

    @Test func aPlaceWithinACheckedRunIsNoFrame() throws {
        var segment = SegmentBuilder(base: 5)
        segment.add(TestMessage("first"))
        // Right in every field but its checksum.
        let start = segment.frames[1].range.upperBound + FrameLayout.fixedBytes
        var copy = RawFrame(id: 1, position: 5 + UInt64(start))
        copy.crc = 0
        segment.add(TestMessage(copy.bytes))
        segment.add(TestMessage("last"))
        let disk = disk(segment.bytes)
        let file = try disk.open(LogImage.directory.appending(SegmentName.activeName), .read)
        var walker = FrameWalker(file, to: UInt64(segment.bytes.count))
        let first = try walker.advance(id: 0, base: segment.base)
        #expect(first)
        walker.seek(to: UInt64(start))
        let second = try walker.advance(id: 1, base: segment.base)
        #expect(!second)
    }
}
