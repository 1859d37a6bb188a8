internal import NIOCore
internal import Wire

/// Who uses a connection. All calls come on its event loop.
protocol ConnectionUser: AnyObject {
    /// A reply that is no sign of life. `bytes` is what its ranges are offsets into, from the
    /// reader's index on. False if it answers nothing that was asked: the connection ends.
    func received(_ reply: Reply, _ bytes: ByteBuffer, on connection: Connection) -> Bool
    /// What was there to be read has been handed over.
    func receivedAll(on connection: Connection)
    /// Whether more may be read.
    var mayRead: Bool { get }
    /// The connection has ended, whoever ended it. Called once.
    func ended(_ connection: Connection, reason: String)
}

/// One TCP connection: commands out, replies in. On its event loop only.
final class Connection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    private let user: any ConnectionUser
    private var context: ChannelHandlerContext?
    private var parser = ReplyParser()
    /// What has come and is no whole reply yet.
    private var pending = ByteBuffer()
    private var neededBytes = 1
    private var hasPendingRead = false
    private var isOver = false
    private var reason = "the broker closed the connection"
    /// Something was heard since this was last asked for.
    private var hasHeard = true
    private var isAskedForLife = false

    init(_ user: any ConnectionUser) { self.user = user }

    /// Nobody listened, and the kernel gave this connection its own target for a source: whatever
    /// it says comes back to itself, and the broker cannot have its port meanwhile.
    var isToItself: Bool {
        guard let channel = context?.channel, let own = channel.localAddress else { return false }
        return own == channel.remoteAddress
    }

    // MARK: Out

    /// Sends whole commands.
    func send(_ commands: ByteBuffer) {
        guard let context, !isOver else { return }
        context.writeAndFlush(wrapOutboundOut(commands), promise: nil)
    }

    func send(_ bytes: [UInt8]) {
        guard let context, !isOver else { return }
        send(context.channel.allocator.buffer(bytes: bytes))
    }

    /// Ends the connection; `ended` is called when that is done.
    func close(_ reason: String) {
        guard let context, !isOver else { return }
        self.reason = reason
        context.close(promise: nil)
    }

    /// Asks for a sign of life if nothing was heard since the last call. False if it was asked for
    /// then already.
    func checkLife() -> Bool {
        guard user.mayRead else {
            // What was said stands in the socket.
            hasHeard = true
            return true
        }
        defer { hasHeard = false }
        if hasHeard {
            isAskedForLife = false
            return true
        }
        if isAskedForLife { return false }
        isAskedForLife = true
        var ping: [UInt8] = []
        CommandWriter.ping(to: &ping)
        send(ping)
        return true
    }

    // MARK: In

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    private func end() {
        guard !isOver else { return }
        isOver = true
        context = nil
        pending = ByteBuffer()
        user.ended(self, reason: reason)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(Plain.text(error))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        var incoming = unwrapInboundIn(data)
        hasHeard = true
        if pending.readableBytes > 0 {
            pending.writeBuffer(&incoming)
            guard pending.readableBytes >= neededBytes else { return }
            incoming = pending
            pending = ByteBuffer()
        }
        takeReplies(&incoming)
        guard !isOver, incoming.readableBytes > 0 else { return }
        // Copied: a slice would keep the whole of what was read at once.
        pending.clear(minimumCapacity: incoming.readableBytes)
        pending.writeBuffer(&incoming)
    }

    private func takeReplies(_ bytes: inout ByteBuffer) {
        while !isOver {
            switch parser.next(in: bytes.readableBytesUInt8Span) {
            case .incomplete(let needed):
                neededBytes = needed
                return
            case .reply(.pong, let count): bytes.moveReaderIndex(forwardBy: count)
            case .reply(let reply, let count):
                guard user.received(reply, bytes, on: self) else {
                    close("the broker said something that nobody asked for")
                    return
                }
                bytes.moveReaderIndex(forwardBy: count)
            case .broken(let text):
                close("this is not what a broker says: \(text)")
                return
            }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if !isOver { user.receivedAll(on: self) }
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if user.mayRead { context.read() } else { hasPendingRead = true }
    }

    /// There may be room again for what was not read.
    func readAgain() {
        guard hasPendingRead, user.mayRead, let context else { return }
        hasPendingRead = false
        context.read()
    }
}

extension ByteBuffer {
    /// A copy of the bytes at `range`, which counts from the reader's index.
    func copied(_ range: Range<Int>) -> [UInt8] {
        getBytes(at: readerIndex + range.lowerBound, length: range.count) ?? []
    }

    func text(_ range: Range<Int>) -> String {
        getString(at: readerIndex + range.lowerBound, length: range.count) ?? ""
    }
}
