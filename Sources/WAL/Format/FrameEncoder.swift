/// Message to bytes. Pure: what it writes depends on its arguments only.
package enum FrameEncoder {
    /// Bytes of the frame of `message`, computed without overflow; nil if no frame may be so long,
    /// or if a part of it may not be written at all.
    package static func frameBytes(_ message: borrowing Message) -> Int? {
        var size = FrameLayout.smallestFrame
        let payload = message.payload
        // Bounding each part by the largest frame first keeps every sum far from overflow.
        guard payload.byteCount <= FrameLayout.largestFrame else { return nil }
        size += payload.byteCount
        if let key = message.keyBytes {
            guard (1...65_535).contains(key) else { return nil }
            size += 2 + key
        }
        if !message.headers.isEmpty {
            guard message.headers.count <= 65_535 else { return nil }
            size += 4 + 2
            for header in message.headers {
                guard (1...65_535).contains(header.name.count),
                    header.value.count <= FrameLayout.largestFrame
                else { return nil }
                size += 2 + header.name.count + 4 + header.value.count
                guard size <= FrameLayout.largestFrame else { return nil }
            }
        }
        return size <= FrameLayout.largestFrame ? size : nil
    }

    /// Where a frame goes and when it was written.
    package struct Place: Hashable, Sendable {
        package var id: UInt64
        package var position: UInt64
        package var timestamp: UInt64
        package var commitIndex: UInt32

        package init(id: UInt64, position: UInt64, timestamp: UInt64, commitIndex: UInt32 = 0) {
            self.id = id
            self.position = position
            self.timestamp = timestamp
            self.commitIndex = commitIndex
        }
    }

    /// Appends the frame of `message`, whose size `frameBytes` must have given.
    package static func append(
        _ message: borrowing Message, frameBytes: Int, at place: Place, to buffer: inout ByteBuffer
    ) {
        let start = buffer.count
        buffer.reserve(start + frameBytes)
        var presence: Presence = []
        if message.keyBytes != nil { presence.insert(.key) }
        if !message.headers.isEmpty { presence.insert(.headers) }
        appendFixed(frameBytes, place, presence, &buffer)
        if let length = message.keyBytes {
            buffer.append(integer: UInt16(length))
            buffer.append(message.key)
        }
        if !message.headers.isEmpty {
            let inner = message.headers.reduce(2) { $0 + 6 + $1.name.count + $1.value.count }
            buffer.append(integer: UInt32(inner))
            buffer.append(integer: UInt16(message.headers.count))
            for header in message.headers {
                buffer.append(integer: UInt16(header.name.count))
                buffer.append(header.name)
                buffer.append(integer: UInt32(header.value.count))
                buffer.append(header.value)
            }
        }
        buffer.append(message.payload)
        appendChecksum(from: start, &buffer)
        precondition(buffer.count - start == frameBytes)
    }

    /// Appends a mark: `place.id` is the id of the next message.
    package static func appendMark(at place: Place, to buffer: inout ByteBuffer) {
        precondition(place.commitIndex == 0)
        let start = buffer.count
        appendFixed(FrameLayout.smallestFrame, place, .mark, &buffer)
        appendChecksum(from: start, &buffer)
    }

    /// Appends a `lost` frame for `count` ids. Fewer than 46 bytes have no room for the count and
    /// stand for one id.
    package static func appendLost(
        _ count: UInt64, frameBytes: Int, at place: Place, to buffer: inout ByteBuffer
    ) {
        precondition(place.commitIndex == 0 && count >= 1)
        precondition((FrameLayout.smallestFrame...FrameLayout.largestFrame).contains(frameBytes))
        let start = buffer.count
        appendFixed(frameBytes, place, .lost, &buffer)
        let body = frameBytes - FrameLayout.smallestFrame
        if body >= 8 {
            buffer.append(integer: count)
            buffer.append(zeros: body - 8)
        } else {
            precondition(count == 1)
            buffer.append(zeros: body)
        }
        appendChecksum(from: start, &buffer)
    }

    private static func appendFixed(
        _ frameBytes: Int, _ place: Place, _ presence: Presence, _ buffer: inout ByteBuffer
    ) {
        buffer.append(integer: UInt32(frameBytes - FrameLayout.lengthBytes))
        buffer.append(integer: place.id)
        buffer.append(integer: place.position)
        buffer.append(integer: place.timestamp)
        buffer.append(integer: place.commitIndex)
        buffer.append(integer: presence.rawValue)
    }

    private static func appendChecksum(from start: Int, _ buffer: inout ByteBuffer) {
        buffer.append(integer: CRC32.of(buffer.bytes.extracting(start..<buffer.count)))
    }
}
