import Foundation
import NIOConcurrencyHelpers
import ToyMQClient

/// Reads a whole topic as a consumer that is new.
struct FinalReading: Sendable {
    let ledger: Ledger
    let client: ToyMQClient
    let violations: Violations

    /// The message under each id.
    func run() async -> [Stamp?] {
        do {
            let end = try await nextID()
            guard end > 0 else { return [] }
            return try await read(upTo: end)
        } catch {
            violations.add("\(ledger.topic) cannot be read: \(error)")
            return []
        }
    }

    private func nextID() async throws -> UInt64 {
        var after = ""
        while true {
            let text = try await client.info(topicsAfter: after)
            guard
                let json = try JSONSerialization.jsonObject(with: Data(text.utf8))
                    as? [String: Any],
                let topics = json["topics"] as? [[String: Any]]
            else { throw ChaosError("INFO said \(text)") }
            for topic in topics where topic["topic"] as? String == ledger.topic {
                guard let end = topic["next_id"] as? Int else {
                    throw ChaosError(
                        "it is \(topic["condition"] ?? "?"): \(topic["reason"] ?? "no reason")")
                }
                return UInt64(end)
            }
            guard json["more"] as? Bool == true, let last = topics.last?["topic"] as? String else {
                throw ChaosError("the broker does not know it")
            }
            after = last
        }
    }

    /// Everything below `end`; what has not come within 30 seconds without any delivery is missing.
    private func read(upTo end: UInt64) async throws -> [Stamp?] {
        let subscription = try client.subscribe(to: ledger.topic, as: "verifier")
        var stamps = [Stamp?](repeating: nil, count: Int(end))
        let watch = Watch()
        let watching = Task {
            while !Task.isCancelled, !watch.isOver {
                try? await Task.sleep(for: .seconds(1))
            }
            if !Task.isCancelled { await subscription.close() }
        }
        defer { watching.cancel() }
        var left = stamps.count
        for try await delivery in subscription {
            watch.touch()
            ledger.shown(delivery.payload, id: delivery.id, isFresh: true)
            delivery.ackWithoutWaiting()
            guard delivery.id < end else { continue }
            if stamps[Int(delivery.id)] == nil { left -= 1 }
            stamps[Int(delivery.id)] = ledger.stamp(of: delivery.payload)
            if left == 0 { break }
        }
        await subscription.close()
        return stamps
    }
}

/// When something last happened.
private final class Watch: Sendable {
    private let last = NIOLockedValueBox(ContinuousClock.now)
    func touch() { last.withLockedValue { $0 = .now } }
    var isOver: Bool { last.withLockedValue { ContinuousClock.now - $0 } > .seconds(30) }
}
