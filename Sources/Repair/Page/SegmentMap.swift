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
        /// How many findings it stands for.
        var places = 1
    }

    /// In the order in which they are painted.
    private(set) var parts: [Part] = []

    /// What is narrower than this would not be seen.
    private static let narrowest = 4.0
    /// What begins less than this apart is one part: a log may have more damaged places than a page
    /// can show or a browser hold.
    private static let resolution = 1.0

    /// - Parameter findings: those of this segment.
    init(_ segment: SegmentReport, _ findings: [Finding]) {
        guard segment.size > 0 else { return }
        parts.append(
            Part(x: 0, width: 1000, paint: .intact, title: "intact: \(segment.size) bytes"))
        var latest: [Paint: Int] = [:]
        for finding in findings {
            guard let part = SegmentMap.part(finding, of: segment.size) else { continue }
            if let index = latest[part.paint],
                (0..<SegmentMap.resolution).contains(part.x - parts[index].x)
            {
                parts[index].merge(part)
            } else {
                latest[part.paint] = parts.count
                parts.append(part)
            }
        }
    }

    private static func part(_ finding: Finding, of size: UInt64) -> Part? {
        guard let paint = paint(finding) else { return nil }
        let end = paint == .newer ? size : min(size, finding.offset + finding.length)
        let bytes = end > finding.offset ? end - finding.offset : 0
        let width = max(Double(bytes) / Double(size) * 1000, narrowest)
        let x = min(Double(finding.offset) / Double(size) * 1000, 1000 - width)
        return Part(
            x: rounded(max(x, 0)), width: rounded(width), paint: paint,
            title: "\(finding.kind.rawValue): \(bytes) bytes at offset \(finding.offset)")
    }

    private static func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }

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

extension SegmentMap.Part {
    /// Covers another one, too, which begins behind it.
    fileprivate mutating func merge(_ other: SegmentMap.Part) {
        width = max(width, other.x + other.width - x)
        places += 1
    }
}
