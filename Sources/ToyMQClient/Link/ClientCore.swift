internal import NIOConcurrencyHelpers
internal import NIOCore

/// All of a client that has to be ended, by whoever does that: the client itself, the last who lets
/// go of it, or the client whose thread it is on. For any thread.
final class ClientCore: Sendable {
    let queue: RequestQueue
    private let options: ClientOptions
    private let thread: ClientThread
    /// The thread is another client's.
    private let isGuest: Bool
    private let requests: NIOLoopBoundBox<Requests>
    /// Complete when nothing is left.
    private let over = Promise<Void>()

    private struct State {
        var isClosed = false
        var subscriptions: [UInt64: SubscriptionCore] = [:]
        var nextNumber: UInt64 = 0
    }
    private let state = NIOLockedValueBox(State())

    /// A client on a thread of its own, or on that of `host`.
    init(_ options: ClientOptions, onThreadOf host: ClientCore?) {
        self.options = options
        thread = host?.thread ?? ClientThread()
        isGuest = host != nil
        queue = RequestQueue(options)
        requests = NIOLoopBoundBox.makeBoxSendingValue(
            Requests(queue, thread.loop, options), eventLoop: thread.loop)
        if isGuest { thread.add(self) }
    }

    /// Has the loop send what is in the queue. False if it has gone.
    func drain() -> Bool { thread.execute { [requests] in requests.value.drain() } }

    /// Begins a subscription.
    func subscribe(topic: String, consumer: String) throws(ClientError) -> SubscriptionCore {
        let core = try state.withLock { state throws(ClientError) -> SubscriptionCore in
            guard !state.isClosed else { throw .closed }
            let number = state.nextNumber
            state.nextNumber += 1
            let core = SubscriptionCore(thread, options, topic: topic, consumer: consumer) {
                [weak self] in self?.forget(number)
            }
            state.subscriptions[number] = core
            return core
        }
        core.start()
        return core
    }

    private func forget(_ number: UInt64) {
        state.withLockedValue { $0.subscriptions[number] = nil }
    }

    // MARK: Ending

    /// Takes nothing more, and has the loop end what there is. The first call counts.
    func close(within timeout: Duration) {
        let isFirst = state.withLockedValue { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard isFirst else { return }
        queue.close()
        let timeout = TimeAmount(min(max(timeout, .zero), ClientOptions.longestDuration))
        let isEnding = thread.execute { [self] in
            if isGuest { return end(within: timeout) {} }
            // Under the same deadline as the guests.
            thread.endGuests(within: timeout) {}
            end(within: timeout) { [self] in
                thread.end(within: timeout) { [over] in over.complete(.success(())) }
            }
        }
        if isEnding { return }
        let subscriptions = state.withLockedValue { Array($0.subscriptions.values) }
        for subscription in subscriptions { subscription.finish() }
        over.complete(.success(()))
    }

    /// Comes back when nothing is left, however often the task is cancelled meanwhile.
    func waitUntilOver() async { _ = await over.outcome() }

    /// On the loop. Ends everything but the thread, and calls `done` when nothing is left. May be
    /// called again, for a sooner end.
    func end(within timeout: TimeAmount, _ done: @escaping () -> Void) {
        let subscriptions = state.withLockedValue { state in
            state.isClosed = true
            return Array(state.subscriptions.values)
        }
        queue.close()
        var left = subscriptions.count + 1
        func oneIsOver() {
            left -= 1
            guard left == 0 else { return }
            if isGuest {
                thread.remove(self)
                over.complete(.success(()))
            }
            done()
        }
        for subscription in subscriptions { subscription.end(within: timeout, oneIsOver) }
        requests.value.close(timeout: timeout, oneIsOver)
    }
}
