import Broker
import DataDirectory
import Logging
import NIOCore
import Threads
import WAL
import Wire

/// One connection: takes commands off what the client sends, answers in their order, and sends
/// deliveries in between. The only owner of its channel, on one event loop.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = Never
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    /// How far a connection has come.
    enum Phase {
        case open
        /// No command is taken any more; it closes when everything has been answered.
        case finishing
        /// Its last answer is out and so is the end of the stream; what still comes is thrown away,
        /// so that the answer is not lost to a reset.
        case draining(until: UInt64)
        case closed
    }

    /// Why no command is taken for the moment.
    enum Stall {
        /// A topic is being made or opened again, or its log has no room.
        case topic
        /// Too many answers wait for others.
        case answers
        /// It has had the loop for long enough: the others go first.
        case turn
    }

    /// A topic that was published into, found without a look-up next time. A class, so that taking
    /// it in hand for a message counts one reference and not three.
    final class Target {
        let name: [UInt8]
        let topic: Topic
        let port: PublishPort

        init(name: [UInt8], topic: Topic, port: PublishPort) {
            self.name = name
            self.topic = topic
            self.port = port
        }
    }

    let loop: LoopContext
    var service: Service { loop.service }
    let peer: String
    var tag: UInt64 = 0
    var context: ChannelHandlerContext?
    var isTouched = false

    var parser: CommandParser
    private(set) var unfinished: Unfinished
    var phase = Phase.open
    var stall: Stall?
    var turn = Turn()
    /// What came of the command that was stalled: it is answered with this.
    var stalledFailure: BrokerError?
    /// Commands were taken that a read has brought.
    private var hasPendingRead = false
    /// The client has closed its sending side.
    var hasEnded = false

    var answers = AnswerQueue()
    /// Answers to be written with the next flush.
    var output = ByteBuffer()
    var hasWritten = false
    var direct: DirectOutput?
    /// As the channel last said: asking it costs more than all else that is done for a small
    /// command.
    var isWritable = true
    /// Everything is with the kernel.
    var isWritten = false
    /// And the client's kernel has said that it has all answers.
    var isDelivered = false
    var sent = SentBytes()
    /// How long a client may take to read its last answers, in nanoseconds.
    static let longestFlush: UInt64 = 300_000_000_000
    /// How long a client that has everything may take to close its side while the broker stops.
    static let stoppingDrain: UInt64 = 50_000_000

    var target: Target?
    var feed: Feed?
    var lastGeneration: UInt64 = 0
    var hasSaidHello = false
    var isFirstCommand = true
    /// People were told that the client does something wrong.
    var isNoted = false

    var silence = Silence(MonotonicClock.now())

    init(_ loop: LoopContext, peer: String) {
        self.loop = loop
        self.peer = peer
        unfinished = Unfinished(loop.unfinished)
        parser = CommandParser(limits: loop.service.options.limits)
        parser.takesOnlyHello = loop.service.options.token != nil
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        tag = loop.add(self)
        direct = DirectOutput(context.channel)
        service.counters.connections.add()
        service.counters.openConnections.enter()
        if loop.isStopping { stop() }
    }

    func handlerRemoved(context: ChannelHandlerContext) { close(context) }

    func channelInactive(context: ChannelHandlerContext) {
        close(context)
        context.fireChannelInactive()
    }

    /// The connection is gone, whoever ended it.
    private func close(_ context: ChannelHandlerContext) {
        if case .closed = phase { return }
        if case .open = phase, !hasEnded { noteEnd() }
        phase = .closed
        feed?.close()
        feed = nil
        target = nil
        direct = nil
        self.context = nil
        unfinished.clear()
        service.counters.openConnections.leave()
        loop.remove(tag)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var incoming = unwrapInboundIn(data)
        service.counters.bytesIn.add(incoming.readableBytes)
        silence.stir()
        guard case .open = phase else { return }
        if unfinished.isEmpty {
            takeCommands(&incoming)
            keep(&incoming)
        } else {
            unfinished.add(&incoming)
            guard stall == nil else { return }
            guard unfinished.mayBeWhole else { return refuseIfTooMuch() }
            var bytes = unfinished.take()
            takeCommands(&bytes)
            keep(&bytes)
        }
        refuseIfTooMuch()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        flush()
        turn = Turn()
        context.fireChannelReadComplete()
    }

    /// Reads only when there is use for more: publishers are slowed, not buffered without end.
    func read(context: ChannelHandlerContext) {
        if mayRead { context.read() } else { hasPendingRead = true }
    }

    var mayRead: Bool {
        switch phase {
        case .open: return stall == nil && isWritable
        case .finishing: return false
        case .draining: return true
        case .closed: return false
        }
    }

    func readAgain() {
        guard hasPendingRead, mayRead, let context else { return }
        hasPendingRead = false
        // What has come meanwhile was not late.
        silence.stir()
        context.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        if isWritable {
            flush()
            readAgain()
        }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { inputEnded(context) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        service.logger.debug("connection failed", metadata: metadata("error", "\(error)"))
        context.close(promise: nil)
    }

    // MARK: Taking commands

    private func takeCommands(_ bytes: inout ByteBuffer) {
        while case .open = phase, stall == nil {
            switch parser.next(in: bytes.readableBytesUInt8Span) {
            case .incomplete(let needed):
                unfinished.neededBytes = needed
                return
            case .command(let command, let count):
                guard handle(command, bytes.readableBytesUInt8Span) else { return }
                service.counters.commands.add()
                isFirstCommand = false
                bytes.moveReaderIndex(forwardBy: count)
                commandTaken()
            case .refused(let refusal, let count):
                isFirstCommand = false
                countRefusal(of: bytes)
                note("refused: \(refusal)")
                answer(refusal)
                bytes.moveReaderIndex(forwardBy: count)
                commandTaken()
            case .outOfStep(let refusal):
                countRefusal(of: bytes)
                note("closing: \(refusal)")
                finish(with: refusal)
                return
            }
        }
    }

    /// Counts an error that the first command of `bytes` is answered with.
    func countRefusal(of bytes: ByteBuffer) {
        if CommandParser.beginsWithPublish(bytes.readableBytesUInt8Span) {
            service.counters.publishErrors.add()
        } else {
            service.counters.errors.add()
        }
    }

    /// Keeps what is left: copied, but where it is a turn that is waited for.
    private func keep(_ bytes: inout ByteBuffer) {
        guard case .open = phase, bytes.readableBytes > 0 else { return }
        if case .turn? = stall { unfinished.keep(bytes) } else { unfinished.keepCopy(&bytes) }
    }

    /// A stalled command may be tried again.
    func resume(_ failure: BrokerError?) {
        guard stall != nil else { return }
        stall = nil
        stalledFailure = failure
        var bytes = unfinished.take()
        takeCommands(&bytes)
        keep(&bytes)
        stalledFailure = nil
        if stall == nil, hasEnded { inputEnded() }
        readAgain()
    }

    // MARK: Answers

    /// Answers with what `write` appends, behind all answers before.
    func answer(_ write: (inout [UInt8]) -> Void) {
        loop.scratch.removeAll(keepingCapacity: true)
        write(&loop.scratch)
        if answers.isEmpty {
            output.writeBytes(loop.scratch)
        } else {
            answers.add(loop.scratch)
        }
    }

    func answer(_ refusal: Refusal) {
        answer { ReplyWriter.error(refusal, to: &$0) }
    }

    /// Answers, and closes behind it.
    func finish(with refusal: Refusal) {
        answer(refusal)
        finish()
    }

    func finish() {
        guard case .open = phase else { return }
        phase = .finishing
        answers.addClosing()
        unfinished.clear()
        feed?.close()
        feed = nil
    }
}
