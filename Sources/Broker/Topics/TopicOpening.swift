internal import DataDirectory
internal import SystemPackage
internal import WAL

/// A topic's log with all that was rebuilt from it.
struct OpenedTopic: Sendable {
    let log: Log
    let offsets: Offsets
    let dedupe: DedupeIndex
}

/// Opens a topic. Blocks: every byte of its log is read.
enum TopicOpening {
    static func open(
        _ name: TopicName, _ shared: BrokerShared, known: MessageID?
    ) -> Result<OpenedTopic, BrokerError> {
        let directory = shared.layout.directory(of: name)
        do {
            try shared.layout.refuseGoLog(of: name)
            // Read before anything is cut: acknowledged messages were durable.
            let file = OffsetsFile(
                shared.layout.offsetsFile(of: name), storage: shared.layout.storage)
            let offsets = try file.load() ?? Offsets()
            var options = LogOptions()
            options.createsDirectory = false
            options.segmentBytes = shared.options.segmentBytes
            options.knownDurable = [known, offsets.highestAcknowledged].compactMap(\.self).max()
            var recent = RecentKeys(capacity: shared.options.dedupeWindow)
            let log = try Log.open(directory, host: shared.host, options: options) { id, key in
                recent.add(id, key)
            }
            shared.events(.topicOpened(name, log.recovery))
            return .success(OpenedTopic(log: log, offsets: offsets, dedupe: recent.index()))
        } catch {
            return .failure(refusal(name, directory.string, error))
        }
    }

    private static func refusal(
        _ name: TopicName, _ directory: String, _ error: any Error
    ) -> BrokerError {
        switch error {
        case let error as OpenError:
            if case .damaged = error { return .damaged(name, "\(error)") }
            return .unavailable(name, "\(error)")
        case OffsetsFileError.damaged(let path, let damage):
            return .damaged(
                name, "\(path) is damaged: \(damage); run `toymq-fsck \(directory)`")
        default: return .unavailable(name, "\(error)")
        }
    }
}

/// The last keys of a log, while it is read: only those are worth a place in the index.
struct RecentKeys {
    private var ring: [(key: [UInt8], id: MessageID)] = []
    private var next = 0
    private let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    mutating func add(_ id: MessageID, _ key: RawSpan) {
        guard capacity > 0 else { return }
        if let last, id <= last.id {
            // The log is being read from the front once more.
            ring = []
            next = 0
        }
        let entry = (key: key.copied(), id: id)
        if ring.count < capacity {
            ring.append(entry)
        } else {
            ring[next] = entry
            next = (next + 1) % capacity
        }
    }

    private var last: (key: [UInt8], id: MessageID)? {
        ring.isEmpty ? nil : ring[(next + ring.count - 1) % ring.count]
    }

    /// What they come to.
    func index() -> DedupeIndex {
        var index = DedupeIndex(capacity: capacity)
        for entry in ring[next...] + ring[..<next] { index.recover(entry.key, entry.id) }
        return index
    }
}
