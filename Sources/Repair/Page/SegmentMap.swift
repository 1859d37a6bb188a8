internal import Inspection

/// A segment as a strip: which bytes are what, to scale.
struct SegmentMap {
    enum Paint: String, CaseIterable {
        case intact
        case torn
        case damaged
        case zero
        case lost
        case newer

        var label: String {
            switch self {
            case .intact: "intact"
            case .torn: "torn"
            case .damaged: "damaged"
            case .zero: "zeros"
            case .lost: "lost frame"
            case .newer: "newer, not judged"
            }
        }
    }

    struct Part {
        /// In thousandths of the strip.
        var x: Double
        var width: Double
        var paint: Paint
        var title: String
    }

    /// In the order in which they are painted.
    private(set) var parts: [Part] = []

    /// What is narrower than this would not be seen.
    private static let narrowest = 4.0

    init(_ segment: SegmentReport, _ findings: [Finding]) {
        guard segment.size > 0 else { return }
        let size = Double(segment.size)
        parts.append(
            Part(x: 0, width: 1000, paint: .intact, title: "intact: \(segment.size) bytes"))
        for finding in findings where finding.segment == segment.name {
            guard let paint = SegmentMap.paint(finding) else { continue }
            let end =
                paint == .newer ? segment.size : min(segment.size, finding.offset + finding.length)
            let bytes = end > finding.offset ? end - finding.offset : 0
            let width = max(Double(bytes) / size * 1000, SegmentMap.narrowest)
            let x = min(Double(finding.offset) / size * 1000, 1000 - width)
            parts.append(
                Part(
                    x: rounded(max(x, 0)), width: rounded(width), paint: paint,
                    title: "\(finding.kind.rawValue): \(bytes) bytes at offset "
                        + "\(finding.offset)"))
        }
    }

    private func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }

    private static func paint(_ finding: Finding) -> Paint? {
        switch finding.kind {
        case .tornTail: .torn
        case .zeroTail, .zeroHole: .zero
        case .lost: .lost
        case .unknownField: .newer
        case .badLength, .badCRC, .badInner, .badID, .badPosition, .segmentMissing,
            .segmentOverlap, .ackedBeyondEnd:
            .damaged
        case .staleTemp, .keptTail, .emptySegment, .clockBack, .offsetsDamaged, .foreignFile: nil
        }
    }
}
