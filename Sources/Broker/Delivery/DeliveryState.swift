internal import DataDirectory
internal import DequeModule
internal import WAL

/// What one consumer has of a topic: every message is pending, in flight or acknowledged. Rules
/// only: no lock, no clock, no log.
///
/// Pending are all ids from `cursor` on that were not acknowledged before a restart, and those that
/// are due once more: they were in flight and have timed out, were rejected, or lost their
/// connection.
struct DeliveryState {
    private struct Flight {
        let deadline: UInt64
        /// How often it has been delivered, this time included.
        let attempt: UInt64
    }

    /// What is done with.
    private(set) var acknowledgements: Acknowledgements
    /// Something of it was said by the consumer, and is not only ids that have no message.
    private(set) var hasAcknowledged: Bool
    /// Acknowledged ids at or beyond the first `cursor`. Nothing at or beyond `cursor` is
    /// acknowledged later, since only what is in flight can be.
    let skipped: [ClosedRange<MessageID>]
    /// The first id that was never delivered since the start, nor skipped.
    private(set) var cursor: MessageID
    private var flights: [UInt64: Flight] = [:]
    /// Deadlines in ascending order, since each is the time of delivery plus the same. What has
    /// been settled since stays until it comes to the front.
    private var deadlines: Deque<(deadline: UInt64, id: UInt64)> = []
    /// Pending once more, ascending, with how often they were delivered.
    private var due: [(id: UInt64, attempts: UInt64)] = []

    let window: Int
    let timeout: UInt64

    /// A consumer that has acknowledged this much.
    init(_ acknowledgements: Acknowledgements, window: Int, timeout: UInt64) {
        self.acknowledgements = acknowledgements
        self.window = window
        self.timeout = timeout
        hasAcknowledged = acknowledgements.highest != nil
        skipped = acknowledgements.above
        cursor = acknowledgements.firstUnacknowledged
    }

    var inFlight: Int { flights.count }
    var dueCount: Int { due.count }
    /// What is due once more and goes first.
    var firstDue: MessageID? { due.first.map { MessageID($0.id) } }
    /// How many times something was in flight for too long.
    private(set) var timeouts: UInt64 = 0
    /// How many messages that were never delivered may be.
    /// Invariant: what is due fits the window besides what is in flight.
    var room: Int { max(0, window - flights.count - due.count) }

    // MARK: Delivering

    /// Takes as many of `ids` (ascending, never delivered) into flight as the window has room for.
    /// None while anything is due: that goes first.
    mutating func deliver(_ ids: ArraySlice<MessageID>, now: UInt64) -> Int {
        guard due.isEmpty else { return 0 }
        let count = min(ids.count, room)
        for id in ids.prefix(count) {
            fly(id.rawValue, attempt: 1, now)
            cursor = max(cursor, id.next)
        }
        return count
    }

    /// What is due once more, with how often it was delivered before.
    func dueMessages() -> [(id: MessageID, attempts: UInt64)] {
        due.map { (MessageID($0.id), $0.attempts) }
    }

    /// Takes as many of `ids`, which were due, into flight again as nothing lower has become due
    /// since: that goes first.
    mutating func deliverAgain(_ ids: [MessageID], now: UInt64) -> Int {
        var count = 0
        while count < min(ids.count, due.count), due[count].id == ids[count].rawValue {
            fly(due[count].id, attempt: due[count].attempts + 1, now)
            count += 1
        }
        due.removeFirst(count)
        return count
    }

    private mutating func fly(_ id: UInt64, attempt: UInt64, _ now: UInt64) {
        let deadline = now + timeout
        flights[id] = Flight(deadline: deadline, attempt: attempt)
        deadlines.append((deadline, id))
        if deadlines.count > 4 * window + 64 {
            deadlines = Deque(deadlines.filter { flights[$0.id]?.deadline == $0.deadline })
        }
    }

    // MARK: Settling

    /// The consumer is done with `id`; false if it is not in flight.
    mutating func acknowledge(_ id: MessageID) -> Bool {
        guard flights.removeValue(forKey: id.rawValue) != nil else { return false }
        acknowledgements.acknowledge(id)
        hasAcknowledged = true
        dropSettledDeadlines()
        return true
    }

    /// The consumer wants `id` again; false if it is not in flight.
    mutating func reject(_ id: MessageID) -> Bool {
        guard let flight = flights.removeValue(forKey: id.rawValue) else { return false }
        makeDue(id.rawValue, flight.attempt)
        dropSettledDeadlines()
        return true
    }

    /// These ids have no message: lost, or dropped by retention.
    mutating func passOver(_ ids: ClosedRange<MessageID>) {
        acknowledgements.acknowledge(ids)
        due.removeAll { ids.contains(MessageID($0.id)) }
    }

    /// Makes due what has been in flight for too long. False if that is nothing.
    mutating func expire(now: UInt64) -> Bool {
        var isAny = false
        while let first = deadlines.first {
            if let flight = flights[first.id], flight.deadline == first.deadline {
                guard first.deadline <= now else { break }
                flights[first.id] = nil
                makeDue(first.id, flight.attempt)
                timeouts &+= 1
                isAny = true
            }
            deadlines.removeFirst()
        }
        return isAny
    }

    /// When the next message in flight times out.
    var nextDeadline: UInt64? { flights.isEmpty ? nil : deadlines.first?.deadline }

    /// The connection is gone: all that was in flight is due.
    mutating func detach() {
        for (id, flight) in flights { due.append((id, flight.attempt)) }
        due.sort { $0.id < $1.id }
        flights = [:]
        deadlines = []
    }

    private mutating func makeDue(_ id: UInt64, _ attempts: UInt64) {
        let index = due.firstIndex { $0.id > id } ?? due.count
        due.insert((id, attempts), at: index)
    }

    private mutating func dropSettledDeadlines() {
        while let first = deadlines.first, flights[first.id]?.deadline != first.deadline {
            deadlines.removeFirst()
        }
    }
}

extension MessageID {
    /// The id behind it. 2^64 - 1 is no message's id.
    var next: MessageID { MessageID(rawValue + 1) }
}
