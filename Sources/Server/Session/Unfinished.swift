import NIOCore

/// What has come of a connection's commands and was not taken yet, and its part in what all
/// connections of the loop hold of that.
struct Unfinished {
    /// Memory that all connections of a loop take. On that loop only.
    final class Total {
        fileprivate(set) var bytes = 0
    }

    private(set) var buffer = ByteBuffer() { didSet { count() } }
    /// Asking the parser is of no use before so many bytes are there.
    var neededBytes = 1
    private let total: Total
    private var countedBytes = 0

    init(_ total: Total) { self.total = total }

    var isEmpty: Bool { buffer.readableBytes == 0 }
    /// Whether the parser is to be asked.
    var mayBeWhole: Bool { buffer.readableBytes >= neededBytes }

    /// Whether this connection has more than is its own in any case, while all together have more
    /// than `limit`.
    func isTooMuch(_ limit: Int) -> Bool {
        countedBytes > ServerOptions.smallUnfinishedBytes && total.bytes > limit
    }

    /// More has come.
    mutating func add(_ bytes: inout ByteBuffer) { buffer.writeBuffer(&bytes) }

    /// Gives all of it away.
    mutating func take() -> ByteBuffer {
        let bytes = buffer
        buffer = ByteBuffer()
        return bytes
    }

    /// Keeps a copy: `bytes` may be a slice, which would keep the whole of what was read at once.
    mutating func keepCopy(_ bytes: inout ByteBuffer) {
        buffer.clear(minimumCapacity: bytes.readableBytes)
        buffer.writeBuffer(&bytes)
    }

    /// Keeps these, whatever they are a slice of.
    mutating func keep(_ bytes: ByteBuffer) { buffer = bytes }

    mutating func clear() { buffer = ByteBuffer() }

    private mutating func count() {
        total.bytes += buffer.storageCapacity - countedBytes
        countedBytes = buffer.storageCapacity
    }
}
