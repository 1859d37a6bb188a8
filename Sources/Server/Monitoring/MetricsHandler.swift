import Broker
import NIOCore
import NIOHTTP1

/// One connection for metrics: answers one request after the other.
final class MetricsHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let service: Service
    private let writer: WorkPool
    private let listener: any Channel
    private var head: HTTPRequestHead?
    /// The answer that waits for a client that does not read. There is one at most: while it is not
    /// written, HTTP's handlers take no request and read no socket.
    private var held: Answer?
    private var isWriting = false

    private struct Answer: Sendable {
        let request: HTTPRequestHead
        let status: HTTPResponseStatus
        let text: String
    }

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
            // What was left when the connection was closed comes as well.
            guard let head, context.channel.isActive else { return }
            guard isWriting else { return answer(context, head) }
            // It comes from within the answer before. Thousands that a client has sent at once would
            // be answered one within the other, on one stack.
            let bound = NIOLoopBound(
                (handler: self, context: context), eventLoop: context.eventLoop)
            context.eventLoop.execute {
                let (handler, context) = bound.value
                handler.answer(context, head)
            }
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
        held = Answer(request: request, status: status, text: text)
        writeHeld(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        writeHeld(context)
        context.fireChannelWritabilityChanged()
    }

    private func writeHeld(_ context: ChannelHandlerContext) {
        guard context.channel.isWritable, let answer = held else { return }
        held = nil
        isWriting = true
        write(context, answer)
        isWriting = false
    }

    private func write(_ context: ChannelHandlerContext, _ answer: Answer) {
        let request = answer.request
        var headers = HTTPHeaders()
        headers.add(name: "content-type", value: "text/plain; version=0.0.4; charset=utf-8")
        headers.add(name: "content-length", value: String(answer.text.utf8.count))
        if answer.status == .methodNotAllowed { headers.add(name: "allow", value: "GET, HEAD") }
        // Before 1.1 a connection stays only if the answer says so, too.
        let staysOpen = request.isKeepAlive && request.version == .http1_1
        if !staysOpen { headers.add(name: "connection", value: "close") }
        let head = HTTPResponseHead(
            version: request.version, status: answer.status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            context.write(
                wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: answer.text)))), promise: nil)
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
