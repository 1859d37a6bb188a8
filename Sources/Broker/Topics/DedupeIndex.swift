internal import DequeModule
internal import WAL

/// The keys that a topic remembers, and what came of them. The oldest by the time of appending go
/// first: a key that is asked for again does not stay longer, or the last so many appended might
/// not be there.
struct DedupeIndex {
    /// What is known of a key.
    enum Known: Equatable {
        /// Its message is durable.
        case durable(MessageID)
        /// Its message waits for the disk; which appending that is.
        case staged(serial: UInt64)
    }

    private struct Entry {
        /// Which appending this is; a key may be forgotten, and appended again.
        var serial: UInt64
        var known: Known
    }

    private var entries: [[UInt8]: Entry] = [:]
    /// Keys in the order of appending, some of which may have failed and gone since.
    private var order: Deque<(key: [UInt8], serial: UInt64)> = []
    /// How many of them have gone.
    private var gone = 0
    /// How many keys have a durable message: only those count, since what is being appended may
    /// fail and must not push out what is known.
    private var durable = 0
    private var nextSerial: UInt64 = 0
    let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    var count: Int { entries.count }

    subscript(key: [UInt8]) -> Known? { entries[key]?.known }

    /// A key is being appended. Gives what tells this appending from others of the key.
    mutating func stage(_ key: [UInt8]) -> UInt64 {
        let serial = nextSerial
        insert(key, .staged(serial: serial))
        return serial
    }

    /// A key of the log that is being opened.
    mutating func recover(_ key: [UInt8], _ id: MessageID) {
        insert(key, .durable(id))
        durable += 1
        evict()
    }

    private mutating func insert(_ key: [UInt8], _ known: Known) {
        let entry = Entry(serial: nextSerial, known: known)
        if let before = entries.updateValue(entry, forKey: key) {
            gone += 1
            if case .durable = before.known { durable -= 1 }
        }
        order.append((key, nextSerial))
        nextSerial += 1
    }

    /// Forgets the oldest. Those that are being appended are the newest, and stay: whoever
    /// published one twice has to be told how that ended.
    private mutating func evict() {
        while durable > capacity, let oldest = order.popFirst() {
            if entries[oldest.key]?.serial == oldest.serial {
                entries[oldest.key] = nil
                durable -= 1
            } else {
                gone -= 1
            }
        }
    }

    /// On a full disk any number of keys may fail; that must not cost memory, nor one that is
    /// known.
    private mutating func compact() {
        guard gone > 1024, gone > order.count / 2 else { return }
        order.removeAll { entries[$0.key]?.serial != $0.serial }
        gone = 0
    }

    /// The message of a key is durable.
    mutating func settle(_ key: [UInt8], _ serial: UInt64, _ id: MessageID) {
        guard entries[key]?.serial == serial else { return }
        entries[key]?.known = .durable(id)
        durable += 1
        if durable > capacity { evict() }
    }

    /// The message of a key was not written.
    mutating func fail(_ key: [UInt8], _ serial: UInt64) {
        guard entries[key]?.serial == serial else { return }
        entries[key] = nil
        gone += 1
        compact()
    }
}
