import NIOConcurrencyHelpers
import Threads
import WAL

// The locks of the benchmark are NIO's: ThreadSanitizer sees what a `Synchronization.Mutex` guards
// as unguarded.

/// Callers in a closed loop, for the time of one slice.
struct Callers {
    let log: Log
    let style: Style
    let count: Int
    let payload: [UInt8]

    /// Lets them append until `deadline` (monotonic nanoseconds) and waits until everything is
    /// durable. Gives how long each message took, from before the append to when its caller knew.
    func run(until deadline: UInt64) throws -> Histogram {
        switch style {
        case .blocking: try runBlocking(deadline)
        case .callback: try CallbackLoop(self, deadline).run()
        case .async: try runTasks(deadline)
        case .observer: try ObserverLoop(self, deadline).run()
        }
    }

    /// What the callers have found, put together at the end of each.
    private final class Sum: Sendable {
        private let state = NIOLockedValueBox<(latency: Histogram, failure: LogError?)>(
            (Histogram(), nil))

        func add(_ latency: Histogram, _ failure: LogError?) {
            state.withLockedValue {
                $0.latency.add(latency)
                $0.failure = $0.failure ?? failure
            }
        }

        func latency() throws -> Histogram {
            let (latency, failure) = state.withLockedValue { $0 }
            if let failure { throw failure }
            return latency
        }
    }

    private func runBlocking(_ deadline: UInt64) throws -> Histogram {
        let sum = Sum()
        let (log, payload) = (log, payload)
        try onThreads(count) { _ in
            var latency = Histogram()
            var before = MonotonicClock.now()
            do throws(LogError) {
                repeat {
                    _ = try log.appendBlocking(Message(payload: payload.span.bytes))
                    let now = MonotonicClock.now()
                    latency.record(now - before)
                    before = now
                } while before < deadline
                sum.add(latency, nil)
            } catch {
                sum.add(latency, error)
            }
        }
        return try sum.latency()
    }

    private func runTasks(_ deadline: UInt64) throws -> Histogram {
        let sum = Sum()
        let gate = Gate(count)
        let (log, payload) = (log, payload)
        for _ in 0..<count {
            Task.detached {
                var latency = Histogram()
                var before = MonotonicClock.now()
                do throws(LogError) {
                    repeat {
                        _ = try await log.append(Message(payload: payload.span.bytes))
                        let now = MonotonicClock.now()
                        latency.record(now - before)
                        before = now
                    } while before < deadline
                    sum.add(latency, nil)
                } catch {
                    sum.add(latency, error)
                }
                gate.add(-1)
            }
        }
        gate.wait()
        return try sum.latency()
    }
}

/// Callers whose next message is appended by the completion of the one before.
///
/// Unchecked, since the log calls back one after the other, in the order of the ids: what is below
/// `latency` is touched by completions only, and behind `gate` by the one who waited.
private final class CallbackLoop: @unchecked Sendable {
    /// One of them. Its time is written before an append and read in the completion of that append.
    private final class Caller: @unchecked Sendable {
        var before: UInt64 = 0
    }

    private let callers: Callers
    private let deadline: UInt64
    private let gate: Gate
    private var latency = Histogram()
    private var failure: LogError?

    init(_ callers: Callers, _ deadline: UInt64) {
        self.callers = callers
        self.deadline = deadline
        gate = Gate(callers.count)
    }

    func run() throws -> Histogram {
        for number in 0..<callers.count {
            let caller = Caller()
            caller.before = MonotonicClock.now()
            do throws(LogError) {
                try append(for: caller)
            } catch {
                // Those who have not begun never will.
                gate.add(number - callers.count)
                gate.wait()
                throw error
            }
        }
        gate.wait()
        if let failure { throw failure }
        return latency
    }

    private func append(for caller: Caller) throws(LogError) {
        let payload = callers.payload
        try callers.log.append(Message(payload: payload.span.bytes)) { result in
            self.completed(result, of: caller)
        }
    }

    private func completed(_ result: Result<MessageID, LogError>, of caller: Caller) {
        let now = MonotonicClock.now()
        do throws(LogError) {
            _ = try result.get()
            latency.record(now - caller.before)
            if now < deadline {
                caller.before = now
                try append(for: caller)
                return
            }
        } catch {
            failure = failure ?? error
        }
        gate.add(-1)
    }
}

/// One thread that stands for all callers.
private final class ObserverLoop: AppendObserver {
    private struct State {
        var durable = 0
        var failure: LogError?
        var isAwaited = false
    }

    private let callers: Callers
    private let deadline: UInt64
    private let state = NIOLockedValueBox(State())
    /// The one thread waits here, and is woken only when it does.
    private let wakeup = Semaphore()

    init(_ callers: Callers, _ deadline: UInt64) {
        self.callers = callers
        self.deadline = deadline
    }

    func appended(first: MessageID, count: Int, tag: UInt64) {
        let isAwaited = state.withLockedValue { state in
            state.durable += count
            defer { state.isAwaited = false }
            return state.isAwaited
        }
        if isAwaited { wakeup.signal() }
    }

    func appendFailed(count: Int, tag: UInt64, error: LogError) {
        let isAwaited = state.withLockedValue { state in
            state.durable += count
            state.failure = state.failure ?? error
            defer { state.isAwaited = false }
            return state.isAwaited
        }
        if isAwaited { wakeup.signal() }
    }

    /// Waits until appends are done, and takes their number.
    private func takeDurable() throws -> Int {
        while true {
            let taken = state.withLockedValue { state -> (Int, LogError?) in
                defer { state.durable = 0 }
                state.isAwaited = state.durable == 0
                return (state.durable, state.failure)
            }
            if let failure = taken.1 { throw failure }
            if taken.0 > 0 { return taken.0 }
            wakeup.wait()
        }
    }

    func run() throws -> Histogram {
        let payload = callers.payload
        var latency = Histogram()
        /// When appends that are not durable yet were made, oldest first.
        var waiting: [(before: UInt64, count: Int)] = []
        var outstanding = 0
        var free = callers.count
        var now = MonotonicClock.now()
        while true {
            if now < deadline {
                for _ in 0..<free {
                    try callers.log.append(
                        Message(payload: payload.span.bytes), observer: self, tag: 0)
                }
                callers.log.commit()
                waiting.append((now, free))
                outstanding += free
            }
            guard outstanding > 0 else { return latency }
            free = try takeDurable()
            outstanding -= free
            now = MonotonicClock.now()
            var done = free
            while done > 0 {
                let part = min(done, waiting[0].count)
                latency.record(now - waiting[0].before, times: part)
                waiting[0].count -= part
                done -= part
                if waiting[0].count == 0 { waiting.removeFirst() }
            }
        }
    }
}
