import ToolSupport
import ToyMQClient

/// Acknowledges what was printed, and knows what comes again all the same.
final class Acknowledger {
    private let subscription: Subscription
    /// Printed, and the broker has confirmed no acknowledgement. A message that was delivered
    /// again, on another connection, leaves with the acknowledgement of that.
    private var unconfirmed: Set<UInt64> = []
    private var pending: [(id: UInt64, settlement: PendingSettlement)] = []

    init(_ subscription: Subscription) { self.subscription = subscription }

    /// The message was printed. Does not wait for the broker, but where that is far behind; nor
    /// then once a signal has come.
    func acknowledge(_ delivery: Delivery) {
        unconfirmed.insert(delivery.id)
        guard let settlement = try? delivery.startAcknowledging() else { return }
        pending.append((delivery.id, settlement))
        // The broker sends 256 ahead: it has answered what stands before them.
        if pending.count >= 1024 { settle(512, until: { Cancellation.isRequested }) }
    }

    /// Ends the subscription, and says how many messages may come again.
    func finish() -> Outcome {
        waitFor { [subscription] in await subscription.close() }
        settle(pending.count)
        if unconfirmed.isEmpty { return .done }
        let what = unconfirmed.count == 1 ? "1 message" : "\(unconfirmed.count) messages"
        voice.say(
            "\(what) may come again: the broker has not confirmed the acknowledgement")
        return .incomplete
    }

    /// Waits for the broker's word on the first ones.
    private func settle(_ count: Int, until isOver: (() -> Bool)? = nil) {
        let first = Array(pending.prefix(count))
        let (heard, confirmed) = waitFor(until: isOver) {
            var heard = 0
            var confirmed: [UInt64] = []
            for (id, settlement) in first {
                do throws(ClientError) {
                    if try await settlement.settlement() == .done { confirmed.append(id) }
                } catch {
                    // Not waited for any longer: it may come yet. Any other error is no
                    // confirmation either.
                    if error == .cancelled { break }
                }
                heard += 1
            }
            return (heard, confirmed)
        }
        pending.removeFirst(heard)
        unconfirmed.subtract(confirmed)
    }
}
