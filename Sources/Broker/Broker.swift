public import DataDirectory
internal import Synchronization
public import SystemPackage
internal import Threads
public import WAL

/// What people should hear of.
public enum BrokerEvent: Sendable {
    /// A topic was opened, or made.
    case topicOpened(TopicName, RecoveryReport)
    /// A topic stays closed: it did not open, or was found damaged while it served.
    case topicClosed(TopicName, String)
    /// A topic takes nothing more until it has been opened again.
    case topicFailed(TopicName, String)
    /// offsets.json could not be written; it is tried again.
    case offsetsNotWritten(TopicName, String)
    /// offsets.json could not be written before the end: what was acknowledged since it last was is
    /// delivered again.
    case offsetsLeft(TopicName, String)
}

/// What closing a broker has left undone.
public struct Leftovers: Hashable, Sendable {
    /// Logs that were left as they are. Nothing is lost by that, opening them only has more to do.
    public let logs: Int
    /// Topics whose last acknowledgements are not in offsets.json: those messages are delivered
    /// again.
    public let positions: Int
}

/// What all topics share.
struct BrokerShared: Sendable {
    let options: BrokerOptions
    let layout: DataLayout
    let host: LogHost
    /// Threads for work that blocks and that nobody waits for on an event loop.
    let keepers: WorkPool
    let timekeeper: Timekeeper
    let events: @Sendable (BrokerEvent) -> Void
    let tickets = Tickets()
}

/// Tells publishes that wait for another one of their key apart: over all topics, since a
/// connection may wait in several.
final class Tickets: Sendable {
    private let count = Atomic<UInt64>(0)

    func next() -> UInt64 { count.wrappingAdd(1, ordering: .relaxed).oldValue }
}

/// Why a broker did not start.
public enum BrokerStartError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Somebody else has the data directory, or it is none.
    case locked(DataLockError)
    /// The directory could not be made or read.
    case disk(DiskError)

    /// One line for people.
    public var description: String {
        switch self {
        case .locked(let error): "\(error)"
        case .disk(let error): "\(error)"
        }
    }
}

/// All topics of a data directory. Whoever opens one closes it.
public final class Broker: Sendable {
    private struct State {
        var topics: [String: Topic] = [:]
        /// Topics that are being made, and who waits for each.
        var making: [String: [@Sendable (Result<Topic, BrokerError>) -> Void]] = [:]
        var isStopping = false
    }

    private let shared: BrokerShared
    private let lock: DataLock
    private let state: Monitor<State>

    /// How it behaves.
    public var options: BrokerOptions { shared.options }

    /// Takes the data directory and opens every topic in it, several at a time; a topic that does
    /// not open is closed, and the others serve. Blocks. `events` is called on any thread.
    public init(
        _ root: FilePath, storage: Storage = .local, options: BrokerOptions = BrokerOptions(),
        hostOptions: LogHost.Options = LogHost.Options(),
        events: @escaping @Sendable (BrokerEvent) -> Void = { _ in }
    ) throws(BrokerStartError) {
        let layout = DataLayout(root, storage: storage)
        let names: [TopicName]
        do throws(DataLockError) {
            try layout.checkPlace()
        } catch { throw .locked(error) }
        do throws(DiskError) {
            try layout.create()
        } catch { throw .disk(error) }
        do throws(DataLockError) {
            lock = try DataLock.acquire(layout)
        } catch { throw .locked(error) }
        do throws(DiskError) {
            names = try layout.topics().topics
        } catch {
            lock.release()
            throw .disk(error)
        }
        let shared = BrokerShared(
            options: options, layout: layout,
            host: LogHost(storage: storage, options: hostOptions), keepers: WorkPool(threads: 4),
            timekeeper: Timekeeper(), events: events)
        self.shared = shared
        let opened = Monitor([String: Topic]())
        // Each waits for several syncs: more threads than cores, and only for this.
        let openers = WorkPool(threads: min(8, max(1, names.count)))
        openers.forEach(names) { name in
            let result = TopicOpening.open(name, shared, known: nil)
            if case .failure(let error) = result { events(.topicClosed(name, "\(error)")) }
            let topic = Topic(name, shared, result)
            opened.withLock { $0[name.text] = topic }
        }
        openers.shutdown()
        state = Monitor(State(topics: opened.withLock { $0 }))
    }

    /// The topic of that name, if there is one already.
    public func topic(_ name: TopicName) -> Topic? {
        state.withLock { $0.topics[name.text] }
    }

    /// All topics, in no order: sorting ten thousand takes longer than all else that is asked of
    /// them.
    public var topics: [Topic] { state.withLock { Array($0.topics.values) } }

    /// The first topics behind `name` in the order of their names, up to `limit` of them. One look
    /// at each topic: sorting ten thousand for each page would keep an event loop from its clients.
    public func topics(after name: String, limit: Int) -> [Topic] {
        var first: [Topic] = []
        for topic in topics where topic.text > name {
            if first.count == limit {
                guard let last = first.last, topic.name < last.name else { continue }
                first.removeLast()
            }
            first.insert(topic, at: first.firstIndex { topic.name < $0.name } ?? first.count)
        }
        return first
    }

    /// How many topics there are.
    public var topicCount: Int { state.withLock { $0.topics.count } }

    /// Gives the topic of that name, made if there is none: once, however many ask at the same
    /// time. `done` is called at once or by another thread.
    public func makeTopic(
        _ name: TopicName, _ done: @escaping @Sendable (Result<Topic, BrokerError>) -> Void
    ) {
        enum Next { case known(Topic), make, join, refused(BrokerError) }
        let next = state.withLock { state -> Next in
            if let topic = state.topics[name.text] { return .known(topic) }
            if state.isStopping { return .refused(.stopping) }
            if state.making[name.text] != nil {
                state.making[name.text]?.append(done)
                return .join
            }
            guard state.topics.count + state.making.count < shared.options.topicLimit else {
                return .refused(.busy("there are \(state.topics.count) topics already"))
            }
            state.making[name.text] = [done]
            return .make
        }
        switch next {
        case .known(let topic): done(.success(topic))
        case .refused(let error): done(.failure(error))
        case .join: break
        case .make: shared.keepers.run { self.made(name, self.make(name)) }
        }
    }

    private func make(_ name: TopicName) -> Result<Topic, BrokerError> {
        do throws(DiskError) {
            try shared.layout.create(name)
        } catch {
            return .failure(.notWritten("\(error)"))
        }
        switch TopicOpening.open(name, shared, known: nil) {
        case .success(let opened): return .success(Topic(name, shared, .success(opened)))
        case .failure(let error): return .failure(error)
        }
    }

    private func made(_ name: TopicName, _ result: Result<Topic, BrokerError>) {
        let waiting = state.withLock { state in
            if case .success(let topic) = result { state.topics[name.text] = topic }
            return state.making.removeValue(forKey: name.text) ?? []
        }
        for done in waiting { done(result) }
    }

    /// Opens a topic again that takes nothing since its log failed, or one that could not be opened
    /// before. `done` is called when that has worked or failed: at once, or by another thread.
    public func reopen(_ topic: Topic, _ done: @escaping @Sendable () -> Void) {
        topic.reopen(done)
    }

    /// Answers what waits for the disk, writes what is acknowledged, closes the logs and gives the
    /// directory up. Blocks. Nothing may be asked of the broker any more.
    ///
    /// Logs that are not closed when `deadline` (monotonic nanoseconds) has passed are left as they
    /// are, and until then positions that could not be written are tried again; without one nothing
    /// is.
    @discardableResult
    public func close(deadline: UInt64? = nil) -> Leftovers {
        state.withLock { $0.isStopping = true }
        // Nothing is written at a time any more: what is left is written below.
        shared.timekeeper.shutdown()
        shared.keepers.shutdown()
        let topics = topics
        // A sync takes the file system as long for many files as for one.
        let closers = WorkPool(threads: min(32, max(1, topics.count)))
        var unwritten = Broker.writeOffsets(topics, closers)
        if deadline != nil { tell(unwritten, BrokerEvent.offsetsNotWritten) }
        let left = Monitor(0)
        closers.forEach(topics) { topic in
            if MonotonicClock.now() < deadline ?? .max {
                topic.close()
            } else {
                left.withLock { $0 += 1 }
            }
        }
        // Closing the logs may have made the room for them.
        if let deadline { writeOffsetsAgain(&unwritten, closers, until: deadline) }
        tell(unwritten, BrokerEvent.offsetsLeft)
        closers.shutdown()
        shared.host.shutdown()
        lock.release()
        return Leftovers(logs: left.withLock { $0 }, positions: unwritten.count)
    }

    private typealias Unwritten = (topic: Topic, reason: String)

    /// Tries positions that could not be written again, until that works or the deadline has
    /// passed.
    private func writeOffsetsAgain(
        _ unwritten: inout [Unwritten], _ pool: WorkPool, until deadline: UInt64
    ) {
        var pause = shared.options.offsetsDelay
        while !unwritten.isEmpty, MonotonicClock.now() < deadline {
            MonotonicClock.sleep(until: min(deadline, MonotonicClock.now() + pause))
            unwritten = Broker.writeOffsets(unwritten.map(\.topic), pool)
            pause = min(pause * 2, 1_000_000_000)
        }
    }

    /// Writes what is acknowledged. Gives where that failed.
    private static func writeOffsets(_ topics: [Topic], _ pool: WorkPool) -> [Unwritten] {
        let unwritten = Monitor([Unwritten]())
        pool.forEach(topics) { topic in
            do throws(OffsetsFileError) {
                try topic.writeOffsets()
            } catch {
                unwritten.withLock { $0.append((topic, "\(error)")) }
            }
        }
        return unwritten.withLock { $0 }
    }

    private func tell(
        _ unwritten: [Unwritten], _ event: (TopicName, String) -> BrokerEvent
    ) {
        for (topic, reason) in unwritten { shared.events(event(topic.name, reason)) }
    }
}
