import DataDirectory
import NIOConcurrencyHelpers
import WAL

/// What the broker has said and shown of one topic, and where that does not agree. For any thread.
final class Ledger: Sendable {
    let topic: String
    private let seed: UInt64
    private let violations: Violations

    private struct State {
        /// The message that was OK'd under an id.
        var promised: [Stamp?] = []
        /// The message that was delivered under an id.
        var shown: [Stamp?] = []
        /// The id under which a message was OK'd.
        var ids: [Stamp: UInt64] = [:]
        /// What offsets.json held when the broker was last killed.
        var flushed = Acknowledgements()
        /// How often the broker was killed.
        var kills = 0
        /// Acknowledgements that were sent and OK'd since it was, with the time.
        var acknowledged: [(id: UInt64, time: ContinuousClock.Instant)] = []
        var tally = Tally()
    }
    private let state = NIOLockedValueBox(State())

    /// Counts for people.
    struct Tally: Sendable {
        var ok = 0
        var duplicates = 0
        var unknown = 0
        var refused = 0
        var delivered = 0
        var redelivered = 0
        var acknowledged = 0
        var verified = 0

        mutating func add(_ other: Tally) {
            ok += other.ok
            duplicates += other.duplicates
            unknown += other.unknown
            refused += other.refused
            delivered += other.delivered
            redelivered += other.redelivered
            acknowledged += other.acknowledged
            verified += other.verified
        }
    }

    init(topic: String, seed: UInt64, violations: Violations) {
        self.topic = topic
        self.seed = seed
        self.violations = violations
    }

    var tally: Tally { state.withLockedValue { $0.tally } }

    private func report(_ text: String?) {
        if let text { violations.add("\(topic): \(text)") }
    }

    // MARK: Publishing

    /// The broker said OK or DUP.
    func promised(_ stamp: Stamp, id: UInt64, isDuplicate: Bool) {
        let text = state.withLockedValue { state -> String? in
            if isDuplicate { state.tally.duplicates += 1 }
            if isDuplicate, !stamp.hasKey { return "DUP \(id) for a message without a key" }
            if let before = state.ids[stamp], before != id {
                return "\(stamp) was OK'd under \(before) and under \(id): appended twice"
            }
            if let other = state.shown[at: id], other != stamp {
                return "id \(id) was delivered as \(other) and OK'd for \(stamp)"
            }
            if let other = state.promised[at: id], other != stamp {
                return "id \(id) was OK'd for \(other) and for \(stamp)"
            }
            if state.ids.updateValue(id, forKey: stamp) == nil { state.tally.ok += 1 }
            state.promised.set(stamp, at: id)
            return nil
        }
        report(text)
    }

    /// A key that had been OK'd was OK'd again instead of DUP.
    func appendedTwice(_ stamp: Stamp, _ first: UInt64, _ second: UInt64) {
        report("\(stamp) has a key, was OK'd under \(first), and appended again under \(second)")
    }

    /// Nobody knows what has become of it.
    func unknown(_ stamp: Stamp, _ reason: String) {
        state.withLockedValue { $0.tally.unknown += 1 }
        if stamp.hasKey { report("\(stamp) has a key, and yet: \(reason)") }
    }

    /// The broker said ERR.
    func refused(_ stamp: Stamp, _ reason: String, isExpected: Bool) {
        state.withLockedValue { $0.tally.refused += 1 }
        if !isExpected { report("\(stamp) was refused: \(reason)") }
    }

    // MARK: Delivering

    /// A delivery has come. `isFresh`: to a consumer that has acknowledged nothing ever.
    func shown(_ payload: [UInt8], id: UInt64, isFresh: Bool = false) {
        let stamp = Stamp.of(payload, seed: seed)
        let text = state.withLockedValue { state -> String? in
            state.tally.delivered += 1
            guard let stamp else { return "id \(id) was delivered with bytes nobody published" }
            if !isFresh, state.flushed.isAcknowledged(MessageID(id)) {
                return "id \(id) was delivered again though offsets.json had it acknowledged"
            }
            if let other = state.promised[at: id], other != stamp {
                return "id \(id) was OK'd for \(other) and delivered as \(stamp)"
            }
            if let other = state.shown[at: id] {
                state.tally.redelivered += 1
                if other != stamp { return "id \(id) was delivered as \(other) and as \(stamp)" }
            }
            state.shown.set(stamp, at: id)
            return nil
        }
        report(text)
    }

    /// How often the broker was killed until now.
    var kills: Int { state.withLockedValue { $0.kills } }

    /// The broker said OK to an ACK that was sent when it had been killed `kills` times. One that
    /// was sent before the last kill may have been OK'd before it, and be gone, however late that
    /// OK is heard here.
    func acknowledged(_ id: UInt64, sentAfter kills: Int) {
        let now = ContinuousClock.now
        state.withLockedValue { state in
            state.tally.acknowledged += 1
            if kills == state.kills { state.acknowledged.append((id, now)) }
        }
    }

    // MARK: Between two runs of the broker

    /// The broker was killed and has left this. What was acknowledged `slack` before has to be in
    /// it.
    func killed(_ flushed: Acknowledgements, slack: Duration) {
        let now = ContinuousClock.now
        let text = state.withLockedValue { state -> String? in
            defer {
                state.flushed = flushed
                state.kills += 1
                // What was acknowledged right before a kill may be gone with it, for good.
                state.acknowledged = []
            }
            if let lost = state.flushed.highest, flushed.highest ?? MessageID(0) < lost {
                return "offsets.json went back from \(lost)"
            }
            let late = state.acknowledged.first {
                $0.time + slack <= now && !flushed.isAcknowledged(MessageID($0.id))
            }
            return late.map { "id \($0.id) was acknowledged \(slack) before, and is not on disk" }
        }
        report(text)
    }

    // MARK: At the end

    /// Everything was read again: `stamps` is what stood under each id.
    func compare(with stamps: [Stamp?]) {
        let promised = state.withLockedValue { $0.promised }
        var places: [Stamp: Int] = [:]
        places.reserveCapacity(stamps.count)
        for (id, stamp) in stamps.enumerated() {
            guard let stamp else {
                report("id \(id) was not delivered to a consumer that is new")
                continue
            }
            if let first = places.updateValue(id, forKey: stamp) {
                report("\(stamp) is in the log twice, under \(first) and \(id)")
            }
        }
        var verified = 0
        for (id, stamp) in promised.enumerated() {
            guard let stamp else { continue }
            let found = id < stamps.count ? stamps[id] : nil
            if found == stamp {
                verified += 1
            } else {
                report("LOST: \(stamp), OK'd under id \(id), is \(found.map { "\($0)" } ?? "gone")")
            }
        }
        state.withLockedValue { $0.tally.verified = verified }
    }

    func stamp(of payload: [UInt8]) -> Stamp? { Stamp.of(payload, seed: seed) }
}

extension Stamp: CustomStringConvertible {
    var description: String { "\(producer).\(sequence)\(hasKey ? "" : " (no key)")" }
}

extension [Stamp?] {
    fileprivate subscript(at id: UInt64) -> Stamp? { id < UInt64(count) ? self[Int(id)] : nil }

    fileprivate mutating func set(_ stamp: Stamp, at id: UInt64) {
        // An id out of all proportion would be a finding, and no reason to take the memory.
        guard id < 1 << 28 else { return }
        while UInt64(count) <= id { append(nil) }
        self[Int(id)] = stamp
    }
}

/// What must not have been. For any thread.
public final class Violations: Sendable {
    private let state = NIOLockedValueBox<(count: Int, first: [String])>((0, []))

    init() {}

    func add(_ text: String) {
        state.withLockedValue { state in
            state.count += 1
            if state.first.count < 20 { state.first.append(text) }
        }
    }

    /// How many there were.
    public var count: Int { state.withLockedValue { $0.count } }
    /// The first of them.
    public var first: [String] { state.withLockedValue { $0.first } }
}
