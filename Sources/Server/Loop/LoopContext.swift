import Broker
import Logging
import NIOCore
import Threads

/// What the connections of one event loop share. Touched on that loop only, but for `inbox` and
/// `loop`: hence unchecked.
final class LoopContext: @unchecked Sendable {
    let loop: any EventLoop
    let service: Service
    private(set) var inbox: Inbox!
    let turns = Turns()
    /// Memory taken for commands that have not come whole.
    let unfinished = Unfinished.Total()
    /// For encoding answers.
    var scratch: [UInt8] = []
    private var connections: [UInt64: ConnectionHandler] = [:]
    private var nextTag: UInt64 = 0
    private var spare: [(tag: UInt64, event: Inbox.Event)] = []
    /// Topics that were published into since the last commit was asked for.
    private var dirty: [Topic] = []
    /// The last of them.
    private var lastDirty: ObjectIdentifier?
    private var isTicking = false
    /// Who published last, and for how many ticks nobody else has.
    private var publisher: UInt64 = 0
    private var ticksOfPublisher = 0
    /// Not before then is anything committed on the loop; 0 is any time.
    private var nextCommitHere: UInt64 = 0
    /// How long the last commits on the loop have taken, in nanoseconds.
    private var averageCommit: UInt64 = 0
    private var commitTick: (@Sendable () -> Void)!
    private var sweep: RepeatedTask?
    private var whenEmpty: EventLoopPromise<Void>?
    private(set) var isStopping = false

    init(_ loop: any EventLoop, _ service: Service) {
        self.loop = loop
        self.service = service
        inbox = Inbox(loop) { [weak self] in self?.drain() }
        commitTick = { [weak self] in self?.commit() }
    }

    /// Begins looking for connections that have taken too long.
    func start() {
        let options = service.options
        let timeouts = [options.handshakeTimeout, options.frameTimeout, options.idleTimeout]
        let shortest = timeouts.compactMap(\.self).reduce(options.drainTimeout, min)
        let pause = min(max(shortest / 8, 1_000_000), 1_000_000_000)
        let interval = TimeAmount.nanoseconds(Int64(pause))
        sweep = loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) {
            [weak self] _ in
            self?.lookForTimeouts()
        }
    }

    // MARK: Connections

    func add(_ connection: ConnectionHandler) -> UInt64 {
        nextTag += 1
        connections[nextTag] = connection
        return nextTag
    }

    func remove(_ tag: UInt64) {
        connections[tag] = nil
        if connections.isEmpty { whenEmpty?.succeed() }
    }

    private func lookForTimeouts() {
        let now = MonotonicClock.now()
        for connection in connections.values { connection.checkTimeouts(now) }
    }

    // MARK: Publishing

    /// Has the topic's log commit what was appended, when all sockets that are ready were read:
    /// what is executed from inside the loop comes behind them, and needs no wake-up.
    func needsCommit(_ topic: Topic, for tag: UInt64) {
        if tag != publisher {
            publisher = tag
            ticksOfPublisher = 0
        }
        if lastDirty != ObjectIdentifier(topic) {
            lastDirty = ObjectIdentifier(topic)
            if !dirty.contains(where: { $0 === topic }) { dirty.append(topic) }
        }
        guard !isTicking else { return }
        isTicking = true
        loop.execute(commitTick)
    }

    private func commit() {
        isTicking = false
        ticksOfPublisher += 1
        if let topic = dirty.first, dirty.count == 1, mayCommitHere {
            let begin = MonotonicClock.now()
            topic.commitBlocking()
            let end = MonotonicClock.now()
            note(min(end - begin, 4 * LoopContext.slowCommit), at: end)
        } else {
            for topic in dirty { topic.commit() }
        }
        dirty.removeAll(keepingCapacity: true)
        lastDirty = nil
    }

    /// One slow commit among many quick ones is no slow disk.
    private func note(_ nanoseconds: UInt64, at time: UInt64) {
        averageCommit = (7 * averageCommit + nanoseconds) / 8
        guard averageCommit > LoopContext.slowCommit else { return }
        averageCommit = 0
        nextCommitHere = time + LoopContext.pause
    }

    /// While one connection alone publishes, and the disk is quick, its commits are made on the
    /// loop: two hand-overs between threads cost as much as the sync. Everything else on the loop
    /// waits for that sync, for as long as a disk hangs; metrics have a loop of their own.
    private var mayCommitHere: Bool {
        ticksOfPublisher >= LoopContext.ticksOfSolePublisher
            && (nextCommitHere == 0 || MonotonicClock.now() >= nextCommitHere)
    }

    private static let ticksOfSolePublisher = 8
    /// Commits that take longer on average show a slow disk, in nanoseconds.
    private static let slowCommit: UInt64 = 2_000_000
    /// For so long nothing is committed on the loop then.
    private static let pause: UInt64 = 1_000_000_000

    /// Hands what other threads have told to the connections, and lets each write once.
    private func drain() {
        var events = inbox.take(spare)
        spare = []
        var touched: [ConnectionHandler] = []
        for (tag, event) in events {
            guard let connection = connections[tag] else { continue }
            if case .published(let topic, let first, let count) = event,
                connection.answerAtOnce(topic, first: first, count: count)
            {
                continue
            }
            connection.handle(event)
            if !connection.isTouched {
                connection.isTouched = true
                touched.append(connection)
            }
        }
        for connection in touched {
            connection.isTouched = false
            connection.flush()
        }
        events.removeAll(keepingCapacity: events.count <= 4096)
        spare = events
    }

    // MARK: Stopping

    /// Takes no more commands; connections close when they have been answered. `done` is fulfilled
    /// when none is left.
    func stop(_ done: EventLoopPromise<Void>) {
        isStopping = true
        whenEmpty = done
        for connection in connections.values { connection.stop() }
        if connections.isEmpty { done.succeed() }
    }

    /// Closes whatever is left.
    func abandon() {
        for connection in connections.values { connection.abandon() }
    }

    func end() {
        inbox.close()
        sweep?.cancel()
        sweep = nil
    }
}
