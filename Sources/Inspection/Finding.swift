package import WAL

/// How bad a finding is.
package enum Severity: String, CaseIterable, Comparable, Sendable {
    /// Worth knowing, nothing to do.
    case remark
    /// What a crash leaves; opening deals with it.
    case expected
    /// No crash does this.
    case damage
    /// A later version wrote it.
    case newer

    package static func < (a: Severity, b: Severity) -> Bool { a.rank < b.rank }

    private var rank: Int {
        switch self {
        case .remark: 0
        case .expected: 1
        case .damage: 2
        case .newer: 3
        }
    }
}

/// Everything that an inspection can find. docs/TOOLS.md has a heading for each, and a test
/// compares the two.
package enum FindingKind: String, CaseIterable, Sendable {
    case zeroTail = "zero-tail"
    case tornTail = "torn-tail"
    case staleTemp = "stale-temp"
    case keptTail = "kept-tail"
    case emptySegment = "empty-segment"
    case clockBack = "clock-back"
    case badLength = "bad-length"
    case badCRC = "bad-crc"
    case badInner = "bad-inner"
    case zeroHole = "zero-hole"
    case badID = "bad-id"
    case badPosition = "bad-position"
    case segmentMissing = "segment-missing"
    case segmentOverlap = "segment-overlap"
    case unknownField = "unknown-field"
    case offsetsDamaged = "offsets-damaged"
    case ackedBeyondEnd = "acked-beyond-end"
    case lost = "lost"
    case foreignFile = "foreign-file"

    package var severity: Severity {
        switch self {
        case .zeroTail, .keptTail, .emptySegment, .clockBack, .lost, .foreignFile: .remark
        case .tornTail, .staleTemp: .expected
        case .unknownField: .newer
        case .badLength, .badCRC, .badInner, .zeroHole, .badID, .badPosition, .segmentMissing,
            .segmentOverlap, .offsetsDamaged, .ackedBeyondEnd:
            .damage
        }
    }

    /// Whether it is a remark about a single frame, which is there.
    package var isAboutOneFrame: Bool { self == .lost || self == .clockBack }
}

extension LogFinding.Kind {
    /// The same finding among all that an inspection knows.
    package var inspected: FindingKind {
        switch self {
        case .zeroTail: .zeroTail
        case .tornTail: .tornTail
        case .emptySegment: .emptySegment
        case .clockBack: .clockBack
        case .badLength: .badLength
        case .badCRC: .badCRC
        case .badInner: .badInner
        case .zeroHole: .zeroHole
        case .badID: .badID
        case .badPosition: .badPosition
        case .segmentMissing: .segmentMissing
        case .segmentOverlap: .segmentOverlap
        case .unknownField: .unknownField
        case .ackedBeyondEnd: .ackedBeyondEnd
        case .lost: .lost
        }
    }
}

/// Something worth telling about a data directory.
package struct Finding: Hashable, Sendable {
    package var kind: FindingKind
    /// The file that it is in, by name.
    package var segment: String
    /// Where it begins in the file, in bytes.
    package var offset: UInt64
    /// How many bytes it covers.
    package var length: UInt64
    package var detail: String
    /// The ids whose messages are gone, where they can be told.
    package var lost: ClosedRange<UInt64>?
    /// The first id that was not known durable; nil where nothing was known.
    package var durableBelow: UInt64?
    /// One sentence: why it is judged so.
    package var evidence: String

    package init(
        _ kind: FindingKind, segment: String, offset: UInt64 = 0, length: UInt64 = 0,
        detail: String, lost: ClosedRange<UInt64>? = nil, durableBelow: UInt64? = nil,
        evidence: String
    ) {
        self.kind = kind
        self.segment = segment
        self.offset = offset
        self.length = length
        self.detail = detail
        self.lost = lost
        self.durableBelow = durableBelow
        self.evidence = evidence
    }

    /// What an examination of a log has found; `fileName` replaces the name that it was examined
    /// under, if it has another one.
    package init(_ finding: LogFinding, fileName: String? = nil) {
        self.init(
            finding.kind.inspected, segment: fileName ?? finding.segment,
            offset: finding.offset, length: finding.length, detail: finding.detail,
            lost: finding.lost, durableBelow: finding.durableBelow, evidence: finding.evidence)
    }

    package var severity: Severity { kind.severity }

    /// The evidence where a file was not read.
    static let nameTells = "its name tells: it was not read"

    /// Whether a message that was known durable is gone.
    package func losesDurable(below durableBelow: UInt64?) -> Bool {
        guard severity == .damage, let lost else { return false }
        return durableBelow.map { lost.lowerBound < $0 } ?? true
    }
}
