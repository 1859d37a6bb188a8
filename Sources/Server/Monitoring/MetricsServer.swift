import Broker
import NIOCore
import NIOHTTP1
import NIOPosix

/// Where metrics are served.
public struct MetricsAddress: Hashable, Sendable {
    /// The address to listen on.
    public let host: String
    /// The port; 0 lets the kernel choose.
    public let port: Int

    /// An address and a port.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}

/// `/metrics` as Prometheus text, `/healthz` and `/readyz`.
struct MetricsServer: Sendable {
    /// Whoever asks for nothing for so long is cut off; scrapers come back by themselves.
    private static let longestSilence = TimeAmount.seconds(120)
    /// More wait in the kernel's queue: each holds a descriptor for as long as that.
    static let mostConnections = 64
    /// How much of a client's requests is taken off its socket, and held as objects, at a time.
    private static let readBytes = 4096

    /// An event loop of their own: a disk that hangs may hold up one that commits (`LoopContext`),
    /// and whoever looks after the broker is to be answered just then.
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let channel: any Channel
    /// Makes the text: a look at each of ten thousand topics is too long for an event loop, and the
    /// threads that read may stand before a disk that hangs, which is when people look at metrics.
    private let writer = WorkPool(threads: 1)

    var localAddress: SocketAddress? { channel.localAddress }

    /// Begins to listen. Blocks.
    init(_ address: MetricsAddress, _ service: Service, listener: any Channel) throws {
        let writer = writer
        do {
            channel = try MetricsServer.listen(address, service, group) {
                MetricsHandler(service, writer, listener)
            }
        } catch {
            writer.shutdown()
            try? group.syncShutdownGracefully()
            throw error
        }
    }

    /// Takes no more connections, and closes those that there are. Blocks: not on a loop.
    func stop() {
        try? channel.close().wait()
        // It hands what it makes to the loop.
        writer.shutdown()
        try? group.syncShutdownGracefully()
    }

    private static func listen(
        _ address: MetricsAddress, _ service: Service, _ group: MultiThreadedEventLoopGroup,
        _ handler: @escaping @Sendable () -> MetricsHandler
    ) throws -> any Channel {
        try ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptPauseHandler(
                            service, limit: service.options.metricsAcceptLimit,
                            full: "all connections that there may be for metrics are taken"))
                }
            }
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: readBytes)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(
                        IdleStateHandler(readTimeout: longestSilence))
                    try channel.pipeline.syncOperations.addHandler(handler())
                }
            }
            .bind(host: address.host, port: address.port).wait()
    }

    /// Everything that is counted, in Prometheus' text format.
    static func text(_ service: Service) -> String {
        var text = ""
        func add(_ name: String, _ type: String, _ help: String, _ value: UInt64) {
            text += "# HELP toymq_\(name) \(help).\n# TYPE toymq_\(name) \(type)\n"
            text += "toymq_\(name) \(value)\n"
        }
        for total in service.counters.totals { add(total.name, "counter", total.help, total.value) }
        add(
            "connections", "gauge", "Connections there are",
            UInt64(service.counters.openConnections.now))
        let topics = service.broker.topics.map { $0.facts(consumers: 0) }
        add("topics", "gauge", "Topics there are", UInt64(topics.count))
        add(
            "topics_closed", "gauge", "Topics that are damaged, failed or unavailable",
            UInt64(topics.count { $0.condition != .open }))
        add(
            "commits_total", "counter", "Commits, each with one sync",
            topics.reduce(0) { $0 + $1.commits })
        add(
            "in_flight", "gauge", "Messages in flight",
            topics.reduce(0) { $0 + UInt64($1.inFlight) })
        return text
    }
}
