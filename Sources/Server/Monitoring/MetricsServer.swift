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

private final class MetricsHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let service: Service
    private let writer: WorkPool
    private let listener: any Channel
    private var head: HTTPRequestHead?

    init(_ service: Service, _ writer: WorkPool, _ listener: any Channel) {
        self.service = service
        self.writer = writer
        self.listener = listener
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end:
            guard let head else { return }
            answer(context, head)
        }
    }

    private func answer(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        guard head.method == .GET || head.method == .HEAD else {
            return respond(context, head, .methodNotAllowed, "GET only\n")
        }
        switch MetricsHandler.path(head.uri) {
        case "/metrics": respondWithMetrics(context, head)
        case "/healthz": respond(context, head, .ok, "ok\n")
        case "/readyz":
            if listener.isActive {
                respond(context, head, .ok, "ok\n")
            } else {
                respond(context, head, .serviceUnavailable, "stopping\n")
            }
        default:
            respond(context, head, .notFound, "there are /metrics, /healthz and /readyz\n")
        }
    }

    /// The next request of the connection is not taken before it is answered: HTTP's handlers see
    /// to that.
    private func respondWithMetrics(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        let service = service
        let loop = context.eventLoop
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: loop)
        writer.run {
            let text = MetricsServer.text(service)
            loop.execute {
                let (handler, context) = bound.value
                handler.respond(context, head, .ok, text)
            }
        }
    }

    /// The path of a request's target, which may be a whole address: a proxy asks so.
    private static func path(_ target: String) -> Substring {
        var path = target.prefix { $0 != "?" }
        if let scheme = path.firstRange(of: "://"), !path.hasPrefix("/") {
            path = path[scheme.upperBound...].drop { $0 != "/" }
        }
        return path
    }

    private func respond(
        _ context: ChannelHandlerContext, _ request: HTTPRequestHead,
        _ status: HTTPResponseStatus, _ text: String
    ) {
        var headers = HTTPHeaders()
        headers.add(name: "content-type", value: "text/plain; version=0.0.4; charset=utf-8")
        headers.add(name: "content-length", value: String(text.utf8.count))
        if status == .methodNotAllowed { headers.add(name: "allow", value: "GET, HEAD") }
        // Before 1.1 a connection stays only if the answer says so, too.
        let staysOpen = request.isKeepAlive && request.version == .http1_1
        if !staysOpen { headers.add(name: "connection", value: "close") }
        let head = HTTPResponseHead(version: request.version, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            context.write(
                wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
        }
        let end = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if !staysOpen {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            end.whenComplete { _ in bound.value.close(promise: nil) }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
