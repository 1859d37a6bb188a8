public import Broker
public import Logging
import NIOCore
import NIOPosix

/// Listens, and serves a broker's topics to whoever connects. Whoever starts one stops it, and
/// closes the broker behind it.
public final class Server: Sendable {
    private let service: Service
    private let group: MultiThreadedEventLoopGroup
    private let contexts: [LoopContext]
    private let listener: any Channel
    private let metrics: MetricsServer?

    /// What clients, INFO and `--version` are told.
    public static let version = Service.version

    /// Begins to listen. Blocks until it does, or throws a ``ListenError`` with why it cannot.
    public init(
        _ broker: Broker, options: ServerOptions = ServerOptions(), metrics: MetricsAddress? = nil,
        logger: Logger
    ) throws {
        let service = Service(broker, options, logger)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: options.loops)
        let contexts = group.makeIterator().map { LoopContext($0, service) }
        self.service = service
        self.group = group
        self.contexts = contexts
        do {
            for context in contexts { try Turns.open(context) }
            let listener = try Server.listening(.clients, options.host, options.port) {
                try Server.listen(
                    service, group, contexts,
                    limit: options.clientAcceptLimit(besidesMetrics: metrics != nil))
            }
            self.listener = listener
            self.metrics = try metrics.map { address in
                try Server.listening(.metrics, address.host, address.port) {
                    try MetricsServer(address, service, listener: listener)
                }
            }
        } catch {
            service.readers.shutdown()
            try? group.syncShutdownGracefully()
            throw error
        }
        for context in contexts { context.loop.execute { context.start() } }
    }

    /// The port that it listens on.
    public var port: Int { listener.localAddress?.port ?? service.options.port }
    /// The address and port that it listens on, as `127.0.0.1:6789`.
    public var address: String { Server.text(listener.localAddress) }
    /// The same for metrics; nil if there are none.
    public var metricsAddress: String? { metrics.map { Server.text($0.localAddress) } }

    static func text(_ address: SocketAddress?) -> String {
        guard let address, let ip = address.ipAddress, let port = address.port else { return "?" }
        return ip.contains(":") ? "[\(ip)]:\(port)" : "\(ip):\(port)"
    }

    /// Listens, or says which address it is that cannot be had.
    private static func listening<Listener>(
        _ purpose: ListenError.Purpose, _ host: String, _ port: Int,
        _ body: () throws -> Listener
    ) throws(ListenError) -> Listener {
        do { return try body() } catch { throw ListenError(purpose, host: host, port: port, error) }
    }

    private static func listen(
        _ service: Service, _ group: MultiThreadedEventLoopGroup, _ contexts: [LoopContext],
        limit: Int?
    ) throws -> any Channel {
        try ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptPauseHandler(
                            service, limit: limit,
                            full: "all descriptors but those kept for topics are taken"))
                }
            }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .writeBufferWaterMark, value: .init(low: 64 << 10, high: 256 << 10)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try welcome(channel, service, contexts)
                }
            }
            .bind(host: service.options.host, port: service.options.port).wait()
    }

    private static func welcome(
        _ channel: any Channel, _ service: Service, _ contexts: [LoopContext]
    ) throws {
        guard let context = contexts.first(where: { $0.loop === channel.eventLoop }) else {
            preconditionFailure("a connection on a loop of nobody's")
        }
        let peer = text(channel.remoteAddress)
        guard service.counters.openConnections.now < service.options.connectionLimit else {
            service.counters.refusedConnections.add()
            service.logger.notice(
                "refused: too many connections", metadata: ["peer": "\(peer)"])
            try channel.pipeline.syncOperations.addHandler(RefusalHandler())
            return
        }
        service.logger.debug("connected", metadata: ["peer": "\(peer)"])
        try channel.pipeline.syncOperations.addHandler(ConnectionHandler(context, peer: peer))
    }

    // MARK: Stopping

    /// Takes no more connections and no more commands; returns when everything that was taken has
    /// been answered and every connection is closed. False if that was not so after `timeout`
    /// nanoseconds: then they were closed all the same. Blocks. The broker is to be closed behind
    /// it.
    public func stop(timeout: UInt64) -> Bool {
        try? listener.close().wait()
        let all = contexts.map { context in
            let promise = context.loop.makePromise(of: Void.self)
            context.loop.execute { context.stop(promise) }
            return promise.futureResult
        }
        let loop = contexts[0].loop
        let late = loop.makePromise(of: Bool.self)
        let deadline = loop.scheduleTask(in: .nanoseconds(Int64(clamping: timeout))) {
            late.succeed(false)
        }
        EventLoopFuture.andAllSucceed(all, on: loop).whenSuccess { late.succeed(true) }
        let isDone = (try? late.futureResult.wait()) ?? false
        deadline.cancel()
        for context in contexts {
            try? context.loop.submit {
                context.abandon()
                context.end()
            }.wait()
        }
        metrics?.stop()
        service.readers.shutdown()
        try? group.syncShutdownGracefully()
        return isDone
    }
}
