internal import Glibc
internal import NIOCore
internal import NIOPosix

/// What people are told of what NIO knows.
enum Plain {
    /// Why there is no connection, or none any more; without the names of calls and descriptors.
    static func text(_ error: any Error) -> String {
        if let error = error as? NIOConnectionError {
            return error.connectionErrors.first.map { text($0.error) } ?? "\(error.host) is unknown"
        }
        if let error = error as? IOError {
            return unsafe String(cString: strerror(error.errnoCode))
        }
        if let error = error as? ChannelError {
            switch error {
            case .connectTimeout(let timeout):
                return "no connection in \(timeout.nanoseconds / 1_000_000) ms"
            case .ioOnClosedChannel, .inputClosed, .outputClosed, .eof, .alreadyClosed:
                return "the connection is closed"
            default: break
            }
        }
        return "\(error)"
    }

    /// The broker's address; one of IPv6 in brackets, since it has colons of its own.
    static func address(_ options: ClientOptions) -> String {
        options.host.contains(":")
            ? "[\(options.host)]:\(options.port)" : "\(options.host):\(options.port)"
    }
}
