package import WAL

/// What inspecting one log has given.
package struct TopicReport: Sendable {
    package var topic: String
    package var verdict = Verdict.clean
    /// The verdict on the whole log where only one file of it was asked for; nil where the verdict
    /// is that.
    package var logVerdict: Verdict?
    /// Whether a program that opens the log would read this: not a file alone under some name.
    package var isOfALog = true
    /// Who wrote it. Logs of the Go program are checked and never repaired.
    package var dialect = LogDialect.native
    /// A process has it open: it was checked up to what is known durable.
    package var isLive = false
    /// The id of the next message; nil where nothing tells.
    package var nextID: UInt64?
    /// The first id not known durable; nil where the dialect has no evidence.
    package var durableBelow: UInt64?
    package var segments: [SegmentReport] = []
    package var findings: [Finding] = []
    /// A repair has to give up messages that can be read.
    package var givesUpMessages = false
    /// The system call that failed; nothing was decided then.
    package var error: DiskError?
    /// What the failure means, where more can be said than which call it was.
    package var problem: String?
    /// What stopped a repair halfway. Verdict and findings are what was found before it, as with a
    /// repair that was done; some of that is corrected now, and some is not.
    package var interruption: String?
    /// The work was cancelled before it came to this topic.
    package private(set) var isCancelled = false

    package init(topic: String) { self.topic = topic }

    /// The report on a topic that was not looked at: no verdict, which must not look like a good
    /// one.
    package static func cancelled(_ topic: String) -> TopicReport {
        var report = TopicReport(topic: topic)
        report.verdict = .error
        report.isCancelled = true
        return report
    }

    /// Opening the log would refuse it and leave every file as it is.
    package var isRefused: Bool { (logVerdict ?? verdict) >= .damaged }

    /// A later version wrote to the log: no file of it is changed.
    package var isNewer: Bool { (logVerdict ?? verdict) == .newer }

    /// Why nothing was decided; nil if something was.
    package var errorText: String? {
        isCancelled
            ? "not examined: it was cancelled before" : error.map { problem ?? "\($0)" }
    }

    /// The bits of an exit code in the manner of fsck(8).
    package var exitBits: ExitBits {
        if isCancelled { return .cancelled }
        if error != nil { return .operational }
        var bits: ExitBits = []
        if interruption != nil { bits = [.corrected, .uncorrected, .operational] }
        // A verdict is never better in the exit code than in words.
        if verdict > .zeroTail || findings.contains(where: { $0.severity > .remark }) {
            bits.insert(.uncorrected)
        }
        if givesUpMessages || findings.contains(where: { $0.losesDurable(below: durableBelow) }) {
            bits.insert(.messagesLost)
        }
        return bits
    }
}

/// One file of a log.
package struct SegmentReport: Hashable, Sendable {
    package var name: String
    package var size: UInt64
    package var firstID: UInt64?
    package var nextID: UInt64?
    package var messages: UInt64
    package var frames: UInt64

    package init(
        name: String, size: UInt64, firstID: UInt64?, nextID: UInt64?, messages: UInt64,
        frames: UInt64
    ) {
        self.name = name
        self.size = size
        self.firstID = firstID
        self.nextID = nextID
        self.messages = messages
        self.frames = frames
    }
}

/// The exit code of toymq-fsck, a sum.
package struct ExitBits: OptionSet, Hashable, Sendable {
    package let rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }

    package static let corrected = ExitBits(rawValue: 1)
    /// Expected after a crash, newer, or damage.
    package static let uncorrected = ExitBits(rawValue: 4)
    package static let operational = ExitBits(rawValue: 8)
    package static let usage = ExitBits(rawValue: 16)
    package static let cancelled = ExitBits(rawValue: 32)
    /// Messages that were known durable are lost.
    package static let messagesLost = ExitBits(rawValue: 64)
}

/// What inspecting a path has given.
package struct InspectionReport: Sendable {
    package var path: String
    package var topics: [TopicReport] = []
    /// What stands in the data directory and belongs to no topic.
    package var findings: [Finding] = []
    /// What a repair or an undo has done.
    package var actions: [ReportAction] = []

    package init(path: String) { self.path = path }

    /// Rendered in pieces of about this size: a report on a log with very many damaged places is
    /// larger than what it is made from.
    static let pieceBytes = 65_536

    /// The worst of all topics.
    package var verdict: Verdict { topics.map(\.verdict).max() ?? .clean }
    package var exitBits: ExitBits {
        topics.reduce(into: []) { $0.formUnion($1.exitBits) }
    }
}

/// Something that a repair or an undo has done.
package struct ReportAction: Hashable, Sendable {
    package enum Kind: String, Sendable {
        /// The file was replaced by a new one.
        case replace
        /// The file is new.
        case create
        /// The file was taken away.
        case remove
        /// The file is again what it was before a repair.
        case putBack = "put-back"
    }
    package var kind: Kind
    package var topic: String
    package var file: String
    package var detail: String
    /// Where the old file is kept, by path; nil if there was none.
    package var kept: String?

    package init(kind: Kind, topic: String, file: String, detail: String, kept: String? = nil) {
        self.kind = kind
        self.topic = topic
        self.file = file
        self.detail = detail
        self.kept = kept
    }
}
