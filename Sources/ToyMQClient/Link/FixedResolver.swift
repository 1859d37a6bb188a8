internal import NIOCore
internal import NIOPosix

/// Knows the addresses of a name already.
final class FixedResolver: Resolver, Sendable {
    private let loop: any EventLoop
    private let addresses: [String]

    init(_ loop: any EventLoop, _ addresses: [String]) {
        self.loop = loop
        self.addresses = addresses
    }

    private func found(_ port: Int, isV6: Bool) -> EventLoopFuture<[SocketAddress]> {
        loop.makeCompletedFuture {
            try addresses.filter { $0.contains(":") == isV6 }
                .map { try SocketAddress(ipAddress: $0, port: port) }
        }
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        found(port, isV6: false)
    }

    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        found(port, isV6: true)
    }

    func cancelQueries() {}
}
