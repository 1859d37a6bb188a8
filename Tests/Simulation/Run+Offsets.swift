internal import DataDirectory
internal import SystemPackage
internal import WAL

/// Acknowledged positions, kept beside the log.
extension Run {
    private var offsetsFile: OffsetsFile {
        OffsetsFile(Exploration.directory.appending("offsets.json"), storage: Storage(disk))
    }

    /// The file has to be whole, no older than the last that was said to be durable, and nothing
    /// that was never stored.
    func loadOffsets() throws -> Offsets? {
        let found: Offsets?
        do {
            found = try offsetsFile.load()
        } catch {
            if case .io = error, expectsErrors { throw error }
            knowledge.breaks("offsets.json: \(error)")
            return nil
        }
        let known = knowledge.offsets
        if found != known.durable, !known.attempted.contains(where: { $0 == found }) {
            knowledge.breaks(
                "offsets.json acknowledges up to \(found?.highestAcknowledged as Any), stored was "
                    + "\(known.durable?.highestAcknowledged as Any)")
        }
        // It is seen now, but not forced: what was durable before may come back.
        knowledge.offsets.current = found ?? Offsets()
        return found
    }

    /// A consumer acknowledges every message there is; the file is replaced.
    package func acknowledgeAll() {
        knowledge.offsets.isUsed = true
        guard let log, let consumer = try? ConsumerID("reader"), !log.durable.isEmpty else {
            return
        }
        for id in log.durable.lowerBound.rawValue..<log.durable.upperBound.rawValue {
            knowledge.offsets.current.acknowledge(MessageID(id), by: consumer)
        }
        let offsets = knowledge.offsets.current
        knowledge.offsets.attempted.append(offsets)
        do {
            try offsetsFile.store(offsets)
            knowledge.offsets.durable = offsets
            knowledge.offsets.attempted = []
        } catch {
            if !expectsErrors { knowledge.breaks("offsets.json: \(error)") }
        }
    }
}
