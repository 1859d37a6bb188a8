import DataDirectory
import Inspection
import SystemPackage
import WAL

/// A log of the Go program, of one or two files, the second of which begins where the first two
/// bytes say (0: there is one file only).
enum GoTarget {
    static func check(_ bytes: [UInt8]) throws {
        let rest = Array(bytes.dropFirst(2))
        let head = bytes.count >= 2 ? Int(bytes[0]) | Int(bytes[1]) << 8 : 0
        let split = head == 0 ? rest.count : head % (rest.count + 1)
        var files = ["000000.log": Array(rest[..<split])]
        if head != 0 { files["000001.log"] = Array(rest[split...]) }
        let disk = BytesDisk(files)
        let storage = Storage(disk)
        _ = GoLayout.dialect(of: RawSpan(of: rest), name: "000000.log")
        let segments = disk.names.compactMap {
            GoSegment(BytesDisk.directory.appending($0))
        }
        var walk = GoSegmentWalk(segments, on: storage)
        var findings: [LogFinding] = []
        var told: [String: [Range<UInt64>]] = [:]
        var lastID: UInt64?
        loop: while true {
            switch try walk.next() {
            case .end: break loop
            case .finding(let finding):
                findings.append(finding)
                if finding.kind == .clockBack { continue }
                told[finding.segment, default: []].append(
                    finding.offset..<finding.offset + finding.length)
            case .frame(let frame):
                let seen = walk.frameBytes.copied()
                let name = walk.segment.name
                let end = walk.offset + UInt64(seen.count)
                let file = disk.bytes(name)
                try require(
                    end <= UInt64(file.count) && Array(file[Int(walk.offset)..<Int(end)]) == seen,
                    "other bytes than those at \(walk.offset)")
                try require(reencoded(frame, seen) == seen, "encodes to other bytes: \(frame)")
                try require(lastID.map { $0 < frame.id } ?? true, "ids go back at \(walk.offset)")
                lastID = frame.id
                told[name, default: []].append(walk.offset..<end)
            }
        }
        try FindingRules.check(
            verdict: walk.summary.verdict, findings: findings, sizes: disk.sizes)
        for (name, size) in disk.sizes {
            var end: UInt64 = 0
            for range in (told[name] ?? []).sorted(by: { $0.lowerBound < $1.lowerBound })
            where range.lowerBound <= end {
                end = max(end, range.upperBound)
            }
            try require(end >= size, "nothing is said of \(name) from \(end) on, it has \(size)")
        }
        try require(disk.use.largestRead <= 17 << 20, "one read of \(disk.use.largestRead) bytes")
    }

    /// The frame over again, from its parts.
    private static func reencoded(_ frame: GoFrame, _ bytes: [UInt8]) -> [UInt8] {
        var buffer = ByteBuffer()
        let key = frame.key.map { Array(bytes[$0]) } ?? []
        let payload = Array(bytes[frame.payload])
        buffer.append(integer: frame.id)
        buffer.append(integer: frame.timestamp)
        buffer.append(integer: UInt16(key.count))
        buffer.append(key)
        buffer.append(integer: UInt32(payload.count))
        buffer.append(payload)
        if let visibleAt = frame.visibleAt { buffer.append(integer: visibleAt) }
        let crc = CRC32.of(buffer.bytes)
        buffer.append(integer: crc)
        var whole = ByteBuffer()
        whole.append(integer: UInt32(buffer.count))
        whole.append(buffer.bytes)
        return whole.bytes.copied()
    }
}
