import NIOCore
import Wire

/// A connection without the client library: it hands replies over where they come, on its event
/// loop.
final class BareConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// What it says to whoever uses it.
    struct User {
        /// A reply, and the bytes that its ranges are offsets into.
        let received: (Reply, Span<UInt8>) -> Void
        /// It is of no more use.
        let ended: (any Error) -> Void
    }

    private let user: User
    private var parser = ReplyParser()
    private var pending = ByteBuffer()
    private var context: ChannelHandlerContext?

    init(_ user: User) { self.user = user }

    /// Sends whole commands.
    func send(_ commands: [UInt8]) {
        guard let context else { return }
        context.writeAndFlush(
            NIOAny(context.channel.allocator.buffer(bytes: commands)), promise: nil)
    }

    func close() { context?.close(promise: nil) }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        pending.writeBuffer(&bytes)
        while true {
            switch parser.next(in: pending.readableBytesUInt8Span) {
            case .incomplete: return
            case .reply(let reply, let count):
                user.received(reply, pending.readableBytesUInt8Span)
                pending.moveReaderIndex(forwardBy: count)
                if pending.readableBytes == 0 { pending.clear() }
            case .broken(let text):
                return errorCaught(
                    context: context, error: BenchError("this is not what a broker says: \(text)"))
            }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        user.ended(BenchError("the broker closed the connection"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        user.ended(error)
        context.close(promise: nil)
    }
}
