internal import DataDirectory
internal import Inspection
internal import SystemPackage
internal import WAL

/// Makes one topic out of one log of the Go program, in a directory of its own: closed cleanly,
/// durable, and nobody's yet.
struct TopicBuilder {
    let job: ImportPlan.Job
    let directory: FilePath
    let host: LogHost
    /// The wall clock, nanoseconds since 1970: a delay beyond it is one that is not kept.
    let now: UInt64

    struct Built {
        var topic: ImportReport.Topic
        var issues: [ImportIssue] = []
    }

    private static let timestampHeader = Array("imported-timestamp".utf8)
    private static let visibleAtHeader = Array("imported-visible-at".utf8)
    /// How much of a Go log is read between two words about it.
    private static let progressBytes: UInt64 = 1 << 20

    func build(_ progress: (UInt64) -> Void) throws(ImportError) -> Built {
        do {
            try RemovedTree.remove(directory, on: host.storage)
        } catch {
            throw .io(error)
        }
        let filler = LogFiller(try openLog())
        var issues: [ImportIssue] = []
        do {
            issues = try fill(filler, progress)
            try filler.finish()
        } catch {
            filler.abandon()
            switch error {
            case let error as DiskError: throw .io(error)
            case let error as LogError: throw .write(directory, error)
            default: preconditionFailure("only typed errors are thrown above: \(error)")
            }
        }
        var transfer = OffsetsTransfer(job.log, filler)
        try transfer.load(on: host.storage)
        do {
            // Forces the directory too, and with it the names of the segments.
            try OffsetsFile(directory.appending("offsets.json"), storage: host.storage)
                .store(transfer.offsets)
        } catch {
            throw .offsets(error)
        }
        let topic = ImportReport.Topic(
            source: job.log.path, name: job.name, messages: filler.messages,
            ids: MessageID(0)..<MessageID(filler.nextID), lost: filler.lost,
            consumers: transfer.offsets.consumers.keys.sorted())
        return Built(topic: topic, issues: issues + transfer.issues)
    }

    private func openLog() throws(ImportError) -> Log {
        do {
            return try Log.open(directory, host: host)
        } catch {
            throw .open(error)
        }
    }

    /// Throws `DiskError` for the Go log and `LogError` for the new one.
    private func fill(
        _ filler: LogFiller, _ progress: (UInt64) -> Void
    ) throws -> [ImportIssue] {
        var issues: [ImportIssue] = []
        var delays = DelayedMessages()
        var walk = GoSegmentWalk(job.log.segments, on: host.storage)
        var bytes: UInt64 = 0
        var nextWord = TopicBuilder.progressBytes
        walking: while true {
            switch try walk.next() {
            case .end: break walking
            case .finding(let finding): issues.append(issue(finding))
            case .frame(let frame):
                let outcome = try append(frame, walk.frameBytes, to: filler)
                if let text = TopicBuilder.whyNot(outcome) {
                    issues.append(
                        ImportIssue(
                            .message, path: walk.segment.path, offset: walk.offset,
                            ids: [MessageID(frame.id)...MessageID(frame.id)],
                            text: "message \(frame.id) was not taken over: \(text)"))
                } else if let visibleAt = frame.visibleAt, visibleAt > now {
                    delays.add(frame.id)
                }
                bytes += UInt64(frame.frameBytes)
                if bytes >= nextWord {
                    progress(bytes)
                    nextWord = bytes + TopicBuilder.progressBytes
                }
            }
        }
        if let issue = delays.issue(job.log.path) { issues.append(issue) }
        return issues
    }

    private func append(
        _ frame: GoFrame, _ bytes: RawSpan, to filler: LogFiller
    ) throws(LogError) -> LogFiller.Outcome {
        var headers = [
            MessageHeader(
                name: TopicBuilder.timestampHeader, value: Array("\(frame.timestamp)".utf8))
        ]
        // 0 is how the Go program writes that there is no delay.
        if let visibleAt = frame.visibleAt, visibleAt > 0 {
            headers.append(
                MessageHeader(
                    name: TopicBuilder.visibleAtHeader, value: Array("\(visibleAt)".utf8)))
        }
        let payload = bytes.extracting(frame.payload)
        guard let key = frame.key else {
            return try filler.append(Message(payload: payload, headers: headers), as: frame.id)
        }
        return try filler.append(
            Message(payload: payload, key: bytes.extracting(key), headers: headers), as: frame.id)
    }

    /// Nil if the message was taken over.
    private static func whyNot(_ outcome: LogFiller.Outcome) -> String? {
        switch outcome {
        case .appended: nil
        case .tooLarge: "with its headers it does not fit a frame; a `lost` frame stands for it"
        case .idTooHigh: "its id is too high for a message to follow"
        }
    }

    private func issue(_ finding: LogFinding) -> ImportIssue {
        return ImportIssue(
            .finding(
                finding.kind.rawValue, isRemark: finding.kind.inspected.severity == .remark),
            path: job.log.path.appending(finding.segment), offset: finding.offset,
            ids: finding.lost.map {
                [MessageID($0.lowerBound)...MessageID($0.upperBound)]
            } ?? [], text: finding.detail)
    }
}

/// Messages whose time has not come yet.
private struct DelayedMessages {
    private var count = 0
    private var ids: [ClosedRange<MessageID>] = []

    /// As many ranges as people read; the rest is counted only.
    private static let listed = 100

    mutating func add(_ id: UInt64) {
        count += 1
        if let last = ids.last, last.upperBound.rawValue + 1 == id {
            ids[ids.count - 1] = last.lowerBound...MessageID(id)
        } else if ids.count < DelayedMessages.listed {
            ids.append(MessageID(id)...MessageID(id))
        }
    }

    func issue(_ path: FilePath) -> ImportIssue? {
        guard count > 0 else { return nil }
        let list = ids.map(\.text).joined(separator: ", ")
        let isAll = ids.reduce(0) { $0 + $1.count } == count
        return ImportIssue(
            .delay, path: path, ids: ids,
            text: "the delay of \(count == 1 ? "a message" : "\(count) messages") is not over and "
                + "was not taken over: id\(count == 1 ? "" : "s") \(list)"
                + (isAll ? "" : " and others"))
    }
}

extension ClosedRange<MessageID> {
    /// How many ids. Only for ranges of a log, none of which has all 2^64.
    fileprivate var count: Int { Int(upperBound.rawValue - lowerBound.rawValue) + 1 }
    /// `4` or `4-7`.
    fileprivate var text: String {
        lowerBound == upperBound ? "\(lowerBound)" : "\(lowerBound)-\(upperBound)"
    }
}
