import Broker
import NIOCore
import WAL
import Wire

/// Deliveries that were read from the log and encoded, in one buffer.
struct DeliveryChunk: Sendable {
    private(set) var buffer: ByteBuffer
    private(set) var ids: [MessageID] = []
    /// Where each delivery ends in the buffer.
    private var ends: [Int] = []
    /// They were delivered before.
    var isDue = false
    /// There is nothing more behind them yet.
    var isLast = false

    /// About so many bytes are gathered before they go out; one delivery may be larger.
    static let bytes = 64 << 10
    static let messages = 256

    init(_ allocator: ByteBufferAllocator) { buffer = allocator.buffer(capacity: 4096) }

    var isFull: Bool {
        buffer.writerIndex >= DeliveryChunk.bytes || ids.count >= DeliveryChunk.messages
    }

    var byteCount: Int { buffer.readableBytes }

    /// Adds one delivery; `attempt` is nil before HELLO: no options then.
    mutating func add(
        _ message: borrowing StoredMessage, topic: [UInt8], attempt: UInt64?, line: inout [UInt8]
    ) {
        line.removeAll(keepingCapacity: true)
        let payloadBytes = message.payload.byteCount
        if let attempt {
            ReplyWriter.message(
                topic: topic, id: message.id.rawValue, payloadBytes: payloadBytes,
                attempt: attempt, timestamp: message.timestamp,
                key: message.hasKey ? message.key.copied() : nil,
                headers: message.hasHeaders
                    ? message.headers.map { WireHeader(name: $0.name, value: $0.value) } : [],
                to: &line)
        } else {
            ReplyWriter.message(
                topic: topic, id: message.id.rawValue, payloadBytes: payloadBytes, to: &line)
        }
        buffer.reserveCapacity(minimumWritableBytes: line.count + payloadBytes + 1)
        buffer.writeBytes(line)
        buffer.writeBytes(message.payload)
        buffer.writeInteger(UInt8(ascii: "\n"))
        ids.append(message.id)
        ends.append(buffer.writerIndex)
    }

    /// The bytes of the deliveries from `start` up to `end`.
    func slice(_ start: Int, _ end: Int) -> ByteBuffer {
        let from = start == 0 ? 0 : ends[start - 1]
        guard let slice = buffer.getSlice(at: from, length: ends[end - 1] - from) else {
            preconditionFailure("deliveries end within their buffer")
        }
        return slice
    }
}

extension DeliveryChunk {
    /// Forgets the first `count` deliveries.
    mutating func skip(_ count: Int) {
        let start = ends[count - 1]
        guard let rest = buffer.getSlice(at: start, length: buffer.writerIndex - start) else {
            preconditionFailure("deliveries end within their buffer")
        }
        buffer = rest
        ids.removeFirst(count)
        ends = ends[count...].map { $0 - start }
    }
}
