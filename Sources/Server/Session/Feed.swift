import Broker
import DataDirectory
import DequeModule
import NIOCore
import WAL

/// The deliveries of one SUB: reads ahead a little, and sends what the consumer's window and the
/// connection's buffer have room for. On the connection's loop only, but for `read`.
final class Feed {
    let subscription: Subscription
    /// The consumer's name, as it is in commands.
    let consumer: [UInt8]
    let generation: UInt64
    private let tag: UInt64
    private let source: Source
    private let context: LoopContext
    /// Read and not delivered yet, oldest first.
    private var ahead: Deque<DeliveryChunk> = []
    /// How many of the first chunk have been delivered.
    private var delivered = 0
    /// The answer to SUB is out.
    private var isStarted = false
    private var isReading = false
    /// All that is durable was read, and a wake-up was asked for.
    private var isWaiting = false
    private var failure: Failure?

    /// What came of reading.
    enum Reading: Sendable {
        case read(DeliveryChunk)
        /// Not a message could be read; if it was one due once more, which.
        case failed(LogError, due: MessageID?)
    }

    /// Why nothing more can be read.
    private struct Failure {
        let error: LogError
        /// If it is something due once more: what is due before it can be read all the same.
        let due: MessageID?
        /// How often something of the consumer had timed out when that was last looked at.
        var timeouts: UInt64
        /// Something in flight has timed out since nothing more can be delivered.
        var hasTimedOut = false

        /// Whether what is to be read next is behind it, or it itself.
        func isInTheWay(of demand: Subscription.Demand) -> Bool {
            guard let due else { return demand.due == 0 }
            guard let first = demand.firstDue else { return true }
            return first >= due
        }
    }

    /// What reading needs, on any thread.
    struct Source: Sendable {
        let subscription: Subscription
        let topic: [UInt8]
        let hasOptions: Bool
        let allocator: ByteBufferAllocator

        /// The next deliveries: what is due once more goes first. Blocks on the disk. What could be
        /// read before something that could not goes first, too: the next call meets that again.
        func read() -> Reading {
            var chunk = DeliveryChunk(allocator)
            do throws(Subscription.UnreadableDue) {
                try fillWithDue(&chunk)
            } catch {
                if chunk.ids.isEmpty { return .failed(error.cause, due: error.id) }
            }
            guard chunk.ids.isEmpty else { return .read(chunk) }
            do throws(LogError) {
                try fill(&chunk)
            } catch {
                if chunk.ids.isEmpty { return .failed(error, due: nil) }
            }
            return .read(chunk)
        }

        private func fillWithDue(
            _ chunk: inout DeliveryChunk
        ) throws(Subscription.UnreadableDue) {
            var line: [UInt8] = []
            chunk.isDue = true
            _ = try subscription.readDue { message, attempts in
                chunk.add(
                    message, topic: topic, attempt: hasOptions ? attempts + 1 : nil, line: &line)
                return chunk.isFull ? .stop : .next
            }
        }

        private func fill(_ chunk: inout DeliveryChunk) throws(LogError) {
            var line: [UInt8] = []
            chunk.isDue = false
            let count = try subscription.read(upTo: DeliveryChunk.messages) { message in
                chunk.add(message, topic: topic, attempt: hasOptions ? 1 : nil, line: &line)
                return chunk.isFull ? .stop : .next
            }
            chunk.isLast = count < DeliveryChunk.messages && !chunk.isFull
        }
    }

    init(
        _ subscription: Subscription, generation: UInt64, tag: UInt64, hasOptions: Bool,
        _ context: LoopContext, _ allocator: ByteBufferAllocator
    ) {
        self.subscription = subscription
        consumer = Array(subscription.consumer.text.utf8)
        self.generation = generation
        self.tag = tag
        self.context = context
        source = Source(
            subscription: subscription, topic: Array(subscription.topic.text.utf8),
            hasOptions: hasOptions, allocator: allocator)
    }

    func start() { isStarted = true }

    /// There is more than before: published, or in flight for too long.
    func woken() {
        isWaiting = false
        guard let timeouts = subscription.demand?.timeouts, let since = failure?.timeouts,
            timeouts != since
        else { return }
        failure?.timeouts = timeouts
        // A slow consumer gets all that was read all the same.
        if failure?.due != nil || ahead.isEmpty { failure?.hasTimedOut = true }
    }

    /// A reader's thread has read.
    func receive(_ reading: Reading) {
        isReading = false
        switch reading {
        case .read(let chunk): receive(chunk)
        case .failed(let error, let due):
            // One that another connection has taken over comes to no end of its own.
            guard let demand = subscription.demand else { return }
            failure = Failure(
                error: error, due: due, timeouts: demand.timeouts,
                hasTimedOut: failure?.hasTimedOut ?? false)
        }
    }

    /// Why the subscription is to be ended: what comes next cannot be read, and all before it was
    /// delivered and acknowledged, or not within its time. Ended sooner, it would lose the
    /// acknowledgements that are on their way.
    var end: LogError? {
        guard let failure, let demand = subscription.demand else { return nil }
        if failure.hasTimedOut { return failure.error }
        guard demand.inFlight == 0, failure.isInTheWay(of: demand) else { return nil }
        return failure.due != nil || ahead.isEmpty ? failure.error : nil
    }

    private func receive(_ chunk: DeliveryChunk) {
        if chunk.ids.isEmpty {
            settle(isLast: true)
            return
        }
        if chunk.isDue {
            // The disk has given it after all.
            if let unreadable = failure?.due, chunk.ids.contains(unreadable) { failure = nil }
            // They go out before anything that was never delivered, and take no room in the window.
            if delivered > 0, var first = ahead.popFirst() {
                first.skip(delivered)
                ahead.prepend(first)
                delivered = 0
            }
            ahead.prepend(chunk)
            return
        }
        ahead.append(chunk)
        settle(isLast: chunk.isLast)
    }

    private func settle(isLast: Bool) {
        if isLast { isWaiting = subscription.waitForMore() }
    }

    /// Hands what may go out to `send`, until that says that it is enough. `hasRoom` is asked
    /// before each.
    func deliver(hasRoom: () -> Bool, send: (ByteBuffer, _ count: Int, _ isDue: Bool) -> Void) {
        guard isStarted else { return }
        while hasRoom() {
            guard let first = ahead.first else { break }
            if first.isDue {
                // What is left of it is read again, behind what has become due before it.
                ahead.removeFirst()
                let count = subscription.claimDue(first.ids)
                if count > 0 { send(first.slice(0, count), count, true) }
                continue
            }
            // None if the window is full or something is due that is not read yet.
            let count = subscription.claim(first.ids[delivered...])
            guard count > 0 else { break }
            send(first.slice(delivered, delivered + count), count, false)
            delivered += count
            if delivered == first.ids.count {
                ahead.removeFirst()
                delivered = 0
            }
        }
        // A client that does not read has enough in the channel's buffer.
        if hasRoom() { readAhead() }
    }

    /// Has a reader's thread read what comes next, if there is room for it.
    private func readAhead() {
        guard !isReading, let demand = subscription.demand else { return }
        if failure?.isInTheWay(of: demand) ?? false { return }
        if demand.due > 0 {
            guard ahead.first?.isDue != true else { return }
        } else if isWaiting || !hasRoomAhead {
            return
        }
        isReading = true
        let inbox: Inbox = context.inbox
        let (source, tag, generation) = (source, tag, generation)
        context.service.readers.run {
            inbox.post(tag, .read(generation: generation, source.read()))
        }
    }

    /// Two small chunks at most, or a large one: a message may have megabytes.
    private var hasRoomAhead: Bool {
        guard let first = ahead.first else { return true }
        return ahead.count == 1 && first.byteCount < DeliveryChunk.bytes
    }

    /// Reads on the loop what a commit has just made durable, for a consumer that had everything
    /// before: it is in the page cache. Nothing is read where something else is under way.
    func readFresh(hasRoom: Bool) {
        guard hasRoom, isStarted, !isReading, !isWaiting, ahead.isEmpty, failure == nil,
            let demand = subscription.demand, demand.due == 0, demand.room > 0
        else { return }
        receive(source.read())
    }

    func close() {
        subscription.end()
        ahead = []
    }
}
