import JSONText
import DataDirectory
import SystemPackage
import WAL

/// What came of opening one topic.
struct OpenResult {
    /// Why a topic did not open.
    enum Refusal: String {
        case damaged, newer
        case offsetsDamaged = "offsets-damaged"
        case inUse = "in-use"
        case error

        var outcome: Outcome {
            switch self {
            case .damaged, .newer, .offsetsDamaged: .incomplete
            case .inUse, .error: .failed
            }
        }
    }

    private enum State {
        case opened(RecoveryReport)
        case refused(Refusal, String)
    }

    let topic: TopicName
    private let directory: FilePath
    private let state: State

    private init(_ topic: TopicName, _ directory: FilePath, _ state: State) {
        self.topic = topic
        self.directory = directory
        self.state = state
    }

    var outcome: Outcome {
        if case .refused(let why, _) = state { why.outcome } else { .done }
    }

    // MARK: Opening

    /// Opens a topic's log with what its consumers have acknowledged as evidence, and closes it.
    static func open(_ topic: TopicName, in layout: DataLayout, host: LogHost) -> OpenResult {
        let directory = layout.directory(of: topic)
        do {
            try layout.refuseGoLog(of: topic)
            // Read before anything is cut: acknowledged messages were durable.
            let offsets = try OffsetsFile(layout.offsetsFile(of: topic)).load()
            try layout.syncChain(for: topic)
            var options = LogOptions()
            options.createsDirectory = false
            options.knownDurable = offsets?.highestAcknowledged
            let log = try Log.open(directory, host: host, options: options)
            let recovery = log.recovery
            try log.close()
            return OpenResult(topic, directory, .opened(recovery))
        } catch {
            return OpenResult(topic, directory, .refused(refusal(for: error), "\(error)"))
        }
    }

    private static func refusal(for error: any Error) -> Refusal {
        switch error {
        case OpenError.damaged: .damaged
        case OpenError.newer: .newer
        case OpenError.inUse: .inUse
        case OffsetsFileError.damaged: .offsetsDamaged
        default: .error
        }
    }

    // MARK: Telling

    /// The command that tells more; nil where it would not.
    private var command: String? {
        switch state {
        case .refused(.damaged, _), .refused(.newer, _), .refused(.offsetsDamaged, _):
            "toymq-fsck \(directory)"
        case .refused, .opened: nil
        }
    }

    /// For standard error; nil if all is well.
    var problem: String? {
        guard case .refused(let why, let text) = state else { return nil }
        let advice = command.map { "; look with: \($0)" } ?? ""
        // That one has the command in its text.
        return "\(topic): not opened: \(text)\(why == .damaged ? "" : advice)"
    }

    /// For standard output.
    var text: String {
        switch state {
        case .refused(let why, _): return "\(topic): not opened: \(why.rawValue)"
        case .opened(let report):
            let ids = report.ids.last.map { "ids \(report.ids.lowerBound) to \($0)" }
            var parts = [ids ?? "no messages, next id \(report.ids.upperBound)", tail(report.tail)]
            if report.isNew { parts.append("made anew") }
            parts.append("\(report.bytesChecked) bytes checked")
            if report.bytesRewritten > 0 {
                parts.append("\(report.bytesRewritten) written again")
            }
            return "\(topic): opened, \(parts.joined(separator: ", "))"
        }
    }

    private func tail(_ tail: RecoveryReport.Tail) -> String {
        switch tail {
        case .clean: "clean end"
        case .zeros(let bytes): "\(bytes) zero bytes behind the end"
        case .torn(let bytes, let keptIn, let reason):
            "torn end (\(reason)): \(bytes) bytes cut off and kept in \(keptIn)"
        case .unfinishedSegment: "an unfinished segment, which held nothing, made anew"
        }
    }

    var json: JSON {
        switch state {
        case .refused(let why, let text):
            return .object([
                ("topic", .string(topic.text)), ("opened", .bool(false)),
                ("reason", .string(why.rawValue)), ("detail", .string(text)),
                ("command", command.map { .string($0) } ?? .null),
            ])
        case .opened(let report):
            return .object(
                [("topic", .string(topic.text)), ("opened", .bool(true))] + members(report.tail)
                    + [
                        ("new", .bool(report.isNew)),
                        (
                            "first_id",
                            report.ids.isEmpty
                                ? .null : .integer(report.ids.lowerBound.rawValue)
                        ),
                        ("next_id", .integer(report.ids.upperBound.rawValue)),
                        ("bytes_checked", .integer(report.bytesChecked)),
                        ("bytes_rewritten", .integer(report.bytesRewritten)),
                    ])
        }
    }

    private func members(_ tail: RecoveryReport.Tail) -> [(String, JSON)] {
        switch tail {
        case .clean: return [("tail", .string("clean"))]
        case .zeros(let bytes):
            return [("tail", .string("zero-tail")), ("tail_bytes", .integer(bytes))]
        case .torn(let bytes, let keptIn, let reason):
            return [
                ("tail", .string("torn")), ("tail_bytes", .integer(bytes)),
                ("kept_in", .string(keptIn.string)), ("tail_reason", .string(reason)),
            ]
        case .unfinishedSegment: return [("tail", .string("unfinished-segment"))]
        }
    }
}
