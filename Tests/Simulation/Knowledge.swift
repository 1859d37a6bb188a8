package import DataDirectory
package import WAL

/// A message, byte for byte, with all that travels with it.
package struct Sent: Hashable, Sendable {
    package var payload: [UInt8]
    package var key: [UInt8]?
    package var headers: [MessageHeader] = []

    package init(_ payload: [UInt8], key: [UInt8]? = nil, headers: [MessageHeader] = []) {
        self.payload = payload
        self.key = key
        self.headers = headers
    }

    /// A few bytes tell nearly all apart: hashing megabytes for every state would take most of the
    /// time.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(payload.count)
        for byte in payload.prefix(12) { hasher.combine(byte) }
    }
}

/// What a program using the log knows: what it was told, and what it tried.
package struct Knowledge: Sendable {
    /// Acknowledged: must be there for ever, byte for byte.
    package var acknowledged: [UInt64: Sent] = [:]
    /// Everything that was ever handed to the log.
    package var attempted: Set<Sent> = []
    /// What the log said that it did not append, and what was not there after it had been opened:
    /// must never appear.
    package var refused: Set<Sent> = []
    /// What readers have seen: must be there for ever, byte for byte.
    package var shown: [UInt64: Sent] = [:]
    /// The next id that a reader was shown to exist.
    package var shownBelow: UInt64 = 0
    /// The first id that was not dropped, as far as the program asked for it.
    package var dropAskedBelow: UInt64 = 0
    /// Ids that were written as lost, and those for which that was tried.
    package var lost: Set<UInt64> = []
    package var maybeLost: Set<UInt64> = []
    /// Acknowledged positions: the version that is durable and those that may be there instead.
    package var offsets = OffsetsKnowledge()
    /// The active segment when opening began: what opening cuts off must have been set aside.
    package var beforeOpening: BeforeOpening?
    /// Why the promise was broken already while the program ran.
    package var broken: String?

    package struct OffsetsKnowledge: Sendable {
        package var isUsed = false
        package var current = Offsets()
        /// Nil: there may be no file.
        package var durable: Offsets?
        package var attempted: [Offsets] = []
    }

    package struct BeforeOpening: Sendable {
        var bytes: [UInt8]
        /// Whether they were all on the platter, and the name that leads to them.
        var isForced: Bool
    }

    package init() {}

    mutating func breaks(_ reason: String) { broken = broken ?? reason }

    /// Holds what is in a log against all of this; nil if it is as it has to be.
    func wrong(_ found: [(id: UInt64, message: Sent)], _ durable: Range<MessageID>) -> String? {
        let byID = Dictionary(found.map { ($0.id, $0.message) }, uniquingKeysWith: { $1 })
        if byID.count != found.count { return "an id is there twice" }
        for (kind, known) in [("acknowledged", acknowledged), ("shown to a reader", shown)] {
            for (id, message) in known.sorted(by: { $0.key < $1.key }) {
                if let there = byID[id] {
                    if there != message { return "message \(id) was \(kind), now it is another" }
                } else if id >= dropAskedBelow {
                    return "message \(id) was \(kind) and is gone"
                }
            }
        }
        if durable.upperBound.rawValue < shownBelow {
            return "ids below \(shownBelow) were shown, now \(durable)"
        }
        var next = durable.lowerBound.rawValue
        for (id, message) in found {
            while lost.contains(next) || (next != id && maybeLost.contains(next)) { next += 1 }
            if id != next { return "id \(id) where \(next) belongs" }
            if !attempted.contains(message) { return "message \(id) was never appended" }
            if refused.contains(message) {
                return "message \(id) is there, but the log had said that it was not appended"
            }
            next += 1
        }
        return nil
    }
}
