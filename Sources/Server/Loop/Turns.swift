import Broker
import DequeModule
import Glibc
import NIOCore
import NIOPosix
import Threads

/// Connections that have had their loop for long enough, and go on when all its sockets have been
/// looked at. What a loop is told to execute runs before it does that, however much it is: so a
/// byte goes through a pipe, which the loop meets among its sockets. On the loop only.
final class Turns: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// As long as a commit on the loop may take, in nanoseconds.
    static let longest: UInt64 = 2_000_000
    /// While others wait for their turn.
    static let longestOfMany: UInt64 = 200_000

    private var waiting: Deque<ConnectionHandler> = []
    private var context: ChannelHandlerContext?
    /// The byte is under way.
    private var isRung = false

    /// Makes the pipe of a loop's turns; the loop closes it when it ends. Blocks: not on the loop.
    static func open(_ loop: LoopContext) throws {
        let ends = try pipeEnds()
        do {
            _ = try NIOPipeBootstrap(group: loop.loop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(loop.turns)
                    }
                }
                .takingOwnershipOfDescriptors(input: ends[0], output: ends[1]).wait()
        } catch {
            for end in ends { close(end) }
            throw error
        }
    }

    /// How long a connection may have the loop now, in nanoseconds.
    var limit: UInt64 { waiting.isEmpty ? Turns.longest : Turns.longestOfMany }

    /// Lets `connection` go on when those before it had their turn.
    func add(_ connection: ConnectionHandler) {
        waiting.append(connection)
        ring()
    }

    private func ring() {
        guard !isRung, let context else { return }
        isRung = true
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: [0])), promise: nil)
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        waiting = []
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isRung = false
        let end = MonotonicClock.now() + Turns.longest
        while let next = waiting.popFirst() {
            next.takeTurn()
            if MonotonicClock.now() >= end { break }
        }
        if !waiting.isEmpty { ring() }
    }
}
