/// A queue in an array: taking from the front is cheap, and the space is used again.
struct Fifo<Element> {
    private var items: [Element?] = []
    private var head = 0

    var count: Int { items.count - head }
    var isEmpty: Bool { count == 0 }
    var first: Element? { head < items.count ? items[head] : nil }
    /// The element that was appended last.
    var last: Element? { isEmpty ? nil : items[items.count - 1] }

    mutating func append(_ item: Element) { items.append(item) }

    mutating func popFirst() -> Element? {
        guard head < items.count else { return nil }
        defer {
            items[head] = nil
            head += 1
            if head == items.count {
                items.removeAll(keepingCapacity: items.count <= 1024)
                head = 0
            } else if head >= 1024, head * 2 >= items.count {
                items.removeFirst(head)
                head = 0
            }
        }
        return items[head]
    }
}

extension Fifo: Sendable where Element: Sendable {}

/// Items by a key, the least first: a binary heap in an array. Of keys that are alike any comes
/// first.
struct MinHeap<Key: Comparable, Item> {
    private var items: [(key: Key, item: Item)] = []

    var first: (key: Key, item: Item)? { items.first }
    var count: Int { items.count }

    mutating func insert(_ item: Item, _ key: Key) {
        items.append((key, item))
        var child = items.count - 1
        while child > 0, items[child].key < items[(child - 1) / 2].key {
            items.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func removeFirst() {
        items.swapAt(0, items.count - 1)
        items.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < items.count && items[child].key < items[least].key {
                least = child
            }
            if least == parent { return }
            items.swapAt(parent, least)
            parent = least
        }
    }
}

extension MinHeap: Sendable where Key: Sendable, Item: Sendable {}
