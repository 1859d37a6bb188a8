package import SystemPackage
package import WAL

/// A frame in the rough: every field may be wrong, and its crc is mended unless that is wrong on
/// purpose. Damage behind a valid crc is damage that only the rules can find.
package struct RawFrame: Sendable {
    package var id: UInt64
    package var position: UInt64
    package var timestamp: UInt64 = 1_700_000_000_000_000_000
    package var commitIndex: UInt32 = 0
    package var presence: UInt16 = 0
    /// Everything between the fixed fields and the crc.
    package var body: [UInt8] = []
    /// Instead of the right one.
    package var length: UInt32?
    /// Instead of the right one.
    package var crc: UInt32?

    package init(
        id: UInt64, position: UInt64, commitIndex: UInt32 = 0, presence: Presence = [],
        body: [UInt8] = []
    ) {
        self.id = id
        self.position = position
        self.commitIndex = commitIndex
        self.presence = presence.rawValue
        self.body = body
    }

    package var bytes: [UInt8] {
        var buffer = ByteBuffer()
        buffer.append(integer: length ?? UInt32(FrameLayout.smallestFrame - 4 + body.count))
        buffer.append(integer: id)
        buffer.append(integer: position)
        buffer.append(integer: timestamp)
        buffer.append(integer: commitIndex)
        buffer.append(integer: presence)
        buffer.append(body)
        buffer.append(integer: crc ?? CRC32.of(buffer.bytes))
        return buffer.bytes.copied()
    }
}

extension Array where Element == UInt8 {
    /// Makes the crc of the frame at `range` right again, after a change to it.
    package mutating func mendCRC(_ range: Range<Int>) {
        let end = range.upperBound - FrameLayout.crcBytes
        let crc = CRC32.of(RawSpan(of: self).extracting(range.lowerBound..<end))
        replaceSubrange(end..<range.upperBound, with: crc.littleEndianBytes)
    }
}

extension FixedWidthInteger {
    package var littleEndianBytes: [UInt8] {
        (0..<Self.bitWidth / 8).map { UInt8(truncatingIfNeeded: self >> ($0 * 8)) }
    }
}

/// A message with its own bytes.
package struct TestMessage: Hashable, Sendable {
    package var payload: [UInt8]
    package var key: [UInt8]?
    package var headers: [MessageHeader]

    package init(_ payload: [UInt8], key: [UInt8]? = nil, headers: [MessageHeader] = []) {
        self.payload = payload
        self.key = key
        self.headers = headers
    }

    package init(_ text: String) { self.init(Array(text.utf8)) }

    /// Gives the message to `body`.
    package func withMessage<R: ~Copyable, E: Error>(
        _ body: (borrowing Message) throws(E) -> R
    ) throws(E) -> R {
        if let key {
            return try body(
                Message(payload: RawSpan(of: payload), key: RawSpan(of: key), headers: headers))
        }
        return try body(Message(payload: RawSpan(of: payload), headers: headers))
    }
}

/// Messages that say which one they are.
package func numbered(_ numbers: Range<Int>) -> [TestMessage] {
    numbers.map { TestMessage("message \($0)") }
}

/// Builds the bytes of one segment, frame by frame, as the log would write them.
package struct SegmentBuilder: Sendable {
    package struct Placed: Hashable, Sendable {
        package var range: Range<Int>
        package var id: UInt64
        /// How many ids it takes: 0 for a mark.
        package var ids: UInt64
        /// First id of its commit.
        package var commit: UInt64
        package var message: TestMessage?
        package var isMark: Bool { ids == 0 }
    }

    package let base: UInt64
    package private(set) var nextID: UInt64
    package var timestamp: UInt64
    package var bytes: [UInt8] = []
    package private(set) var frames: [Placed] = []
    package let firstID: UInt64

    /// Begins with a mark unless told otherwise.
    package init(
        firstID: UInt64 = 0, base: UInt64 = 1 << 40, mark: Bool = true,
        timestamp: UInt64 = 1_700_000_000_000_000_000
    ) {
        self.base = base
        self.firstID = firstID
        self.timestamp = timestamp
        nextID = firstID
        if mark { addMark() }
    }

    /// The position of what comes next.
    package var position: UInt64 { base &+ UInt64(bytes.count) }
    package var name: String { SegmentName.sealed(first: firstID).fileName }

    private mutating func add(
        ids: UInt64, commit: UInt64, _ message: TestMessage?, _ frame: [UInt8]
    ) {
        let range = bytes.count..<bytes.count + frame.count
        frames.append(
            Placed(range: range, id: nextID, ids: ids, commit: commit, message: message))
        bytes += frame
        nextID += ids
    }

    package mutating func addMark() {
        var buffer = ByteBuffer()
        FrameEncoder.appendMark(
            at: .init(id: nextID, position: position, timestamp: timestamp), to: &buffer)
        add(ids: 0, commit: nextID, nil, buffer.bytes.copied())
    }

    /// All of `messages` in one commit.
    package mutating func add(_ messages: [TestMessage]) {
        timestamp += 1
        let commit = nextID
        for (index, message) in messages.enumerated() {
            var buffer = ByteBuffer()
            let place = FrameEncoder.Place(
                id: nextID, position: position, timestamp: timestamp,
                commitIndex: UInt32(index))
            message.withMessage { message in
                guard let size = FrameEncoder.frameBytes(message) else {
                    preconditionFailure("a message that fits no frame")
                }
                FrameEncoder.append(message, frameBytes: size, at: place, to: &buffer)
            }
            add(ids: 1, commit: commit, message, buffer.bytes.copied())
        }
    }

    package mutating func add(_ message: TestMessage) { add([message]) }

    package mutating func addLost(_ count: UInt64, frameBytes: Int = 46) {
        var buffer = ByteBuffer()
        FrameEncoder.appendLost(
            count, frameBytes: frameBytes,
            at: .init(id: nextID, position: position, timestamp: timestamp), to: &buffer)
        add(ids: count, commit: nextID, nil, buffer.bytes.copied())
    }

    /// A frame of any making, `ids` being how many it takes.
    package mutating func add(raw frame: [UInt8], ids: UInt64) {
        add(ids: ids, commit: nextID, nil, frame)
    }

    /// Bytes that are no frame.
    package mutating func add(garbage: [UInt8]) { bytes += garbage }

    /// The segment that goes on behind this one.
    package func next(mark: Bool = true) -> SegmentBuilder {
        SegmentBuilder(firstID: nextID, base: position, mark: mark, timestamp: timestamp)
    }
}

/// The segments of a log: all but the last are sealed.
package struct LogImage: Sendable {
    package var files: [(name: String, bytes: [UInt8])]

    package init(_ segments: SegmentBuilder...) {
        files = segments.map { ($0.name, $0.bytes) }
        if !files.isEmpty { files[files.count - 1].name = SegmentName.activeName }
    }

    package init(files: [(name: String, bytes: [UInt8])]) { self.files = files }

    /// Short, since each step of a FilePath counts in a sweep without optimisation.
    package static let directory: FilePath = "/l"

    /// A disk with this log on it.
    package func disk() -> MemoryDisk {
        let disk = MemoryDisk()
        disk.putDirectory(LogImage.directory)
        for file in files { disk.put(file.bytes, at: LogImage.directory.appending(file.name)) }
        return disk
    }

    package func examine(
        knownDurable: UInt64? = nil, isLive: Bool = false,
        visitor: (any ExaminationVisitor)? = nil
    ) throws(DiskError) -> Examination {
        try disk().examine(
            LogImage.directory, knownDurable: knownDurable, isLive: isLive, visitor: visitor)
    }
}

extension MemoryDisk {
    package func examine(
        _ directory: FilePath = LogImage.directory, knownDurable: UInt64? = nil,
        isLive: Bool = false, visitor: (any ExaminationVisitor)? = nil
    ) throws(DiskError) -> Examination {
        let listing = SegmentListing(try list(directory))
        var examiner = LogExaminer(
            disk: self, directory: directory, knownDurable: knownDurable, isLive: isLive,
            visitor: visitor)
        return try examiner.examine(listing)
    }
}

extension CRC32 {
    /// Of an array: `#expect` cannot hold a span.
    package static func of(array bytes: [UInt8]) -> UInt32 { of(RawSpan(of: bytes)) }
}

extension FrameDecoder {
    /// Of an array: `#expect` cannot hold a span.
    package static func decode(array bytes: [UInt8]) -> Result<DecodedFrame, FrameFault> {
        decode(RawSpan(of: bytes))
    }
}
