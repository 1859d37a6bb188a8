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
        case read(generation: UInt64, Result<DeliveryChunk, LogError>)
    }

    private struct State {
        var events: [(tag: UInt64, event: Event)] = []
        var isScheduled = false
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

    func post(_ tag: UInt64, _ event: Event) {
        gather(tag, event)
        settled()
    }

    private func gather(_ tag: UInt64, _ event: Event) {
        state.withLockedValue { $0.events.append((tag, event)) }
    }

    // MARK: PublishReceiver

    func published(topic: Topic, first: MessageID, count: Int, tag: UInt64) {
        gather(tag, .published(ObjectIdentifier(topic), first: first, count: count))
    }

    func publishFailed(topic: Topic, count: Int, tag: UInt64, error: BrokerError) {
        gather(tag, .publishFailed(ObjectIdentifier(topic), count: count, error))
    }

    func duplicateSettled(tag: UInt64, ticket: UInt64, result: Result<MessageID, BrokerError>) {
        gather(tag, .duplicate(ticket: ticket, result))
        settled()
    }

    func settled() {
        let isNews = state.withLockedValue { state -> Bool in
            guard !state.isScheduled, !state.events.isEmpty else { return false }
            state.isScheduled = true
            return true
        }
        if isNews { loop.execute(drain) }
    }
}
