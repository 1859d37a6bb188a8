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

    /// What reading needs, on any thread.
    struct Source: Sendable {
        let subscription: Subscription
        let topic: [UInt8]
        let hasOptions: Bool
        let allocator: ByteBufferAllocator

        /// The next deliveries: what is due once more goes first. Blocks on the disk.
        func read() -> Result<DeliveryChunk, LogError> {
            var chunk = DeliveryChunk(allocator)
            var line: [UInt8] = []
            do throws(LogError) {
                _ = try subscription.readDue { message, attempts in
                    chunk.add(
                        message, topic: topic, attempt: hasOptions ? attempts + 1 : nil,
                        line: &line)
                    return chunk.isFull ? .stop : .next
                }
                if !chunk.ids.isEmpty {
                    chunk.isDue = true
                    return .success(chunk)
                }
                let count = try subscription.read(upTo: DeliveryChunk.messages) { message in
                    chunk.add(message, topic: topic, attempt: hasOptions ? 1 : nil, line: &line)
                    return chunk.isFull ? .stop : .next
                }
                chunk.isLast = count < DeliveryChunk.messages && !chunk.isFull
                return .success(chunk)
            } catch { return .failure(error) }
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

    /// There is more than before.
    func woken() { isWaiting = false }

    /// A chunk has come.
    func receive(_ chunk: DeliveryChunk) {
        isReading = false
        if chunk.ids.isEmpty {
            settle(isLast: true)
            return
        }
        if chunk.isDue {
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

    /// Hands what may go out to `send`, until that says that it is enough. `hasRoom` is asked before
    /// each.
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
        readAhead()
    }

    /// Has a reader's thread read what comes next, if there is room for it.
    private func readAhead() {
        guard !isReading, let demand = subscription.demand else { return }
        if demand.due > 0 {
            guard ahead.first?.isDue != true else { return }
        } else if isWaiting || ahead.count > 1 {
            return
        }
        isReading = true
        let inbox: Inbox = context.inbox
        let (source, tag, generation) = (source, tag, generation)
        context.service.readers.run {
            inbox.post(tag, .read(generation: generation, source.read()))
        }
    }

    /// Reads on the loop what a commit has just made durable, for a consumer that had everything
    /// before: it is in the page cache. Nothing is read where something else is under way.
    func readFresh() -> Result<Void, LogError> {
        guard isStarted, !isReading, !isWaiting, ahead.isEmpty,
            let demand = subscription.demand, demand.due == 0, demand.room > 0
        else { return .success(()) }
        switch source.read() {
        case .success(let chunk):
            receive(chunk)
            return .success(())
        case .failure(let error): return .failure(error)
        }
    }

    func end() {
        subscription.end()
        ahead = []
    }
}
