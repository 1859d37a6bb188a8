import Broker
import Logging
import NIOCore

/// Pauses accepting when it fails because descriptors or memory ran out: longer each time, up to a
/// limit, and no longer once it works.
///
/// NIO's own `AcceptBackoffHandler` delays the next read only. Where not one connection was
/// accepted before the failure the listener is still waiting for the read that failed, stays
/// registered, and the loop meets the same error again and again; so here reading is turned off.
final class AcceptPauseHandler: ChannelInboundHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel

    private static let shortest: Int64 = 5
    private static let longest: Int64 = 1_000
    /// Told once in so long, in nanoseconds: at the limit each connection that ends lets one in.
    private static let silence: UInt64 = 10_000_000_000

    private let service: Service
    private var milliseconds: Int64 = 0
    private var quietUntil: UInt64 = 0
    private var isPaused = false

    init(_ service: Service) { self.service = service }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        milliseconds = 0
        context.fireChannelRead(data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError else { return context.fireErrorCaught(error) }
        service.counters.acceptErrors.add()
        tell(error)
        guard !isPaused else { return }
        isPaused = true
        milliseconds = min(
            max(AcceptPauseHandler.shortest, milliseconds * 2), AcceptPauseHandler.longest)
        setReading(false, context.channel)
        let channel = context.channel
        context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(milliseconds)) {
            self.isPaused = false
            self.setReading(true, channel)
        }
    }

    /// Nothing is to be done for a listener that is closed.
    private func setReading(_ isOn: Bool, _ channel: any Channel) {
        try? channel.syncOptions?.setOption(.autoRead, value: isOn)
    }

    private func tell(_ error: IOError) {
        let now = MonotonicClock.now()
        guard now >= quietUntil else { return }
        quietUntil = now + AcceptPauseHandler.silence
        service.logger.error("accepting pauses", metadata: ["error": "\(error)"])
    }
}

/// Tells a connection over the limit so, and closes it.
final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        let text = ByteBuffer(string: "ERR BUSY too many connections, try again later\n")
        context.writeAndFlush(wrapOutboundOut(text), promise: nil)
        context.close(mode: .output, promise: nil)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .seconds(1)) { bound.value.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
