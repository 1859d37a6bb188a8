import Glibc
import NIOCore

/// An address that a server cannot listen on.
public struct ListenError: Error, Hashable, Sendable {
    /// What is served there.
    public enum Purpose: Hashable, Sendable {
        /// The protocol of the broker.
        case clients
        /// Metrics.
        case metrics
    }

    /// What was to be served.
    public let purpose: Purpose
    /// The address, as `127.0.0.1:6789`.
    public let address: String
    /// Why not, and what to do about it.
    public let reason: String

    init(_ purpose: Purpose, host: String, port: Int, _ error: any Error) {
        self.purpose = purpose
        address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        switch error {
        case let error as IOError: reason = ListenError.reason(error.errnoCode)
        case let error as SocketAddressError.UnknownHost:
            reason = "\(error.errorDescription); give an address of this machine"
        default: reason = "\(error)"
        }
    }

    private static func reason(_ number: Int32) -> String {
        let text = String(errorNumber: number)
        return switch number {
        case EADDRINUSE: "\(text); stop what listens there, or give another port"
        case EADDRNOTAVAIL:
            "\(text); give an address of this machine, or 0.0.0.0 for all that it has"
        case EACCES: "\(text); give a port from 1024 on"
        default: text
        }
    }

    /// One line for people; `setting` is what the address was given with.
    public func text(setting: String) -> String {
        "cannot listen on \(address) (\(setting)): \(reason)"
    }
}
