import Broker
import NIOConcurrencyHelpers
import NIOCore
import WAL

/// What other threads have to tell the connections of one event loop. Gathered, and handed over
/// with one wake-up of the loop, however much it is.
final class Inbox: PublishReceiver {
    enum Event: Sendable {
        case published(ObjectIdentifier, first: MessageID, count: Int)
        case publishFailed(ObjectIdentifier, count: Int, BrokerError)
        case duplicate(ticket: UInt64, Result<MessageID, BrokerError>)
        /// A topic is there, could not be made, or has room again.
        case resume(BrokerError?)
        /// There may be something to deliver to the subscription of this generation.
        case wake(generation: UInt64)
        case replaced(generation: UInt64)
        case read(generation: UInt64, Feed.Reading)
    }

    private struct State {
        var events: [(tag: UInt64, event: Event)] = []
        var isScheduled = false
        /// The loop is about to end.
        var isClosed = false
    }

    private let state = NIOLockedValueBox(State())
    private let loop: any EventLoop
    private let drain: @Sendable () -> Void

    /// `drain` is run on `loop` when there is something to take.
    init(_ loop: any EventLoop, drain: @escaping @Sendable () -> Void) {
        self.loop = loop
        self.drain = drain
    }

    /// What has come, in order. `reuse` is an array whose memory is used from now on.
    func take(_ reuse: [(tag: UInt64, event: Event)]) -> [(tag: UInt64, event: Event)] {
        state.withLockedValue { state in
            state.isScheduled = false
            let events = state.events
            state.events = reuse
            return events
        }
    }

    /// Nobody is there to hear anything any more.
    func close() { state.withLockedValue { $0.isClosed = true } }

    func post(_ tag: UInt64, _ event: Event) { post { $0.append((tag, event)) } }

    private func post(_ add: (inout [(tag: UInt64, event: Event)]) -> Void) {
        let isNews = state.withLockedValue { state -> Bool in
            if state.isClosed { return false }
            add(&state.events)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if isNews { loop.execute(drain) }
    }

    // MARK: PublishReceiver

    func settled(topic: Topic, runs: [PublishRun]) {
        let topic = ObjectIdentifier(topic)
        post { events in
            for run in runs {
                switch run.result {
                case .success(let first):
                    events.append((run.tag, .published(topic, first: first, count: run.count)))
                case .failure(let error):
                    events.append((run.tag, .publishFailed(topic, count: run.count, error)))
                }
            }
        }
    }

    func duplicateSettled(tag: UInt64, ticket: UInt64, result: Result<MessageID, BrokerError>) {
        post(tag, .duplicate(ticket: ticket, result))
    }
}
