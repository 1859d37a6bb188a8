import SystemPackage
import Testing
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
        _ disk: MemoryDisk, base: UInt64, byRuns: Bool, chunkBytes: Int = FrameWalker.chunkBytes
    ) throws -> Walked {
        let file = try disk.open(LogImage.directory.appending(SegmentName.activeName), .read)
        defer { file.close() }
        var walker = FrameWalker(file, to: try file.status().size, chunkBytes: chunkBytes)
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
            #expect(CRC32.of(array: whole) == FrameWalker.residue)
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
