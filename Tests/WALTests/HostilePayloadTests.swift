import SystemPackage
import Testing
import WALTestSupport

@testable import WAL

/// Payloads that look like frames. A payload never changes a verdict: what counts stands where it
/// says that it stands, and nobody outside knows where that is.
@Suite(.timeLimit(.minutes(10))) struct HostilePayloadTests {
    /// Makes the payload for the frame that begins at `position` with `id`, in a log whose bytes so
    /// far are `before`.
    private typealias Maker =
        @Sendable (_ id: UInt64, _ position: UInt64, _ before: [UInt8]) -> [UInt8]

    private static let makers: [(String, Maker)] = [
        ("plain", { _, _, _ in .init(repeating: 0x41, count: 500) }),
        ("zeros", { _, _, _ in .init(repeating: 0, count: 500) }),
        ("ones", { _, _, _ in .init(repeating: 0xFF, count: 500) }),
        ("copies of the frames before", { _, _, before in Array(before.suffix(900)) }),
        ("the segment so far", { _, _, before in before }),
        (
            "a frame with the next id and the position of the frame around it",
            { id, position, _ in
                RawFrame(id: id + 1, position: position, body: [1, 2]).bytes
            }
        ),
        (
            "the frame that is being written",
            { id, position, _ in RawFrame(id: id, position: position, body: [7]).bytes }
        ),
        (
            "marks and newer frames one byte off their place",
            { id, position, _ in
                var newer = RawFrame(id: id, position: position + 33)
                newer.presence = 0x4000
                let mark = RawFrame(id: id + 5, position: position + 73, presence: .mark)
                return newer.bytes + mark.bytes
            }
        ),
        (
            "a frame of a later commit from another log",
            { id, _, _ in RawFrame(id: id + 100, position: 99, body: [1]).bytes }
        ),
    ]

    private func segment(_ maker: Maker, messages: Int = 4) -> SegmentBuilder {
        var segment = SegmentBuilder(firstID: 10)
        for _ in 0..<messages {
            let payload = maker(segment.nextID, segment.position, segment.bytes)
            segment.add(TestMessage(payload))
        }
        return segment
    }

    @Test func theVerdictOfASoundLogDoesNotDependOnItsPayloads() throws {
        for (name, maker) in HostilePayloadTests.makers {
            let found = try LogImage(segment(maker)).examine()
            #expect(found.verdict == .clean, "\(name)")
            #expect(found.nextID == 14, "\(name)")
        }
    }

    @Test func aTearWithinAPayloadIsATearWhateverThePayload() throws {
        for (name, maker) in HostilePayloadTests.makers {
            let whole = segment(maker)
            let last = try #require(whole.frames.last).range
            var verdicts: Set<Verdict> = []
            for size in last.lowerBound + 1..<last.upperBound {
                let cut = Array(whole.bytes.prefix(size))
                let found = try LogImage(files: [(SegmentName.activeName, cut)]).examine()
                verdicts.insert(found.verdict)
                #expect(found.nextID == 13, "\(name) at \(size)")
            }
            #expect(verdicts == [.torn], "\(name)")
            // And with the rest of it never written, the size having arrived: zeros.
            for size in stride(from: last.lowerBound + 4, to: last.upperBound - 4, by: 3) {
                var holed = whole.bytes
                holed.replaceSubrange(
                    size..., with: repeatElement(0, count: holed.count - size))
                let found = try LogImage(files: [(SegmentName.activeName, holed)]).examine()
                #expect(found.verdict == .torn, "\(name) at \(size)")
                #expect(found.nextID == 13, "\(name) at \(size)")
            }
        }
    }

    @Test func damageBeforeAPayloadIsJudgedByTheFramesAroundItOnly() throws {
        for (name, maker) in HostilePayloadTests.makers {
            var whole = segment(maker)
            let second = whole.frames[2].range
            whole.bytes[second.lowerBound + FrameLayout.timestamp] ^= 1
            let found = try LogImage(whole).examine()
            #expect(found.verdict == .damaged, "\(name)")
            #expect(found.findings.map(\.lost) == [11...11], "\(name)")
            #expect(found.findings.map(\.length) == [UInt64(second.count)], "\(name)")
            #expect(found.nextID == 14, "\(name)")
        }
    }

    @Test func aSearchThroughMisplacedFramesFindsNoneOfThem() throws {
        for (name, maker) in HostilePayloadTests.makers {
            let whole = segment(maker)
            let disk = LogImage(whole).disk()
            let file = try disk.open("/l/segment.log", .read)
            var search = FrameSearch(file, to: UInt64(whole.bytes.count))
            var found: [Int] = []
            var from: UInt64 = 0
            while let (offset, _) = try search.next(from: from, base: whole.base, id: 0) {
                found.append(Int(offset))
                from = offset + 1
            }
            #expect(found == whole.frames.map(\.range.lowerBound), "\(name)")
        }
    }

    /// The worst that a file can hold: at every eighth byte a frame begins that stands where it
    /// says and claims nearly 4 MiB. No payload can be that, since it would have to know the
    /// random start; a search through it has to be linear all the same.
    @Test func aFloodOfFrameStartsInTheirPlacesIsSearchedInLinearTime() throws {
        // The upper half of a position is the length field of the candidate 16 bytes before.
        let base: UInt64 = 4_000_000 << 32
        let size = 12 << 20
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size)
        while bytes.count < size {
            // The position field of the candidate that begins 12 bytes before it.
            let value = base + UInt64(bytes.count) - 12
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        let image = LogImage(files: [(SegmentName.activeName, bytes)])
        let disk = image.disk()
        let file = try disk.open("/l/segment.log", .read)
        var isHit = false
        // The bytes are read once, not once for every candidate. To check every claim to its end
        // would take hours even in memory: 1.5 million claims of 4 MB, which no time limit allows.
        let read = try disk.bytesRead {
            var search = FrameSearch(file, to: UInt64(size))
            isHit = try search.next(from: 1, base: base, id: 0) != nil
        }
        #expect(!isHit)
        #expect(read <= 2 * size)
    }

    @Test func aFrameFullOfFrameStartsIsTornInLinearTime() throws {
        // Starts of frames in their places with lengths up to the largest, and no crc that holds.
        var segment = SegmentBuilder()
        segment.add(TestMessage("before"))
        let payloadAt = segment.position + UInt64(FrameLayout.fixedBytes)
        var payload: [UInt8] = []
        let room = FrameLayout.largestFrame - FrameLayout.smallestFrame
        while payload.count + 38 <= room {
            var start = RawFrame(
                id: segment.nextID + 7, position: payloadAt + UInt64(payload.count))
            start.length = 4_194_300 - UInt32(payload.count % 4_000_000)
            start.crc = 1
            payload += start.bytes
        }
        payload += [UInt8](repeating: 0, count: room - payload.count)
        segment.add(TestMessage(payload))
        segment.bytes.removeLast(1)
        let disk = LogImage(segment).disk()
        var found = Examination()
        // 110,000 claims, each of them up to the whole frame.
        let read = try disk.bytesRead { found = try disk.examine() }
        #expect(found.verdict == .torn)
        #expect(found.nextID == 1)
        #expect(read <= 4 * segment.bytes.count, "\(read) of \(segment.bytes.count)")
    }
}
