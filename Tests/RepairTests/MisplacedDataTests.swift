import DataDirectory
import Inspection
import SystemPackage
import Testing
import WALTestSupport

@testable import WAL

/// A topic's directory that was once taken for a data directory, and how that is refused.
@Suite struct MisplacedDataTests {
    private func damaged() -> SegmentBuilder {
        var segment = SegmentBuilder()
        for number in 0..<5 { segment.add(TestMessage("message \(number)")) }
        segment.addMark()
        segment.bytes[segment.frames[2].range.lowerBound + 36] ^= 1
        return segment
    }

    @Test func aTopicWithADirectoryTopicsInItIsStillJudgedAsATopic() throws {
        let bench = RepairBench(LogImage(damaged()))
        bench.disk.putDirectory(RepairBench.directory.appending("topics"))
        let report = try bench.check(RepairBench.directory)
        #expect(report.topics.map(\.topic) == ["orders"])
        #expect(report.verdict == .damaged)
        #expect(try bench.check().verdict == .damaged)
    }

    @Test func aLogThatWasCopiedElsewhereIsJudgedBesideAnEmptyDirectoryTopics() throws {
        let bench = RepairBench([])
        bench.disk.putDirectory("/copy")
        bench.disk.putDirectory("/copy/topics")
        bench.disk.put(damaged().bytes, at: "/copy/segment.log")
        #expect(try bench.check("/copy").verdict == .damaged)
    }

    @Test func aDataDirectoryIntoWhichASegmentWasCopiedIsOneAllTheSame() throws {
        let bench = RepairBench(LogImage(damaged()))
        bench.disk.put(damaged().bytes, at: "/data/segment.log")
        let report = try bench.check()
        #expect(report.topics.map(\.topic) == ["orders"])
        #expect(report.findings.map(\.kind) == [.foreignFile])
    }

    private func reason(_ path: FilePath, _ bench: RepairBench) -> String? {
        do throws(DataLockError) {
            try DataLayout(path, storage: bench.storage).checkPlace()
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test func aTopicsDirectoryIsRefusedAsADataDirectory() throws {
        let bench = RepairBench(LogImage(damaged()))
        bench.disk.put([], at: "/data/LOCK")
        let before = bench.disk.allFiles
        #expect(reason("/data/topics/orders", bench)?.contains("segment.log") == true)
        #expect(reason("/data/topics", bench)?.contains("/data; give that one") == true)
        #expect(reason("/data", bench) == nil)
        #expect(reason("/nothing", bench) == nil)
        #expect(bench.disk.allFiles == before)
    }
}
