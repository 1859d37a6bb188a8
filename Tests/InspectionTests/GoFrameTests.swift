import Inspection
import Testing
import WAL

@Suite("Go frame") struct GoFrameTests {
    private func decode(_ bytes: [UInt8]) -> Result<GoFrame, GoFrameFault> {
        GoFrameDecoder.decode(RawSpan(of: bytes))
    }

    @Test func theNumbersOfTheLayoutAgree() {
        typealias Layout = GoFrameLayout
        let fixed = Layout.key + Layout.payloadLengthBytes + Layout.crcBytes
        #expect(Layout.smallestFrame == fixed)
        #expect(Int(Layout.lengths.lowerBound) == fixed - Layout.lengthBytes)
        #expect(Int(Layout.lengths.upperBound) == 4 << 20)
        #expect(Layout.largestFrame == Int(Layout.lengths.upperBound) + Layout.lengthBytes)
        #expect(GoBytes.frame(0).count == Layout.smallestFrame)
    }

    @Test func allFieldsAreRead() throws {
        let bytes = GoBytes.frame(
            7, key: "ключ", payload: [1, 2, 3], timestamp: .max, visibleAt: 9)
        let frame = try decode(bytes).get()
        #expect(frame.id == 7)
        #expect(frame.timestamp == .max)
        #expect(frame.visibleAt == 9)
        #expect(frame.frameBytes == bytes.count)
        #expect(frame.key.map { Array(bytes[$0]) } == GoBytes.text("ключ"))
        #expect(Array(bytes[frame.payload]) == [1, 2, 3])
    }

    @Test func absentIsNotZero() throws {
        let plain = try decode(GoBytes.frame(0)).get()
        #expect(plain.key == nil)
        #expect(plain.visibleAt == nil)
        #expect(plain.payload.isEmpty)
        #expect(try decode(GoBytes.frame(0, visibleAt: 0)).get().visibleAt == 0)
    }

    @Test func whatFollowsTheFrameIsNotPartOfIt() throws {
        let bytes = GoBytes.frame(1, payload: [5]) + [0xff, 0xff]
        #expect(try decode(bytes).get().frameBytes == bytes.count - 2)
    }

    @Test func everyTruncationIsALengthFault() {
        let bytes = GoBytes.frame(1, key: "k", payload: [1, 2, 3], visibleAt: 4)
        for length in 0..<bytes.count {
            guard case .failure(.length) = decode(Array(bytes[..<length])) else {
                Issue.record("\(length) bytes")
                continue
            }
        }
    }

    @Test func everyFlippedBitIsAFault() {
        let bytes = GoBytes.frame(1, key: "k", payload: [1, 2, 3], visibleAt: 4)
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            if case .success = decode(flipped) { Issue.record("bit \(bit)") }
        }
    }

    @Test func aLengthOutOfBoundsIsNotFollowed() {
        for length: UInt32 in [0, 25, 4_194_305, .max] {
            let bytes = GoBytes.little(length) + Array(repeating: 0, count: 64)
            #expect(decode(bytes) == .failure(.length(length)))
        }
    }

    @Test func theLargestFrameIsRead() throws {
        let payload = [UInt8](repeating: 1, count: GoFrameLayout.largestFrame - 30)
        #expect(try decode(GoBytes.frame(1, payload: payload)).get().payload.count == payload.count)
        guard case .failure(.length) = decode(GoBytes.frame(1, payload: payload + [1])) else {
            Issue.record("a frame that is too large was accepted")
            return
        }
    }

    @Test func partsThatDoNotFitExactlyAreAnInnerFault() {
        let fixed = GoBytes.little(UInt64(3)) + GoBytes.little(UInt64(4))
        func body(key: UInt16, _ keyBytes: Int, payload: UInt32, _ rest: Int) -> [UInt8] {
            fixed + GoBytes.little(key) + Array(repeating: 1, count: keyBytes)
                + GoBytes.little(payload) + Array(repeating: 2, count: rest)
        }
        for misfit in [
            body(key: 1, 0, payload: 0, 0), body(key: .max, 0, payload: 0, 0),
            body(key: 0, 0, payload: 1, 0), body(key: 0, 0, payload: .max, 5),
            body(key: 0, 0, payload: 0, 1), body(key: 0, 0, payload: 0, 7),
            body(key: 0, 0, payload: 0, 9), body(key: 0, 0, payload: 0, 16),
            body(key: 3, 3, payload: 9, 8),
        ] {
            let bytes = GoBytes.sealed(misfit)
            #expect(decode(bytes) == .failure(.inner(id: 3, frameBytes: bytes.count)))
        }
        // Exactly eight bytes are a delay; that the payload could claim them too is no matter.
        #expect((try? decode(GoBytes.sealed(body(key: 0, 0, payload: 0, 8))).get()) != nil)
        #expect((try? decode(GoBytes.sealed(body(key: 0, 0, payload: 8, 8))).get()) != nil)
    }

    @Test func anIDWithoutASuccessorIsAnInnerFault() {
        let bytes = GoBytes.frame(.max)
        #expect(decode(bytes) == .failure(.inner(id: .max, frameBytes: bytes.count)))
        #expect((try? decode(GoBytes.frame(.max - 1)).get())?.nextID == .max)
    }
}
