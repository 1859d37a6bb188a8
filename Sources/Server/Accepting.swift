import Broker
import Logging
import NIOCore
import Threads

/// Pauses accepting when it fails because descriptors or memory ran out, and when connections hold
/// as many as are theirs: longer each time, up to a limit, and no longer once it works. Who comes
/// meanwhile waits in the kernel's queue.
///
/// NIO's own `AcceptBackoffHandler` delays the next read only. Where not one connection was
/// accepted before the failure the listener is still waiting for the read that failed, stays
/// registered, and the loop meets the same error again and again; so here reading is turned off.
final class AcceptPauseHandler: ChannelInboundHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel

    /// What was accepted and is not closed, on whatever loop: each holds a descriptor, also if it is
    /// only told BUSY.
    private final class Accepted: Sendable {
        let open = Counters.Gauge()
    }

    private static let shortest: Int64 = 5
    private static let longest: Int64 = 1_000
    /// Told once in so long, in nanoseconds: at the limit each connection that ends lets one in.
    private static let silence: UInt64 = 10_000_000_000

    private let service: Service
    private let limit: Int?
    private let fullReason: String
    private let accepted = Accepted()
    private var milliseconds: Int64 = 0
    private var quietUntil: UInt64 = 0
    private var isPaused = false

    /// Accepts no more while `limit` connections of this listener are open, and says `full` then;
    /// with nil only what fails counts.
    init(_ service: Service, limit: Int?, full: String) {
        self.service = service
        self.limit = limit
        fullReason = full
    }

    private var isFull: Bool {
        guard let limit else { return false }
        return accepted.open.now >= limit
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        milliseconds = 0
        let accepted = accepted
        accepted.open.enter()
        unwrapInboundIn(data).closeFuture.whenComplete { _ in accepted.open.leave() }
        context.fireChannelRead(data)
        guard isFull else { return }
        tell(fullReason)
        pause(context.channel)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError else { return context.fireErrorCaught(error) }
        service.counters.acceptErrors.add()
        tell("\(error)")
        pause(context.channel)
    }

    private func pause(_ channel: any Channel) {
        guard !isPaused else { return }
        isPaused = true
        setReading(false, channel)
        waitAndResume(channel)
    }

    private func waitAndResume(_ channel: any Channel) {
        milliseconds = min(
            max(AcceptPauseHandler.shortest, milliseconds * 2), AcceptPauseHandler.longest)
        channel.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(milliseconds)) {
            guard channel.isActive else { return }
            guard !self.isFull else { return self.waitAndResume(channel) }
            self.isPaused = false
            self.setReading(true, channel)
        }
    }

    /// Nothing is to be done for a listener that is closed.
    private func setReading(_ isOn: Bool, _ channel: any Channel) {
        try? channel.syncOptions?.setOption(.autoRead, value: isOn)
    }

    private func tell(_ reason: String) {
        let now = MonotonicClock.now()
        guard now >= quietUntil else { return }
        quietUntil = now + AcceptPauseHandler.silence
        service.logger.error("accepting pauses", metadata: ["reason": "\(reason)"])
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
