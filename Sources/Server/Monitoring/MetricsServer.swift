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
enum MetricsServer {
    /// Whoever asks for nothing for so long is cut off; scrapers come back by themselves.
    private static let longestSilence = TimeAmount.seconds(120)

    static func listen(
        _ address: MetricsAddress, _ service: Service, _ group: MultiThreadedEventLoopGroup,
        listener: any Channel
    ) throws -> any Channel {
        try ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptPauseHandler(service))
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(
                        IdleStateHandler(readTimeout: longestSilence))
                    try channel.pipeline.syncOperations.addHandler(
                        MetricsHandler(service, listener))
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
        add("connections", "gauge", "Connections there are", service.counters.openConnections)
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
    private let listener: any Channel
    private var head: HTTPRequestHead?

    init(_ service: Service, _ listener: any Channel) {
        self.service = service
        self.listener = listener
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end:
            guard let head else { return }
            let (status, text) = response(head)
            respond(context, head, status, text)
        }
    }

    private func response(_ head: HTTPRequestHead) -> (HTTPResponseStatus, String) {
        guard head.method == .GET || head.method == .HEAD else {
            return (.methodNotAllowed, "GET only\n")
        }
        switch head.uri.split(separator: "?").first.map(String.init) ?? "" {
        case "/metrics": return (.ok, MetricsServer.text(service))
        case "/healthz": return (.ok, "ok\n")
        case "/readyz":
            return listener.isActive ? (.ok, "ok\n") : (.serviceUnavailable, "stopping\n")
        default: return (.notFound, "there are /metrics, /healthz and /readyz\n")
        }
    }

    private func respond(
        _ context: ChannelHandlerContext, _ request: HTTPRequestHead,
        _ status: HTTPResponseStatus, _ text: String
    ) {
        var headers = HTTPHeaders()
        headers.add(name: "content-type", value: "text/plain; version=0.0.4; charset=utf-8")
        headers.add(name: "content-length", value: String(text.utf8.count))
        if !request.isKeepAlive { headers.add(name: "connection", value: "close") }
        let head = HTTPResponseHead(version: request.version, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            context.write(
                wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
        }
        let end = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if !request.isKeepAlive {
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
