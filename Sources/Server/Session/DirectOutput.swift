import Glibc
import NIOCore

/// Writes to a connection's socket at once, past the channel's queue, which costs a publisher that
/// waits for each answer a tenth of the throughput. The only place that touches a descriptor.
///
/// Only until the channel says that it is inactive, which it does before anybody else runs on its
/// loop, and while it has nothing queued: the descriptor may belong to another connection
/// afterwards, and what is queued would be overtaken.
struct DirectOutput {
    private let descriptor: NIOBSDSocket.Handle

    /// Nil if the channel is no socket.
    init?(_ channel: any Channel) {
        let handle = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { $0 }
        guard let handle else { return nil }
        descriptor = handle
    }

    /// Gives how many bytes the kernel has taken. What is left, if only because of an error, is for
    /// the channel: it waits for room, or meets the error again.
    func write(_ bytes: ByteBuffer) -> Int { write(bytes.readableBytesUInt8Span.raw) }

    /// Gives how many bytes the kernel has taken, as the other one does.
    func write(_ bytes: [UInt8]) -> Int { write(bytes.span.raw) }

    /// Bytes that were written and that the other side has not confirmed, the end of the stream as
    /// one of them: SIOCOUTQ of tcp(7). 0 if the kernel does not say.
    var unconfirmedBytes: Int {
        var count: CInt = 0
        return unsafe ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? Int(count) : 0
    }

    private func write(_ bytes: RawSpan) -> Int {
        unsafe bytes.withUnsafeBytes { raw in
            while true {
                let count = unsafe send(descriptor, raw.baseAddress, raw.count, Int32(MSG_NOSIGNAL))
                if count >= 0 { return count }
                if errno != EINTR { return 0 }
            }
        }
    }
}
