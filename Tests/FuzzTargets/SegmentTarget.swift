import WAL

/// A log of one or two segments, examined: findings, verdict and frames have to agree with each
/// other and with the bytes.
///
/// Four bytes say how the rest is taken: flags (1: an id is acknowledged, 2: two files, 4: the last
/// is sealed, too, 8: somebody appends), which id counted from the first, and where the second file
/// begins.
enum SegmentTarget {
    struct Input {
        var files: [String: [UInt8]] = [:]
        var knownDurable: UInt64?
        var isLive = false

        init(_ bytes: [UInt8]) {
            let head = bytes.prefix(4) + [UInt8](repeating: 0, count: max(0, 4 - bytes.count))
            let rest = Array(bytes.dropFirst(4))
            let first = Input.firstID(rest)
            if head[0] & 1 != 0 {
                let (id, overflow) = first.addingReportingOverflow(UInt64(head[1]))
                knownDurable = overflow || id == .max ? UInt64.max - 1 : id
            }
            isLive = head[0] & 8 != 0
            var parts = [rest]
            if head[0] & 2 != 0 {
                let split = (Int(head[2]) | Int(head[3]) << 8) % (rest.count + 1)
                parts = [Array(rest[..<split]), Array(rest[split...])]
            }
            for (index, part) in parts.enumerated() {
                let isLast = index == parts.count - 1
                let name: SegmentName =
                    isLast && head[0] & 4 == 0 ? .active : .sealed(first: Input.firstID(part))
                files[name.fileName] = part
            }
        }

        private static func firstID(_ bytes: [UInt8]) -> UInt64 {
            bytes.count >= 12 ? RawSpan(of: bytes).u64(at: FrameLayout.id) : 0
        }
    }

    static func check(_ bytes: [UInt8]) throws {
        let input = Input(bytes)
        let disk = BytesDisk(input.files)
        let witness = Witness(disk)
        let found = try examine(disk, input, witness)
        if let broken = witness.broken { throw broken }
        try boundsHold(disk)
        if input.isLive { return }
        try FindingRules.check(
            verdict: found.verdict, findings: found.findings, sizes: disk.sizes)
        try require(
            found.verdict >= .damaged || found.durableBelow <= found.nextID,
            "ids below \(found.durableBelow) are durable, the log ends at \(found.nextID), and "
                + "yet it is \(found.verdict)")
        try numbersHold(found, witness)
        if found.verdict <= .damaged { try allBytesAreTold(found, witness, disk) }
        if found.verdict == .torn { try cutIsClean(found, disk, input, witness) }
    }

    private static func examine(
        _ disk: BytesDisk, _ input: Input, _ witness: Witness?
    ) throws -> Examination {
        var examiner = LogExaminer(
            disk: disk, directory: BytesDisk.directory, knownDurable: input.knownDurable,
            isLive: input.isLive, visitor: witness)
        return try examiner.examine(SegmentListing(disk.list(BytesDisk.directory)))
    }

    /// Reading is bounded by the size: each place is looked at a bounded number of times, and no
    /// length from the file becomes a read of that length.
    static func boundsHold(_ disk: BytesDisk) throws {
        let use = disk.use
        try require(
            use.largestRead <= max(disk.size, 256 << 10) && use.largestRead <= 9 << 20,
            "one read asked for \(use.largestRead) bytes of \(disk.size)")
        try require(
            use.bytes <= 16 * UInt64(disk.size) + 4096,
            "read \(use.bytes) bytes of \(disk.size), in \(use.reads) calls")
    }

    private static func numbersHold(_ found: Examination, _ witness: Witness) throws {
        let messages = found.segments.reduce(0) { $0 + $1.messages }
        if found.verdict != .newer {
            try require(messages == witness.messages, "counts other messages than it shows")
            try require(found.nextID >= witness.nextID, "goes on below an id that is there")
        }
        // Of segments with the same ids one has to go, and what only that one holds goes with it.
        if found.findings.contains(where: { $0.kind == .segmentOverlap }) { return }
        for finding in found.findings where finding.kind != .lost {
            guard let lost = finding.lost else { continue }
            try require(
                witness.ids.allSatisfy { !lost.contains($0) },
                "an id is lost and there: \(finding)")
        }
    }

    /// Every byte is part of a frame, or of something told.
    private static func allBytesAreTold(
        _ found: Examination, _ witness: Witness, _ disk: BytesDisk
    ) throws {
        for (name, size) in disk.sizes {
            // A segment whose making was not finished holds nothing, whatever its few bytes are.
            if name == SegmentName.activeName, found.active != .made { continue }
            var told = witness.ranges[name] ?? []
            for finding in found.findings
            where finding.segment == name && finding.kind != .clockBack {
                told.append(finding.offset..<finding.offset + finding.length)
                // Zeros where the log ends too early are preallocated space: nothing more is said.
                let rest = disk.bytes(name)[Int(min(finding.offset, size))...]
                if finding.kind == .ackedBeyondEnd, rest.allSatisfy({ $0 == 0 }) {
                    told.append(finding.offset..<size)
                }
            }
            told.sort { ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound) }
            var end: UInt64 = 0
            for range in told where range.lowerBound <= end { end = max(end, range.upperBound) }
            try require(end >= size, "nothing is said of \(name) from \(end) on, it has \(size)")
        }
    }

    /// What is left when a torn tail is cut off is a clean log with the same messages.
    private static func cutIsClean(
        _ found: Examination, _ disk: BytesDisk, _ input: Input, _ before: Witness
    ) throws {
        guard let tail = found.findings.first(where: { $0.kind == .tornTail }) else { return }
        var files = input.files
        files[tail.segment]?.removeLast(Int(tail.length))
        let cut = BytesDisk(files)
        let witness = Witness(cut)
        let again = try examine(cut, input, witness)
        try require(again.verdict == .clean, "\(again.verdict) when the torn tail is gone")
        try require(
            again.nextID == found.nextID && witness.ids == before.ids,
            "other messages when the torn tail is gone")
    }

    /// Sees what the examination shows, and holds it against the bytes of the files.
    private final class Witness: ExaminationVisitor {
        private let disk: BytesDisk
        private(set) var broken: BrokenInvariant?
        private(set) var messages: UInt64 = 0
        private(set) var nextID: UInt64 = 0
        private(set) var ids: [UInt64] = []
        private(set) var ranges: [String: [Range<UInt64>]] = [:]

        init(_ disk: BytesDisk) { self.disk = disk }

        func frame(
            _ frame: DecodedFrame, bytes: RawSpan, segment: SegmentName, at offset: UInt64
        ) {
            let seen = bytes.copied()
            let name = segment.fileName
            do throws(BrokenInvariant) {
                let end = offset + UInt64(seen.count)
                let before = ranges[name]?.last
                try require(
                    before?.upperBound ?? 0 <= offset, "frames out of order at \(offset)")
                let file = disk.bytes(name)
                try require(
                    end <= UInt64(file.count) && Array(file[Int(offset)..<Int(end)]) == seen,
                    "other bytes than those at \(offset)")
                try require(
                    FrameTarget.reencoded(frame, seen) == seen, "encodes to other bytes: \(frame)")
                if let first = bases[name] {
                    try require(
                        frame.fields.position == first &+ offset, "not in its place: \(frame)")
                }
                bases[name] = frame.fields.position &- offset
                try require(
                    before == nil || frame.fields.id >= lastNext, "ids go back at \(offset)")
                lastNext = frame.nextID
                ranges[name, default: []].append(offset..<end)
            } catch {
                broken = broken ?? error
            }
            nextID = max(nextID, frame.nextID)
            if frame.isMessage {
                messages += 1
                ids.append(frame.fields.id)
            }
        }

        private var bases: [String: UInt64] = [:]
        private var lastNext: UInt64 = 0
    }
}

extension BytesDisk {
    var sizes: [String: UInt64] {
        Dictionary(uniqueKeysWithValues: names.map { ($0, UInt64(bytes($0).count)) })
    }
}
