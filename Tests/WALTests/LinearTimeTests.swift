import Glibc
import Testing
import WALTestSupport

@testable import WAL

/// A log may be made so that examining it takes long; it has to be linear all the same. The time of
/// four times as much is compared with that of one, in processor time of this thread; the square
/// would be sixteen times as much.
@Suite(.serialized) struct LinearTimeTests {
    /// Damaged places, and behind them frames of falling ids that each prove something else.
    private func manyProofs(_ count: Int) -> LogImage {
        var segment = SegmentBuilder()
        for number in 0..<count {
            segment.add(TestMessage("x"))
            guard number > 0 else { continue }
            // Every second message has a bit flipped.
            if number % 2 == 0 { segment.bytes[segment.bytes.count - 5] ^= 1 }
        }
        let end = UInt64(count)
        for number in 0..<count {
            let frame = RawFrame(
                id: 3 * end - UInt64(number), position: segment.position, presence: [],
                body: [])
            segment.add(raw: frame.bytes, ids: 0)
        }
        return LogImage(files: [(SegmentName.activeName, segment.bytes)])
    }

    /// Damaged places that each claim a frame as large as all that follows.
    private func largeClaims(_ count: Int) -> LogImage {
        var segment = SegmentBuilder()
        let claim = UInt32(FrameLayout.largestFrame / 4)
        for number in 0..<count {
            let frame = RawFrame(
                id: UInt64(2 * number), position: segment.position, presence: [], body: [])
            segment.add(raw: frame.bytes, ids: 0)
            segment.add(garbage: claim.littleEndianBytes + [UInt8](repeating: 0xAA, count: 34))
        }
        let last = RawFrame(
            id: UInt64(2 * count), position: segment.position, presence: [], body: [])
        segment.add(raw: last.bytes, ids: 0)
        // So that the claims do not lead past the end.
        segment.add(garbage: [UInt8](repeating: 0xBB, count: FrameLayout.largestFrame / 4))
        return LogImage(files: [(SegmentName.activeName, segment.bytes)])
    }

    /// Processor time of this thread in nanoseconds: what other threads do does not count.
    private func time(_ image: LogImage) throws -> Double {
        func now() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
        }
        let disk = image.disk()
        var best = Double.infinity
        for _ in 0..<2 {
            var examiner = LogExaminer(
                disk: disk, directory: LogImage.directory, knownDurable: nil)
            let listing = SegmentListing(try disk.list(LogImage.directory))
            let start = now()
            _ = try examiner.examine(listing)
            best = min(best, now() - start)
        }
        return best
    }

    @Test func manyDamagedPlacesWithManyProofsBehindThemAreExaminedInLinearTime() throws {
        let one = try time(manyProofs(4_000))
        let four = try time(manyProofs(16_000))
        #expect(four < 8 * one, "\(four / 1e6) ms after \(one / 1e6) ms")
    }

    @Test func manyDamagedPlacesThatClaimLargeFramesAreExaminedInLinearTime() throws {
        let one = try time(largeClaims(1_000))
        let four = try time(largeClaims(4_000))
        #expect(four < 8 * one, "\(four / 1e6) ms after \(one / 1e6) ms")
    }
}
