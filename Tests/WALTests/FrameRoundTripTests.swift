import Testing
import TestSupport
import WALTestSupport

@testable import WAL

/// What the encoder writes, the decoder reads back, field by field and byte by byte.
@Suite struct FrameRoundTripTests {
    private let place = FrameEncoder.Place(
        id: 0x0102_0304_0506_0708, position: 0x1112_1314_1516_1718,
        timestamp: 0x2122_2324_2526_2728, commitIndex: 0x3132_3334)

    private func encode(_ message: TestMessage) throws -> [UInt8] {
        var buffer = ByteBuffer()
        let size = message.withMessage { message -> Int? in
            guard let size = FrameEncoder.frameBytes(message) else { return nil }
            FrameEncoder.append(message, frameBytes: size, at: place, to: &buffer)
            return size
        }
        #expect(buffer.count == (try #require(size)))
        return buffer.bytes.copied()
    }

    private func check(_ message: TestMessage) throws {
        let bytes = try encode(message)
        let frame = try FrameDecoder.decode(array: bytes).get()
        #expect(frame.fields.id == place.id)
        #expect(frame.fields.position == place.position)
        #expect(frame.fields.timestamp == place.timestamp)
        #expect(frame.fields.commitIndex == place.commitIndex)
        #expect(frame.bytes == bytes.count)
        #expect(frame.nextID == place.id + 1)
        #expect(frame.isMessage)
        #expect(!frame.isMark)
        #expect(Array(bytes[frame.payload]) == message.payload)
        #expect(frame.key.map { Array(bytes[$0]) } == message.key)
        let block = bytes[frame.headers ?? 0..<0]
        let headers = HeaderBlock.headers(RawSpan(of: Array(block)))
        #expect(headers == message.headers)
        #expect((frame.headers != nil) == !message.headers.isEmpty)
        let stored = StoredMessage(frame, in: RawSpan(of: bytes))
        let parts = (stored.payload.copied(), stored.key.copied(), stored.headers)
        #expect(parts.0 == message.payload)
        #expect(parts.1 == message.key ?? [])
        #expect(parts.2 == message.headers)
        let (hasKey, hasHeaders) = (stored.hasKey, stored.hasHeaders)
        #expect(hasKey == (message.key != nil))
        #expect(hasHeaders == !message.headers.isEmpty)
    }

    @Test func everyCombinationOfPartsComesBack() throws {
        let payloads: [[UInt8]] = [[], [0], Array("payload".utf8), .init(repeating: 0, count: 99)]
        let keys: [[UInt8]?] = [nil, [0], Array("key".utf8), .init(repeating: 7, count: 65_535)]
        let headers: [[MessageHeader]] = [
            [], [MessageHeader("a", "")], [MessageHeader("n", "v"), MessageHeader("n", "v")],
            [MessageHeader(name: .init(repeating: 1, count: 65_535), value: [])],
            [MessageHeader(name: [0], value: .init(repeating: 0, count: 70_000))],
        ]
        for payload in payloads {
            for key in keys {
                for headers in headers {
                    try check(TestMessage(payload, key: key, headers: headers))
                }
            }
        }
    }

    @Test func asManyHeadersAsTheirCountCanTellComeBack() throws {
        let headers = (0..<65_535).map { _ in MessageHeader(name: [1], value: []) }
        try check(TestMessage([1], headers: headers))
        let tooMany = headers + [MessageHeader(name: [1], value: [])]
        #expect(size(TestMessage([1], headers: tooMany)) == nil)
    }

    private func size(_ message: TestMessage) -> Int? {
        message.withMessage { FrameEncoder.frameBytes($0) }
    }

    @Test func theLargestFrameComesBackAndOneByteMoreIsRefused() throws {
        let largest = FrameLayout.largestFrame - FrameLayout.smallestFrame
        let payload = [UInt8](repeating: 0xA5, count: largest)
        try check(TestMessage(payload))
        #expect(size(TestMessage(payload)) == FrameLayout.largestFrame)
        #expect(size(TestMessage(payload + [0])) == nil)
        // The key with its length takes from the payload's room.
        #expect(size(TestMessage(payload, key: [1])) == nil)
        #expect(size(TestMessage(.init(payload.dropLast(3)), key: [1])) != nil)
        let header = MessageHeader(name: [1], value: [])
        #expect(size(TestMessage(.init(payload.dropLast(12)), headers: [header])) == nil)
        #expect(size(TestMessage(.init(payload.dropLast(13)), headers: [header])) != nil)
    }

    @Test func impossibleKeysAndHeaderNamesAreRefused() {
        #expect(size(TestMessage([], key: [])) == nil)
        #expect(size(TestMessage([], key: .init(repeating: 0, count: 65_536))) == nil)
        let empty = MessageHeader(name: [], value: [1])
        #expect(size(TestMessage([], headers: [empty])) == nil)
        let long = MessageHeader(name: .init(repeating: 1, count: 65_536), value: [])
        #expect(size(TestMessage([], headers: [long])) == nil)
        let value = [UInt8](repeating: 0, count: FrameLayout.largestFrame)
        #expect(size(TestMessage([], headers: [MessageHeader(name: [1], value: value)])) == nil)
    }

    @Test func aMarkTakesNoIDAndComesBack() throws {
        for id in [0, 1, 1 << 40, UInt64.max] {
            var buffer = ByteBuffer()
            FrameEncoder.appendMark(at: .init(id: id, position: 5, timestamp: 6), to: &buffer)
            #expect(buffer.count == FrameLayout.smallestFrame)
            let frame = try FrameDecoder.decode(buffer.bytes).get()
            #expect(frame.isMark)
            #expect(!frame.isMessage)
            #expect(frame.nextID == id)
            #expect(frame.fields.id == id)
            #expect(frame.fields.durableBelow == id)
            #expect(frame.payload.isEmpty)
        }
    }

    @Test func lostFramesOfEverySmallSizeComeBack() throws {
        for size in FrameLayout.smallestFrame...200 {
            let counts: [UInt64] = size >= 46 ? [1, 2, 300, UInt64.max - 9] : [1]
            for count in counts {
                var buffer = ByteBuffer()
                FrameEncoder.appendLost(
                    count, frameBytes: size, at: .init(id: 8, position: 5, timestamp: 6),
                    to: &buffer)
                #expect(buffer.count == size)
                let frame = try FrameDecoder.decode(buffer.bytes).get()
                #expect(frame.lost == count)
                #expect(frame.nextID == 8 + count)
                #expect(!frame.isMessage)
                #expect(!frame.isMark)
                #expect(frame.payload.isEmpty)
            }
        }
    }

    @Test func theLargestLostFrameComesBack() throws {
        var buffer = ByteBuffer()
        FrameEncoder.appendLost(
            12, frameBytes: FrameLayout.largestFrame,
            at: .init(id: 8, position: 5, timestamp: 6), to: &buffer)
        let frame = try FrameDecoder.decode(buffer.bytes).get()
        #expect(frame.lost == 12)
        #expect(frame.bytes == FrameLayout.largestFrame)
    }

    @Test func everyIntegerIsLittleEndianWhereTheLayoutSaysSo() throws {
        let bytes = try encode(TestMessage([0xEE], key: [0xDD]))
        let expected: [UInt8] =
            (38 + 1 + 3 - 4 as UInt32).littleEndianBytes + place.id.littleEndianBytes
            + place.position.littleEndianBytes + place.timestamp.littleEndianBytes
            + place.commitIndex.littleEndianBytes + [1, 0] + [1, 0, 0xDD] + [0xEE]
        #expect(Array(bytes.dropLast(4)) == expected)
        let crc = CRC32.of(array: expected)
        #expect(Array(bytes.suffix(4)) == crc.littleEndianBytes)
    }

    @Test func theChecksumIsTheOneOfTheStandard() {
        // The check value that every description of CRC-32 gives.
        #expect(CRC32.of(array: Array("123456789".utf8)) == 0xCBF4_3926)
        #expect(CRC32.of(array: []) == 0)
        var random = Seeded(1)
        for _ in 0..<200 {
            let a = random.bytes(Int.random(in: 0..<300, using: &random))
            let b = random.bytes(Int.random(in: 0..<300, using: &random))
            let whole = CRC32.of(array: a + b)
            let first = CRC32.of(array: a)
            let continued = CRC32.of(RawSpan(of: b), continuing: first)
            #expect(continued == whole)
            let second = CRC32.of(array: b)
            #expect(CRC32.shift(first, by: b.count) ^ second == whole)
        }
    }

    @Test func prefixChecksumsAgreeWithPlainOnes() {
        var random = Seeded(2)
        let window = random.bytes(70_000)
        var held = ByteBuffer()
        held.append(RawSpan(of: window))
        var checksums = PrefixChecksum()
        for round in 0..<400 {
            if round % 100 == 0 { checksums.reset() }
            let from = Int.random(in: 0..<window.count, using: &random)
            let to = Int.random(in: from...window.count, using: &random)
            let sum = checksums.of(from..<to, in: held)
            let plain = CRC32.of(held.bytes.extracting(from..<to))
            #expect(sum == plain)
        }
    }
}
