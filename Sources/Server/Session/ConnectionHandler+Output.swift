import NIOCore
import WAL
import Wire

/// What a connection writes: answers, and deliveries between them.
extension ConnectionHandler {
    /// Writes what has become ready, and goes on with commands that waited for that.
    func flush() {
        while true {
            writeReady()
            if endIfUnreadable() { continue }
            guard case .answers? = stall, !answers.isFull, context != nil, isWritable
            else { return }
            resume(nil)
        }
    }

    /// With one system call where that can be.
    private func writeReady() {
        guard let context else { return }
        var isClosing = false
        while let next = answers.next() {
            switch next {
            case .text(let text): output.writeBytes(text)
            case .outcome(let outcome): write(outcome)
            case .subscribed(let generation):
                output.writeString("OK 0\n")
                if let feed, feed.generation == generation { feed.start() }
            case .closing: isClosing = true
            }
        }
        writeOutput(context)
        if let feed {
            feed.deliver(hasRoom: { self.isWritable }) { buffer, count, isDue in
                service.counters.delivered.add(count)
                if isDue { service.counters.redelivered.add(count) }
                write(buffer, context)
            }
        }
        if hasWritten {
            hasWritten = false
            context.flush()
        }
        // The channel has let go of the memory by now, unless the client does not read.
        if output.readableBytes == 0, output.writerIndex > 0 {
            if output.capacity > 16 << 10 { output = ByteBuffer() } else { output.clear() }
        }
        if isClosing { closeOutput() }
    }

    /// A small command may have a large answer: no more are taken before those are on their way.
    func stallIfFull() {
        if answers.isFull || output.readableBytes > ConnectionHandler.mostOutputBytes {
            stall = .answers
        }
    }
    static let mostOutputBytes = 256 << 10

    /// Answers publishes that have become durable, if they are all that this connection waits for
    /// and its answer can go straight to the socket; false if that takes more.
    func answerAtOnce(_ topic: ObjectIdentifier, first: MessageID, count: Int) -> Bool {
        guard feed == nil, stall == nil, !isTouched, !sent.mayBeQueued, output.readableBytes == 0,
            let direct, answers.takeAll(topic, count)
        else { return false }
        encode(.durable(first: first.rawValue, count: count))
        sent.beginAnswers(loop.scratch.count)
        let taken = direct.write(loop.scratch)
        service.counters.bytesOut.add(taken)
        sent.addToSocket(taken)
        if taken < loop.scratch.count {
            output.writeBytes(loop.scratch[taken...])
            flush()
        }
        return true
    }

    private func write(_ outcome: AnswerQueue.Outcome) {
        encode(outcome)
        output.writeBytes(loop.scratch)
    }

    /// Counts what came of publishes, and makes their answers in the loop's buffer.
    private func encode(_ outcome: AnswerQueue.Outcome) {
        loop.scratch.removeAll(keepingCapacity: true)
        switch outcome {
        case .durable(let first, let count):
            service.counters.published.add(count)
            ReplyWriter.ok(first: first, count: count, to: &loop.scratch)
        case .failed(let refusal, let count):
            service.counters.publishErrors.add(count)
            for _ in 0..<count { ReplyWriter.error(refusal, to: &loop.scratch) }
        }
    }

    private func writeOutput(_ context: ChannelHandlerContext) {
        guard output.readableBytes > 0 else { return }
        sent.beginAnswers(output.readableBytes)
        if let direct, mayWriteDirectly(context) {
            let taken = direct.write(output)
            service.counters.bytesOut.add(taken)
            sent.addToSocket(taken)
            output.moveReaderIndex(forwardBy: taken)
            guard output.readableBytes > 0 else { return }
        }
        write(output, context)
        // Taken now: flushing may call back, and nothing must be written twice.
        output.moveReaderIndex(to: output.writerIndex)
    }

    /// A consumer's answers go out together with its deliveries.
    private func mayWriteDirectly(_ context: ChannelHandlerContext) -> Bool {
        guard feed == nil, !hasWritten else { return false }
        guard sent.mayBeQueued else { return true }
        sent.found(queued: queuedBytes(context))
        return !sent.mayBeQueued
    }

    private func queuedBytes(_ context: ChannelHandlerContext) -> Int {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 1
    }

    /// Whether the client's kernel has not confirmed all answers yet. A connection that is closed
    /// while the client still sends is reset, and they may be lost.
    var hasUnsentAnswers: Bool {
        guard let context else { return false }
        return sent.hasAnswers(inLast: queuedBytes(context) + (direct?.unconfirmedBytes ?? 0))
    }

    private func write(_ buffer: ByteBuffer, _ context: ChannelHandlerContext) {
        service.counters.bytesOut.add(buffer.readableBytes)
        sent.addToChannel(buffer.readableBytes)
        context.write(wrapOutboundOut(buffer), promise: nil)
        hasWritten = true
    }
}
