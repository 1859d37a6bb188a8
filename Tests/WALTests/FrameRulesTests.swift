import Testing
import TestSupport
import WALTestSupport

@testable import WAL

/// "A frame is valid if and only if": each condition broken alone, the crc mended.
@Suite struct FrameRulesTests {
    private func fault(_ bytes: [UInt8]) -> FrameFault? {
        switch FrameDecoder.decode(array: bytes) {
        case .success: nil
        case .failure(let fault): fault
        }
    }

    private func inner(_ frame: RawFrame) -> InnerFault? {
        if case .inner(let fault, _)? = fault(frame.bytes) { return fault }
        return nil
    }

    private func frame(
        _ presence: Presence = [], _ body: [UInt8] = [], id: UInt64 = 9, index: UInt32 = 0
    ) -> RawFrame {
        RawFrame(id: id, position: 77, commitIndex: index, presence: presence, body: body)
    }

    @Test func aFrameOfTheSmallestSizeIsValid() {
        #expect(fault(frame().bytes) == nil)
    }

    @Test func lengthsOutOfBoundsOrPastTheEndAreRefusedWhateverTheCRC() {
        let body = [UInt8](repeating: 3, count: 60)
        let whole = frame([], body).bytes.count
        var lengths: [UInt32] = [0, 1, 2, 33, 4_194_301, 1 << 31, .max - 1, .max]
        lengths += [UInt32(whole - 4) + 1, UInt32(whole - 4) + 2, 4_194_300]
        for length in lengths {
            var raw = frame([], body)
            raw.length = length
            #expect(fault(raw.bytes) == .length(length))
        }
    }

    @Test func aLengthThatIsTooSmallForItsFrameMovesTheCRC() {
        let body = [UInt8](repeating: 3, count: 60)
        let whole = frame([], body).bytes.count
        for length in 34..<UInt32(whole - 4) {
            var raw = frame([], body)
            raw.length = length
            #expect(fault(raw.bytes) == .crc)
        }
    }

    @Test func everyByteOfAFrameIsNeeded() {
        let whole = frame([], [1, 2, 3]).bytes
        for count in 0..<whole.count {
            let cut = Array(whole.prefix(count))
            let length: UInt32? = count < 4 ? nil : UInt32(whole.count - 4)
            #expect(fault(cut) == .length(length))
        }
        #expect(fault(whole + [9]) == nil, "what follows a frame is not its business")
    }

    @Test func everyFlippedBitIsFound() {
        let whole = frame([.key, .headers], [1, 0, 5, 7, 0, 0, 0, 1, 0, 1, 0, 2, 0, 0]).bytes
        for bit in 0..<whole.count * 8 {
            var flipped = whole
            flipped[bit / 8] ^= 1 << (bit % 8)
            #expect(fault(flipped) != nil, "bit \(bit)")
        }
    }

    @Test func everyUnknownPresenceBitIsNewerWhateverElseIsWrong() {
        for bit in 4..<16 {
            for known in 0..<16 {
                var raw = frame([], [0xFF, 0xFF, 0xFF], id: 3, index: 9)
                raw.presence = 1 << bit | UInt16(known)
                guard case .newer(let fields)? = fault(raw.bytes) else {
                    Issue.record("bit \(bit)")
                    continue
                }
                #expect(fields.id == 3)
                #expect(fields.position == 77)
            }
        }
    }

    @Test func theCommitIndexIsAtMostTheID() {
        for id: UInt64 in [0, 1, 2, 5, 1 << 33] {
            let limit = UInt32(clamping: id)
            #expect(fault(frame(id: id, index: limit).bytes) == nil)
            if UInt64(limit) == id {
                #expect(inner(frame(id: id, index: limit + 1)) == .commitIndex)
                #expect(inner(frame(id: id, index: .max)) == .commitIndex)
            }
        }
    }

    @Test func theIDBehindAFrameIsBelow2To64() {
        #expect(fault(frame(id: .max - 1).bytes) == nil)
        #expect(inner(frame(id: .max)) == .identifier)
        let count = (5 as UInt64).littleEndianBytes
        #expect(fault(frame(.lost, count, id: .max - 5).bytes) == nil)
        #expect(inner(frame(.lost, count, id: .max - 4)) == .identifier)
        #expect(inner(frame(.lost, UInt64.max.littleEndianBytes, id: 1)) == .identifier)
        #expect(inner(frame(.lost, [], id: .max)) == .identifier)
    }

    @Test func aMarkStandsAlone() {
        #expect(fault(frame(.mark).bytes) == nil)
        #expect(inner(frame(.mark, [0])) == .mark)
        #expect(inner(frame(.mark, index: 1)) == .mark)
        for other: Presence in [.key, .headers, .lost, [.key, .headers, .lost]] {
            #expect(inner(frame(other.union(.mark))) == .mark)
            #expect(inner(frame(other.union(.mark), [1, 0, 7])) == .mark)
        }
    }

    @Test func aLostFrameIsACountAndZeros() {
        let one = (1 as UInt64).littleEndianBytes
        #expect(fault(frame(.lost, one).bytes) == nil)
        #expect(fault(frame(.lost, one + [0, 0, 0]).bytes) == nil)
        #expect(inner(frame(.lost, one + [0, 0, 1])) == .lost)
        #expect(inner(frame(.lost, (0 as UInt64).littleEndianBytes)) == .lost)
        #expect(inner(frame(.lost, one, index: 1)) == .lost)
        for other: Presence in [.key, .headers, [.key, .headers]] {
            #expect(inner(frame(other.union(.lost), one)) == .lost)
        }
        for count in 0..<8 {
            let zeros = [UInt8](repeating: 0, count: count)
            #expect(fault(frame(.lost, zeros).bytes) == nil)
            if count > 0 {
                #expect(inner(frame(.lost, zeros.dropLast() + [1])) == .lost)
            }
        }
    }

    @Test func aKeyIsNeitherEmptyNorLongerThanItsFrame() {
        #expect(fault(frame(.key, [1, 0, 7]).bytes) == nil)
        #expect(fault(frame(.key, [1, 0, 7, 8, 9]).bytes) == nil)
        for body: [UInt8] in [[], [1], [0, 0], [0, 0, 7], [1, 0], [2, 0, 7], [255, 255, 7]] {
            #expect(inner(frame(.key, body)) == .key)
        }
    }

    @Test func headersFillTheirLengthExactly() {
        let name: [UInt8] = [1, 0, 5]
        let value: [UInt8] = [2, 0, 0, 0, 8, 9]
        let one = [1, 0] + name + value
        func block(_ inner: [UInt8], length: UInt32? = nil, then: [UInt8] = []) -> RawFrame {
            frame(.headers, (length ?? UInt32(inner.count)).littleEndianBytes + inner + then)
        }
        #expect(fault(block(one).bytes) == nil)
        #expect(fault(block(one, then: [1, 2, 3]).bytes) == nil, "a payload behind them")
        #expect(fault(block([2, 0] + name + value + name + value).bytes) == nil)
        let broken: [RawFrame] = [
            frame(.headers), frame(.headers, [9]), frame(.headers, [0, 0, 0]),
            block([]), block([1]),
            block([2, 0] + name + value), block([1, 0] + name + value + name + value),
            block([1, 0] + name),
            block([1, 0] + name + [3, 0, 0, 0, 8, 9]), block([1, 0] + name + [1, 0, 0, 0, 8, 9]),
            block([1, 0] + name + [255, 255, 255, 255, 8, 9]),
            block([1, 0, 255, 255] + [5] + value), block([255, 255] + name + value),
            block(one, length: UInt32(one.count) + 1), block(one, length: UInt32(one.count) - 1),
            block(one, length: .max), block(one, length: 1 << 31), block(one + [0]),
            block([1, 0] + name + [2, 0, 0]), block([1, 0, 1]), block([1, 0, 1, 0]),
        ]
        for (number, raw) in broken.enumerated() {
            #expect(inner(raw) == .headers, "case \(number)")
        }
        // They fill it and are refused all the same: the finding says why.
        for raw in [block([0, 0]), block([0, 0] + name + value)] {
            #expect(inner(raw) == .headerCount)
        }
        for inner in [[1, 0, 0, 0] + value, [2, 0] + name + value + [0, 0] + value] {
            #expect(self.inner(block(inner)) == .headerName)
        }
    }

    @Test func headersMayNotReachIntoTheChecksumNorTheKeyIntoTheHeaders() {
        let headers: [UInt8] = [11, 0, 0, 0, 1, 0, 1, 0, 5, 2, 0, 0, 0, 8, 9]
        #expect(fault(frame([.key, .headers], [1, 0, 7] + headers).bytes) == nil)
        #expect(inner(frame([.key, .headers], [2, 0, 7] + headers)) == .headers)
        #expect(inner(frame([.key, .headers], [0, 0] + headers)) == .key)
        #expect(inner(frame([.key, .headers], [1, 0, 7])) == .headers)
        #expect(inner(frame([.key, .headers], headers)) == .headers)
    }

    @Test func partsThatFitAreTakenApartTheSameWayWhateverTheFieldsHold() throws {
        // The crc is all that is checked of the fixed fields besides their rules.
        var random = Seeded(3)
        for _ in 0..<500 {
            var raw = frame(.key, [3, 0, 1, 2, 3, 4], id: random.next() >> 1)
            raw.timestamp = random.next()
            raw.position = random.next()
            raw.commitIndex = UInt32(raw.id & 0xFFFF) / 2
            if UInt64(raw.commitIndex) > raw.id { raw.commitIndex = 0 }
            let frame = try FrameDecoder.decode(array: raw.bytes).get()
            #expect(frame.key == 36..<39)
            #expect(frame.payload == 39..<40)
            #expect(frame.fields.durableBelow == raw.id - UInt64(raw.commitIndex))
        }
    }

    /// Whatever bytes stand there, the decoder answers and reads nothing beyond them (the tests
    /// also run under the address sanitizer).
    @Test func randomBytesBehindAMendedCRCNeverTrap() {
        var random = Seeded(4)
        var valid = 0
        for _ in 0..<20_000 {
            let count = Int.random(in: 0..<120, using: &random)
            var raw = RawFrame(id: 100, position: 0, body: random.bytes(count))
            raw.presence = UInt16.random(in: 0..<16, using: &random)
            // Small numbers, so that lengths fit now and then.
            for index in raw.body.indices where Bool.random(using: &random) {
                raw.body[index] = UInt8.random(in: 0..<4, using: &random)
            }
            if fault(raw.bytes) == nil { valid += 1 }
        }
        #expect(valid > 0)
    }
}
