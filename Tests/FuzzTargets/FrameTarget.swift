import WAL

/// The frame decoder: what it accepts is exactly what docs/FORMAT.md calls valid, and encodes to
/// the same bytes again.
enum FrameTarget {
    static func check(_ bytes: [UInt8]) throws {
        let result = FrameDecoder.decode(RawSpan(of: bytes))
        let plain = PlainFrame(bytes)
        switch result {
        case .success(let frame):
            try require(plain.isValid, "accepted a frame that the page calls invalid")
            let again = reencoded(frame, Array(bytes[..<frame.bytes]))
            try require(again == Array(bytes[..<frame.bytes]), "encodes to other bytes: \(frame)")
        case .failure(let fault):
            try require(!plain.isValid, "refused a valid frame: \(fault)")
            switch fault {
            case .length: try require(!plain.isWhole, "blamed the length of a whole frame")
            case .crc:
                try require(plain.isWhole && !plain.checksumHolds, "blamed a crc that holds")
            case .newer:
                try require(
                    plain.checksumHolds && plain.presence & ~0xF != 0, "called it newer: \(fault)")
            case .inner:
                try require(
                    plain.checksumHolds && plain.presence & ~0xF == 0, "blamed parts: \(fault)")
            }
        }
    }

    /// The bytes that the encoder makes of what the decoder saw in `bytes`.
    static func reencoded(_ frame: DecodedFrame, _ bytes: [UInt8]) -> [UInt8] {
        let fields = frame.fields
        let place = FrameEncoder.Place(
            id: fields.id, position: fields.position, timestamp: fields.timestamp,
            commitIndex: fields.commitIndex)
        var buffer = ByteBuffer()
        if frame.isMark {
            FrameEncoder.appendMark(at: place, to: &buffer)
        } else if let lost = frame.lost {
            FrameEncoder.appendLost(lost, frameBytes: frame.bytes, at: place, to: &buffer)
        } else {
            let payload = Array(bytes[frame.payload])
            let headers = frame.headers.map { Array(bytes[$0]) } ?? []
            let list = HeaderBlock.headers(RawSpan(of: headers))
            if let range = frame.key {
                let key = Array(bytes[range])
                append(
                    Message(payload: RawSpan(of: payload), key: RawSpan(of: key), headers: list),
                    place, &buffer)
            } else {
                append(Message(payload: RawSpan(of: payload), headers: list), place, &buffer)
            }
        }
        return buffer.bytes.copied()
    }

    private static func append(
        _ message: borrowing Message, _ place: FrameEncoder.Place, _ buffer: inout ByteBuffer
    ) {
        guard let size = FrameEncoder.frameBytes(message) else { return }
        FrameEncoder.append(message, frameBytes: size, at: place, to: &buffer)
    }
}

/// The rules of docs/FORMAT.md over again, word by word and slowly, with nothing of the decoder's.
struct PlainFrame {
    private let bytes: [UInt8]
    private let length: UInt64

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        length = bytes.count >= 4 ? PlainFrame.number(bytes[0..<4]) : 0
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Rules 1 and 2.
    var isWhole: Bool {
        (34...4_194_300).contains(length) && UInt64(bytes.count) >= length + 4
    }

    private var size: Int { Int(length) + 4 }
    private var id: UInt64 { PlainFrame.number(bytes[4..<12]) }
    private var commitIndex: UInt64 { PlainFrame.number(bytes[28..<32]) }
    var presence: UInt64 { isWhole ? PlainFrame.number(bytes[32..<34]) : 0 }
    private var parts: ArraySlice<UInt8> { bytes[34..<size - 4] }

    /// Rule 3.
    var checksumHolds: Bool {
        guard isWhole else { return false }
        let stored = PlainFrame.number(bytes[size - 4..<size])
        return UInt64(CRC32.of(RawSpan(of: Array(bytes[..<(size - 4)])))) == stored
    }

    /// Rules 1 to 7.
    var isValid: Bool {
        guard checksumHolds, presence & ~0xF == 0, commitIndex <= id else { return false }
        switch presence {
        case 8: return parts.isEmpty && commitIndex == 0
        case 4:
            guard commitIndex == 0 else { return false }
            if parts.count < 8 { return id < .max && parts.allSatisfy { $0 == 0 } }
            let lost = PlainFrame.number(parts.prefix(8))
            return lost >= 1 && parts.dropFirst(8).allSatisfy { $0 == 0 }
                && !id.addingReportingOverflow(lost).overflow
        case 0...3: return id < .max && messagePartsFit
        default: return false
        }
    }

    private var messagePartsFit: Bool {
        var rest = parts
        if presence & 1 != 0 {
            guard let key = PlainFrame.take(2, &rest), key >= 1,
                PlainFrame.skip(key, &rest)
            else { return false }
        }
        if presence & 2 != 0 {
            guard let outer = PlainFrame.take(4, &rest), outer <= UInt64(rest.count) else {
                return false
            }
            var block = rest.prefix(Int(outer))
            guard let count = PlainFrame.take(2, &block), count >= 1 else { return false }
            for _ in 0..<count {
                guard let name = PlainFrame.take(2, &block), name >= 1,
                    PlainFrame.skip(name, &block), let value = PlainFrame.take(4, &block),
                    PlainFrame.skip(value, &block)
                else { return false }
            }
            return block.isEmpty
        }
        return true
    }

    private static func take(_ count: Int, _ rest: inout ArraySlice<UInt8>) -> UInt64? {
        guard rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return number(rest.prefix(count))
    }

    private static func skip(_ count: UInt64, _ rest: inout ArraySlice<UInt8>) -> Bool {
        guard count <= UInt64(rest.count) else { return false }
        rest = rest.dropFirst(Int(count))
        return true
    }
}
