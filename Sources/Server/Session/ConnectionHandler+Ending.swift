import Broker
import NIOCore
import Threads
import Wire

/// How a connection ends: by its client, by its last answer, with the broker, or by a timeout.
extension ConnectionHandler {
    /// The client has closed its sending side. Everything that it asked is still answered.
    func inputEnded(_ context: ChannelHandlerContext) {
        hasEnded = true
        if case .draining = phase {
            if isWritten { context.close(promise: nil) }
            return
        }
        // What is stalled is still to be done.
        if stall == nil { inputEnded() }
    }

    func inputEnded() {
        guard case .open = phase else { return }
        noteEnd()
        finish()
        flush()
    }

    func noteEnd() {
        switch CommandParser.end(rest: unfinished.buffer.readableBytes) {
        case .clean: service.counters.cleanEnds.add()
        case .torn:
            service.counters.tornEnds.add()
            note("the connection ended inside a command")
        }
    }

    /// Everything was answered: the stream ends when it is written. A client that has not closed
    /// its side gets the time to read what it was told.
    func closeOutput() {
        guard let context else { return }
        phase = .draining(until: MonotonicClock.now() + ConnectionHandler.longestFlush)
        let written: EventLoopFuture<Void>
        if hasEnded {
            // Half-closing behind the other half would close at once, and lose what waits.
            written = context.writeAndFlush(wrapOutboundOut(ByteBuffer()))
        } else {
            let promise = context.eventLoop.makePromise(of: Void.self)
            context.close(mode: .output, promise: promise)
            written = promise.futureResult
        }
        written.assumeIsolated().whenComplete { _ in self.outputEnded() }
        readAgain()
    }

    private func outputEnded() {
        guard case .draining = phase, let context else { return }
        isWritten = true
        if hasEnded {
            context.close(promise: nil)
            return
        }
        awaitDelivery()
    }

    /// When the client has everything, it gets a while to close its side. Until then it may take
    /// its time: closing now could lose what it has not read.
    private func awaitDelivery() {
        guard case .draining = phase, isWritten, !isDelivered, let context else { return }
        guard !hasUnsentAnswers else {
            // The sweep looks again, but not often enough for a broker that stops.
            if loop.isStopping {
                context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(5)) {
                    self.awaitDelivery()
                }
            }
            return
        }
        isDelivered = true
        let timeout =
            loop.isStopping
            ? ConnectionHandler.stoppingDrain : service.options.drainTimeout
        phase = .draining(until: MonotonicClock.now() + timeout)
        guard loop.isStopping else { return }
        context.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(timeout))) {
            self.context?.close(promise: nil)
        }
    }

    /// The broker stops: what was taken is answered, nothing more is taken.
    func stop() {
        if isDelivered { context?.close(promise: nil) }
        awaitDelivery()
        guard case .open = phase else { return }
        // Its command was taken, and a topic may have been made for it: it is answered, and then
        // the connection finishes.
        if case .topic? = stall { return }
        if answers.isEmpty, output.readableBytes == 0, !hasUnsentAnswers {
            // Nothing to wait for.
            phase = .finishing
            hasEnded = true
            context?.close(promise: nil)
            return
        }
        finish()
        flush()
    }

    /// Each of ten thousand clients may send a large message by halves; all of them together may
    /// not.
    func refuseIfTooMuch() {
        guard stall == nil, case .open = phase,
            unfinished.isTooMuch(service.options.unfinishedBytes / service.options.loops)
        else { return }
        let refusal = Refusal(.busy, "too many unfinished commands, try again later")
        note("closing: \(refusal)")
        countRefusal(of: unfinished.buffer)
        finish(with: refusal)
    }

    func abandon() { context?.close(promise: nil) }

    func checkTimeouts(_ now: UInt64) {
        switch phase {
        case .open: checkSilence(now)
        case .draining(let until):
            if now >= until {
                context?.close(promise: nil)
            } else if !loop.isStopping {
                awaitDelivery()
            }
        case .finishing, .closed: return
        }
    }

    private func checkSilence(_ now: UInt64) {
        guard mayRead, answers.isEmpty else { return silence.excuse() }
        let client = Silence.Standing(
            isNew: isFirstCommand, isWithinCommand: !unfinished.isEmpty,
            // One that another connection has taken over gets nothing any more.
            isSubscribed: feed?.subscription.demand != nil)
        if let text = silence.look(now, client, service.options) { timeOut(text) }
    }

    private func timeOut(_ text: String) {
        service.counters.timeouts.add()
        note("closing: \(text)")
        // It is neither a client that left nor one that crashed.
        phase = .finishing
        context?.close(promise: nil)
    }
}
