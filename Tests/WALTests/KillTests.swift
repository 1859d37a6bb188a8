import SystemPackage
import Testing
import TestSupport
import WALTestSupport

@testable import WAL

/// A process that appends is killed at random moments, over and over on the same directory.
@Suite struct KillTests {
    /// What is known of a message: size and hash of its payload.
    fileprivate struct Print: Hashable {
        var size: Int
        var hash: UInt64
    }

    private final class Collector: ExaminationVisitor {
        var found: [UInt64: Print] = [:]
        func frame(
            _ frame: DecodedFrame, bytes: RawSpan, segment: SegmentName, at offset: UInt64
        ) {
            guard frame.isMessage else { return }
            found[frame.fields.id] = KillTests.fingerprint(bytes.extracting(frame.payload).copied())
        }
    }

    fileprivate static func fingerprint(_ payload: [UInt8]) -> Print {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in payload { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return Print(size: payload.count, hash: hash)
    }

    /// Lets a process append until it has said `count` lines, kills it, and gives what it had
    /// acknowledged.
    private func appendAndKill(
        _ directory: FilePath, seed: Int, after count: Int
    ) throws -> [UInt64: Print] {
        let process = try HelperProcess(["append", directory.string, "\(seed)"])
        var lines: [String] = []
        while lines.count < count, let line = process.line() { lines.append(line) }
        process.kill()
        lines += process.lines()
        let end = process.wait()
        #expect(end == -9, "it ended by itself: \(lines.suffix(1))")
        var acknowledged: [UInt64: Print] = [:]
        for line in lines where !line.hasPrefix("opened") {
            let fields = line.split(separator: " ")
            guard fields.count == 3, let id = UInt64(fields[0]), let size = Int(fields[1]),
                let hash = UInt64(fields[2])
            else {
                Issue.record("\(line)")
                continue
            }
            if acknowledged[id] != nil { Issue.record("id \(id) acknowledged twice") }
            acknowledged[id] = Print(size: size, hash: hash)
        }
        return acknowledged
    }

    /// 200 kills, 2,000 with TOYMQ_TEST_LONG=1.
    @Test func everythingAcknowledgedIsThereAndNoIDHasTwoPayloads() throws {
        let directory = try TemporaryDirectory()
        let host = LogHost()
        defer { host.shutdown() }
        var options = LogOptions()
        options.segmentBytes = 64 << 10
        var random = SystemRandomNumberGenerator()
        // All that was ever seen and not dropped since.
        var known: [UInt64: Print] = [:]
        var torn = 0
        for round in 0..<(isLongRun ? 2000 : 200) {
            // Some are killed while they are still opening the log.
            let count = round % 7 == 3 ? round % 2 : Int.random(in: 1...400, using: &random)
            let new = try appendAndKill(directory.path, seed: round, after: count)
            for (id, print) in new {
                if let before = known[id], before != print {
                    Issue.record("round \(round): id \(id) was given out twice")
                }
                known[id] = print
            }
            // Every other time nothing is recovered here: the next process finds it as it was.
            let collector = Collector()
            let listing = SegmentListing(try PosixDisk().list(directory.path))
            var examiner = LogExaminer(
                disk: PosixDisk(), directory: directory.path, knownDurable: new.keys.max(),
                visitor: collector)
            let found = try examiner.examine(listing)
            #expect(found.verdict < .damaged, "round \(round): \(found.findings)")
            if found.verdict == .torn { torn += 1 }
            compare(known, collector.found, round)
            known = collector.found
            if round % 2 == 0 {
                options.knownDurable = known.keys.max().map { MessageID($0) }
                let log = try Log.open(directory.path, host: host, options: options)
                let contents = try log.contents()
                compare(
                    known,
                    Dictionary(
                        uniqueKeysWithValues: contents.map {
                            ($0.id, KillTests.fingerprint($0.message.payload))
                        }), round)
                // Keeps the log small, and meets the beginning of a log that was dropped.
                let next = log.durable.upperBound.rawValue
                let first = try log.drop(below: MessageID(next - min(next, 1500)))
                known = known.filter { $0.key >= first.rawValue }
                try log.close()
            }
        }
        print("kills that tore a commit: \(torn)")
    }

    private func compare(_ known: [UInt64: Print], _ there: [UInt64: Print], _ round: Int) {
        for (id, print) in known where there[id] != print {
            Issue.record(
                "round \(round): \(id) is \(there[id] == nil ? "gone" : "another message")")
            return
        }
    }
}
