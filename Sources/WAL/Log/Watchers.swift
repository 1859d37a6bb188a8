/// Who waits for a message to become durable, by its id: a commit looks only at those that it
/// wakes.
struct Watchers {
    typealias Wake = @Sendable () -> Void

    /// Tokens by the id that is awaited.
    private var order = MinHeap<UInt64, UInt64>()
    private var wakes: [UInt64: Wake] = [:]
    private var nextToken: UInt64 = 0

    var isEmpty: Bool { wakes.isEmpty }

    /// What a watcher is removed by; before it is added, so that whoever gives up knows it.
    mutating func token() -> UInt64 {
        defer { nextToken += 1 }
        return nextToken
    }

    /// `wake` is given when `id` is durable.
    mutating func add(_ id: UInt64, token: UInt64, _ wake: @escaping Wake) {
        wakes[token] = wake
        order.insert(token, id)
    }

    /// Nobody waits any more; nil if it was given already.
    mutating func remove(_ token: UInt64) -> Wake? {
        guard let wake = wakes.removeValue(forKey: token) else { return nil }
        // What is awaited may never come, however often somebody begins to wait for it.
        if order.count > 2 * wakes.count + 64 {
            var kept = MinHeap<UInt64, UInt64>()
            while let (id, token) = order.first {
                order.removeFirst()
                if wakes[token] != nil { kept.insert(token, id) }
            }
            order = kept
        }
        return wake
    }

    /// Those that wait for an id below `durable`.
    mutating func take(below durable: UInt64) -> [Wake] {
        var due: [Wake] = []
        while let (id, token) = order.first, id < durable {
            order.removeFirst()
            if let wake = wakes.removeValue(forKey: token) { due.append(wake) }
        }
        return due
    }

    mutating func takeAll() -> [Wake] {
        defer {
            order = MinHeap()
            wakes = [:]
        }
        return Array(wakes.values)
    }
}
