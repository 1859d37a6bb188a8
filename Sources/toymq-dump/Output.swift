import Glibc
import SystemPackage
import WAL

/// Standard output, written in large pieces. Once the reader has gone or the disk is full it takes
/// nothing more and says so.
final class Output {
    /// How writing ended.
    enum Failure: Hashable {
        /// Whoever read it has gone (EPIPE): no fault.
        case closed
        case failed(Errno)
    }

    /// Written when there is so much, in bytes.
    static let pieceBytes = 256 << 10

    /// Nil while all is well.
    private(set) var failure: Failure?
    private let descriptor: Int32

    init(_ descriptor: Int32 = STDOUT_FILENO) { self.descriptor = descriptor }

    /// Writes all of `buffer` and empties it.
    func take(_ buffer: inout ByteBuffer) {
        write(buffer)
        // What a huge payload has become is not kept.
        buffer.reset(keepingAtMost: 4 * Output.pieceBytes)
    }

    private func write(_ buffer: borrowing ByteBuffer) {
        buffer.withUnsafeBytes { bytes in
            var done = 0
            while failure == nil, done < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
                let written = Glibc.write(
                    descriptor, rest.baseAddress, min(rest.count, Output.pieceBytes))
                if written >= 0 {
                    done += written
                } else if errno != EINTR {
                    failure = errno == EPIPE ? .closed : .failed(Errno(rawValue: errno))
                }
            }
        }
    }

    /// Waits for so many milliseconds, or until the reader has gone or a signal has come.
    func wait(milliseconds: Int32) {
        // Nothing is asked for: what comes all the same is that the other end was closed.
        var descriptors = pollfd(fd: descriptor, events: 0, revents: 0)
        guard poll(&descriptors, 1, milliseconds) > 0 else { return }
        if descriptors.revents & Int16(POLLERR | POLLHUP) != 0 {
            failure = failure ?? .closed
        } else {
            // Something that poll(2) reports for ever: without a pause it would be asked all the
            // time.
            usleep(UInt32(milliseconds) * 1000)
        }
    }
}
