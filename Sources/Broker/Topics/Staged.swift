internal import DequeModule
internal import WAL

/// What was given to the log and has not come back, in the order of the ids. The log tells of
/// appends in just this order, once each, whether they are durable or failed; so counting is
/// enough to know which key is meant, also when ids are given out again after a failure.
struct Staged {
    /// A duplicate of a key that waits with it for the disk.
    struct Waiter {
        let receiver: any PublishReceiver
        let tag: UInt64
        let ticket: UInt64
    }

    enum Item {
        case unkeyed(Int)
        case keyed([UInt8], serial: UInt64)
    }

    private var items: Deque<Item> = []
    /// Who waits for a key, by its serial.
    var waiters: [UInt64: [Waiter]] = [:]

    var isEmpty: Bool { items.isEmpty }

    mutating func addUnkeyed() {
        if case .unkeyed(let count)? = items.last {
            items[items.count - 1] = .unkeyed(count + 1)
        } else {
            items.append(.unkeyed(1))
        }
    }

    mutating func add(_ key: [UInt8], serial: UInt64) { items.append(.keyed(key, serial: serial)) }

    /// An append with a key, and how far it is from the first that was taken with it.
    struct Keyed {
        let offset: Int
        let key: [UInt8]
        let serial: UInt64
    }

    /// Takes the oldest `count` appends off and gives those with a key.
    mutating func take(_ count: Int) -> [Keyed] {
        var keyed: [Keyed] = []
        var done = 0
        while done < count {
            guard let item = items.popFirst() else {
                preconditionFailure("the log told of an append that was not made")
            }
            switch item {
            case .keyed(let key, let serial):
                keyed.append(Keyed(offset: done, key: key, serial: serial))
                done += 1
            case .unkeyed(let run):
                let taken = min(run, count - done)
                if taken < run { items.prepend(.unkeyed(run - taken)) }
                done += taken
            }
        }
        return keyed
    }
}
