/// Something worth telling about a log, as a value: damage does not stop an examination.
package struct LogFinding: Hashable, Sendable {
    /// What was found. The names are those of the command-line contract.
    package enum Kind: String, CaseIterable, Sendable {
        case zeroTail = "zero-tail"
        case tornTail = "torn-tail"
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
        case ackedBeyondEnd = "acked-beyond-end"
        case lost = "lost"
    }

    package var kind: Kind
    /// File name of the segment.
    package var segment: String
    /// Where it begins in the file, in bytes.
    package var offset: UInt64
    /// How many bytes it covers.
    package var length: UInt64
    /// What exactly, for people.
    package var detail: String
    /// The ids whose messages are gone, where they can be told.
    package var lost: ClosedRange<UInt64>?
    /// All ids below this were known durable; nil where nothing was.
    package var durableBelow: UInt64?
    /// One sentence: why it is judged so.
    package var evidence: String

    package init(
        _ kind: Kind, segment: String, offset: UInt64, length: UInt64, detail: String,
        lost: ClosedRange<UInt64>? = nil, durableBelow: UInt64? = nil, evidence: String
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
}

extension LogFinding.Kind {
    /// Whether it says that something durable is gone or changed.
    package var isDamage: Bool {
        switch self {
        case .badLength, .badCRC, .badInner, .zeroHole, .badID, .badPosition, .segmentMissing,
            .segmentOverlap, .ackedBeyondEnd:
            true
        case .zeroTail, .tornTail, .emptySegment, .clockBack, .unknownField, .lost: false
        }
    }

    /// Whether it is worth knowing only: there is nothing to do, and nothing is decided by it.
    package var isRemark: Bool {
        switch self {
        case .zeroTail, .emptySegment, .clockBack, .lost: true
        case .badLength, .badCRC, .badInner, .zeroHole, .badID, .badPosition, .segmentMissing,
            .segmentOverlap, .ackedBeyondEnd, .tornTail, .unknownField:
            false
        }
    }
}
