internal import DataDirectory
internal import Inspection
internal import SystemPackage
internal import WAL

/// What the consumers of a Go log have acknowledged, as far as it can be said of the new one.
struct OffsetsTransfer {
    private(set) var offsets = Offsets()
    private(set) var issues: [ImportIssue] = []
    private let log: GoLog
    /// The id behind the last one of the new log.
    private let end: UInt64
    private let lost: [ClosedRange<MessageID>]

    init(_ log: GoLog, _ filled: LogFiller) {
        self.log = log
        end = filled.nextID
        lost = filled.lost
    }

    /// Reads the Go log's offsets.json, if there is one.
    mutating func load(on storage: Storage) throws(ImportError) {
        guard log.hasOffsets else { return }
        do {
            for consumer in try GoOffsets.load(log.offsetsFile, on: storage) ?? [] { add(consumer) }
        } catch {
            // Nothing of a file that is not whole is believed.
            if case .io(let error) = error { throw .io(error) }
            offsets = Offsets()
            issues = []
            note(.offsets, "\(error); no consumer's position was taken over")
        }
        // Nobody can be asked to acknowledge what is not there.
        for ids in lost { offsets.acknowledgeForAll(ids) }
    }

    private mutating func add(_ consumer: GoConsumer) {
        let id: ConsumerID
        do {
            id = try ConsumerID(consumer.name)
        } catch {
            note(
                .consumer,
                "the consumer \(OffsetsTransfer.quoted(consumer.name)) was not taken over: "
                    + "\(error)")
            return
        }
        offsets[id] = acknowledgements(of: consumer)
        guard let highest = OffsetsTransfer.highest(consumer), highest >= end else { return }
        let kept = end == 0 ? "nothing" : "what is below \(end)"
        note(
            .acknowledged,
            "the consumer \(id) acknowledged ids up to \(highest), but the log ends before \(end); "
                + "\(kept) was taken over", ids: [MessageID(end)...MessageID(highest)])
    }

    /// All that is acknowledged of ids that the log has: an id beyond its end would make it look
    /// as if messages were lost, and will be another message's.
    private func acknowledgements(of consumer: GoConsumer) -> Acknowledgements {
        var acknowledgements = Acknowledgements()
        guard end > 0 else { return acknowledgements }
        if let acked = consumer.acked {
            acknowledgements.acknowledge(MessageID(0)...MessageID(min(acked, end - 1)))
        }
        // In order, each one joins the last range or makes a new one behind it: the file's order
        // may be any, and would cost the square.
        for id in consumer.above.sorted() where id < end {
            acknowledgements.acknowledge(MessageID(id))
        }
        return acknowledgements
    }

    private static func highest(_ consumer: GoConsumer) -> UInt64? {
        guard let above = consumer.above.max() else { return consumer.acked }
        return max(above, consumer.acked ?? 0)
    }

    /// A name that may hold anything, on one line of a terminal.
    private static func quoted(_ name: String) -> String { name.debugDescription }

    private mutating func note(
        _ kind: ImportIssue.Kind, _ text: String, ids: [ClosedRange<MessageID>] = []
    ) {
        issues.append(ImportIssue(kind, path: log.offsetsFile, ids: ids, text: text))
    }
}
