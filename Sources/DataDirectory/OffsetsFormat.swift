package import WAL

/// Why a file is not an offsets.json that anybody wrote, and where.
///
/// It is damage of its own and evidence for nothing: the topic stays closed.
public struct OffsetsDamage: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong; the first that applies, in this order.
    public enum Reason: Hashable, Sendable {
        /// More bytes than such a file may have; they were not read.
        case tooLarge(bytes: UInt64)
        /// Not one line that ends in a newline.
        case notOneLine
        /// The last member is not a `crc32` with eight lower-case hexadecimal digits.
        case noChecksum
        /// The checksum is that of other bytes.
        case checksum
        /// The checksum holds, but it is not JSON as we read it.
        case syntax(String)
        /// It is JSON, but a member is missing, of the wrong kind, or cannot be.
        case impossible(String)
    }

    /// What is wrong.
    public let reason: Reason
    /// Bytes from the beginning of the file.
    public let offset: UInt64

    /// One fault.
    public init(reason: Reason, offset: UInt64) {
        self.reason = reason
        self.offset = offset
    }

    /// One line for people.
    public var description: String {
        switch reason {
        case .tooLarge(let bytes):
            "\(bytes) bytes, at most \(OffsetsFormat.byteLimit) are read"
        case .notOneLine: "not one line ended by a newline, at byte \(offset)"
        case .noChecksum: "does not end in its crc32, at byte \(offset)"
        case .checksum: "the crc32 does not match the bytes before byte \(offset)"
        case .syntax(let text), .impossible(let text): "\(text), at byte \(offset)"
        }
    }
}

/// Bytes of offsets.json to value and back. Pure.
///
///     {"consumers": {"<id>": {"acked": 4, "above": [[6, 9]]}}, "crc32": "0badcafe"}
///
/// The checksum is that of all bytes before the comma of its member.
package enum OffsetsFormat {
    /// The largest file that is written or read, in bytes: room for some three million ranges, and
    /// a bound for what a damaged size can make us allocate.
    package static let byteLimit = 64 << 20

    // MARK: Reading

    /// The value of a whole file; throws the first fault.
    package static func parse(_ bytes: RawSpan) throws(OffsetsDamage) -> Offsets {
        guard bytes.byteCount <= byteLimit else {
            throw OffsetsDamage(reason: .tooLarge(bytes: UInt64(bytes.byteCount)), offset: 0)
        }
        let comma = try checksummedBytes(bytes)
        do throws(JSONError) {
            var reader = try JSONReader(bytes)
            return try offsets(&reader, checksumMemberAt: comma)
        } catch {
            switch error.reason {
            case .syntax(let text):
                throw OffsetsDamage(reason: .syntax(text), offset: UInt64(error.offset))
            case .meaning(let text):
                throw OffsetsDamage(reason: .impossible(text), offset: UInt64(error.offset))
            }
        }
    }

    /// Checks the line, its last member and the checksum; gives the offset of the last comma.
    ///
    /// It is the last one of the file, since no digit of a checksum is one. So the bytes can be
    /// trusted before any of them is parsed.
    private static func checksummedBytes(_ bytes: RawSpan) throws(OffsetsDamage) -> Int {
        var comma: Int?
        for offset in 0..<bytes.byteCount {
            let byte = bytes.u8(at: offset)
            if byte == UInt8(ascii: ",") { comma = offset }
            if byte == UInt8(ascii: "\n"), offset < bytes.byteCount - 1 {
                throw OffsetsDamage(reason: .notOneLine, offset: UInt64(offset))
            }
        }
        guard bytes.byteCount > 0, bytes.u8(at: bytes.byteCount - 1) == UInt8(ascii: "\n") else {
            throw OffsetsDamage(reason: .notOneLine, offset: UInt64(bytes.byteCount))
        }
        guard let comma, let stored = checksum(bytes.extracting(comma..<bytes.byteCount)) else {
            throw OffsetsDamage(reason: .noChecksum, offset: UInt64(comma ?? bytes.byteCount))
        }
        guard CRC32.of(bytes.extracting(0..<comma)) == stored else {
            throw OffsetsDamage(reason: .checksum, offset: UInt64(comma))
        }
        return comma
    }

    /// The checksum in `, "crc32": "0badcafe"}` and a newline; nil if it is anything else. Spaces
    /// and tabs may stand where JSON has white space. One spelling of the digits only: a flipped
    /// bit that turns a letter into a capital would otherwise go unnoticed.
    private static func checksum(_ tail: RawSpan) -> UInt32? {
        var text: [UInt8] = []
        for offset in 0..<min(tail.byteCount, 256) {
            let byte = tail.u8(at: offset)
            if byte != UInt8(ascii: " "), byte != UInt8(ascii: "\t") { text.append(byte) }
        }
        let before = Array(",\"crc32\":\"".utf8)
        let behind = Array("\"}\n".utf8)
        guard tail.byteCount <= 256, text.count == before.count + 8 + behind.count,
            text.starts(with: before), text.suffix(behind.count).elementsEqual(behind)
        else { return nil }
        var value: UInt32 = 0
        for byte in text[before.count..<before.count + 8] {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"):
                value = value << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value
    }

    private static func offsets(
        _ reader: inout JSONReader, checksumMemberAt comma: Int
    ) throws(JSONError) -> Offsets {
        var offsets = Offsets()
        var hasConsumers = false
        try reader.beginObject()
        while let name = try reader.nextMember() {
            switch name {
            case "consumers":
                hasConsumers = true
                try consumers(&reader, into: &offsets)
            case "crc32":
                // The one that was checked; another one of this name would be a duplicate. It is
                // the outermost object's if this loop comes to it, with nothing behind it.
                guard reader.itemOffset > comma else {
                    throw JSONError(
                        offset: reader.itemOffset, reason: .meaning("crc32 is not the last member"))
                }
                _ = try reader.string()
            default:
                offsets.unknownMembers.append(JSONMember(name: name, value: try reader.value()))
            }
        }
        try reader.end()
        guard hasConsumers else {
            throw JSONError(offset: 0, reason: .meaning("no consumers"))
        }
        return offsets
    }

    private static func consumers(
        _ reader: inout JSONReader, into offsets: inout Offsets
    ) throws(JSONError) {
        try reader.beginObject()
        while let name = try reader.nextMember() {
            let start = reader.itemOffset
            var acked: MessageID??
            var above: [(offset: Int, ids: ClosedRange<MessageID>)]?
            var unknown: [JSONMember] = []
            try reader.beginObject()
            while let member = try reader.nextMember() {
                switch member {
                case "acked": acked = .some(reader.null() ? nil : try messageID(&reader))
                case "above": above = try ranges(&reader)
                default: unknown.append(JSONMember(name: member, value: try reader.value()))
                }
            }
            guard let acked, let above else {
                let missing = acked == nil ? "acked" : "above"
                throw JSONError(offset: start, reason: .meaning("a consumer without \(missing)"))
            }
            offsets.add(name: name, try joined(acked, above), unknown: unknown)
        }
        offsets.endAdding()
    }

    private static func joined(
        _ acked: MessageID?, _ above: [(offset: Int, ids: ClosedRange<MessageID>)]
    ) throws(JSONError) -> Acknowledgements {
        var acknowledgements = Acknowledgements()
        if let acked { acknowledgements.acknowledge(MessageID(0)...acked) }
        for (offset, ids) in above where !acknowledgements.append(ids) {
            throw JSONError(
                offset: offset,
                reason: .meaning("a range that is not above and apart from what is before it"))
        }
        return acknowledgements
    }

    private static func ranges(
        _ reader: inout JSONReader
    ) throws(JSONError) -> [(offset: Int, ids: ClosedRange<MessageID>)] {
        var ranges: [(offset: Int, ids: ClosedRange<MessageID>)] = []
        try reader.beginArray()
        while try reader.nextElement() {
            let start = reader.itemOffset
            let noRange = JSONError(offset: start, reason: .meaning("not a range [first, last]"))
            try reader.beginArray()
            guard try reader.nextElement() else { throw noRange }
            let first = try messageID(&reader)
            guard try reader.nextElement() else { throw noRange }
            let last = try messageID(&reader)
            guard try !reader.nextElement(), first <= last else { throw noRange }
            ranges.append((start, first...last))
        }
        return ranges
    }

    /// An id of a message. 2^64 - 1 is none: it would have no successor.
    private static func messageID(_ reader: inout JSONReader) throws(JSONError) -> MessageID {
        let start = reader.offset
        let number = try reader.integer()
        guard number < .max else {
            throw JSONError(offset: start, reason: .meaning("2^64 - 1 is no message's id"))
        }
        return MessageID(number)
    }

    // MARK: Writing

    /// The bytes of the file. Consumers in the order of their names; `crc32` last.
    package static func render(_ offsets: Offsets) -> ByteBuffer {
        var json = JSONWriter(capacity: 4096, spaced: true)
        json.beginObject()
        json.name("consumers")
        json.beginObject()
        for entry in offsets.entries {
            json.name(entry.name)
            json.beginObject()
            write(entry.acknowledgements, to: &json)
            for member in entry.unknownMembers { write(member, to: &json) }
            json.endObject()
        }
        json.endObject()
        for member in offsets.unknownMembers { write(member, to: &json) }
        let checksum = CRC32.of(json.buffer.bytes)
        json.name("crc32")
        json.hexadecimal(checksum)
        json.endObject()
        json.newline()
        return json.finish()
    }

    private static func write(_ acknowledgements: Acknowledgements, to json: inout JSONWriter) {
        json.name("acked")
        if let acked = acknowledgements.acked {
            json.integer(acked.rawValue)
        } else {
            json.null()
        }
        json.name("above")
        json.beginArray()
        for ids in acknowledgements.above {
            json.beginArray()
            json.integer(ids.lowerBound.rawValue)
            json.integer(ids.upperBound.rawValue)
            json.endArray()
        }
        json.endArray()
    }

    private static func write(_ member: JSONMember, to json: inout JSONWriter) {
        json.name(member.name)
        json.value(member.value)
    }
}
