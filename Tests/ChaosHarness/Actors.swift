import NIOConcurrencyHelpers
import ToyMQClient

/// Publishes without end: unique payloads, most of them with a key, many at once.
struct Producer: Sendable {
    let number: UInt64
    let ledger: Ledger
    let client: ToyMQClient
    let plan: ChaosPlan
    let stop: Flag
    /// Refusals are what the broker's crash looks like.
    let isRefusalExpected: Bool

    func run() async {
        var pending: [(Stamp, PendingPublish)] = []
        var next = 0
        let begin = ContinuousClock.now
        let rate = Double(plan.rate) / Double(plan.topics * plan.producers)
        var sequence: UInt64 = 0
        while !stop.isSet {
            let allowed = rate * ((ContinuousClock.now - begin) / .seconds(1))
            guard Double(sequence) < allowed else {
                await settle(&pending, &next, leaving: 0)
                try? await Task.sleep(for: .milliseconds(2))
                continue
            }
            let stamp = Stamp(producer: number, sequence: sequence)
            sequence += 1
            await publish(stamp, &pending)
            await settle(&pending, &next, leaving: plan.window)
        }
        await settle(&pending, &next, leaving: 0)
    }

    private func publish(_ stamp: Stamp, _ pending: inout [(Stamp, PendingPublish)]) async {
        let message = Message(stamp.payload(seed: plan.seed), key: stamp.key)
        do {
            pending.append((stamp, try await client.startPublishing(message, to: ledger.topic)))
        } catch {
            note(stamp, error)
        }
    }

    /// Awaits the oldest answers until no more than so many are out.
    private func settle(
        _ pending: inout [(Stamp, PendingPublish)], _ next: inout Int, leaving: Int
    ) async {
        while pending.count - next > leaving {
            let (stamp, promise) = pending[next]
            next += 1
            do {
                let receipt = try await promise.receipt()
                ledger.promised(stamp, id: receipt.id, isDuplicate: receipt.isDuplicate)
                if stamp.hasKey, stamp.sequence % 64 == 0 { await repeatPublish(stamp, receipt) }
            } catch {
                note(stamp, error)
            }
        }
        if next > 4096 || next == pending.count {
            pending.removeFirst(next)
            next = 0
        }
    }

    /// Its key was OK'd: it may not be appended again.
    private func repeatPublish(_ stamp: Stamp, _ first: PublishReceipt) async {
        let message = Message(stamp.payload(seed: plan.seed), key: stamp.key)
        do {
            let receipt = try await client.publish(message, to: ledger.topic)
            if !receipt.isDuplicate { ledger.appendedTwice(stamp, first.id, receipt.id) }
            ledger.promised(stamp, id: receipt.id, isDuplicate: receipt.isDuplicate)
        } catch {
            note(stamp, error)
        }
    }

    private func note(_ stamp: Stamp, _ error: ClientError) {
        switch error {
        case .refused(let code, _):
            // Damage is a finding, whatever a crash looks like.
            let isExpected = code == .busy || (isRefusalExpected && code == .publishFailed)
            ledger.refused(stamp, "\(error)", isExpected: isExpected)
        case .outcomeUnknown: ledger.unknown(stamp, "\(error)")
        case .unreachable, .invalidArgument, .closed, .cancelled:
            ledger.refused(stamp, "\(error)", isExpected: false)
        }
    }
}

/// Acknowledges what it gets: most at once, some later and out of order, some only after they were
/// rejected. Waits for the answer to some.
struct Consumer: Sendable {
    let ledger: Ledger
    let client: ToyMQClient
    let name: String
    let stop: Flag
    let violations: Violations

    func run() async {
        do {
            let subscription = try client.subscribe(to: ledger.topic, as: name)
            await withTaskGroup { group in
                group.addTask { await loop(subscription) }
                group.addTask {
                    await stop.wait()
                    await subscription.close()
                }
                await group.waitForAll()
            }
        } catch { violations.add("\(ledger.topic): cannot subscribe: \(error)") }
    }

    private func loop(_ subscription: Subscription) async {
        var held: [Delivery] = []
        do {
            for try await delivery in subscription {
                ledger.shown(delivery.payload, id: delivery.id)
                let dice = (delivery.id &* 0x9E37_79B9_7F4A_7C15) >> 32 % 100
                switch dice {
                case 0 where delivery.attempt == 1: try await delivery.nack()
                case 1..<8:
                    held.append(delivery)
                    guard held.count >= 50 else { continue }
                    for late in held.reversed() { late.ackWithoutWaiting() }
                    held = []
                case 8..<10:
                    let kills = ledger.kills
                    if try await delivery.ack() == .done {
                        ledger.acknowledged(delivery.id, sentAfter: kills)
                    }
                default: delivery.ackWithoutWaiting()
                }
            }
        } catch ClientError.closed {
            // The loop was in the middle of an acknowledgement when it was told to stop.
        } catch { violations.add("\(ledger.topic): the subscription ended: \(error)") }
    }
}

/// Something that is set once. For any thread.
final class Flag: Sendable {
    private let state = NIOLockedValueBox<
        (isSet: Bool, waiting: [CheckedContinuation<Void, Never>])
    >(
        (false, []))

    init() {}

    var isSet: Bool { state.withLockedValue { $0.isSet } }

    func set() {
        let waiting = state.withLockedValue { state in
            state.isSet = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isSet = state.withLockedValue { state in
                if !state.isSet { state.waiting.append(continuation) }
                return state.isSet
            }
            if isSet { continuation.resume() }
        }
    }
}
