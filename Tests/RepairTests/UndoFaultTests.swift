import Inspection
import SystemPackage
import Testing
import Threads
import WALTestSupport

@testable import Repair
@testable import WAL

/// An undo whose n-th call fails: at every n it tells what the disk shows.
@Suite struct UndoFaultTests {
    /// A repair replaces the segment, and takes offsets.json and a left-over away.
    private func repaired() throws -> (bench: RepairBench, before: [String: [UInt8]], undo: Undo) {
        var segment = SegmentBuilder()
        for number in 0..<4 { segment.add(TestMessage("message \(number)")) }
        segment.addMark()
        segment.bytes[segment.frames[2].range.lowerBound + 36] ^= 1
        let bench = RepairBench(
            LogImage(segment), [("offsets.json", [1]), ("offsets.json.tmp", [2])])
        let before = bench.files
        let kept = try #require(try bench.repair().keptIn)
        return (bench, before, Undo(kept, on: bench.storage))
    }

    @Test func anUndoThatIsStoppedTellsWhatItHasPutBack() throws {
        var halfway = 0
        for number in 0..<400 {
            let (bench, before, undo) = try repaired()
            let after = bench.files
            let count = Monitor(0)
            bench.disk.follow { _ in
                count.withLock {
                    $0 += 1
                    return $0 == number + 1
                } ? .fail(.ioError) : nil
            }
            var told: [ReportAction] = []
            do throws(RepairError) {
                told = try undo.run()
            } catch {
                if case .partly(let actions, _) = error {
                    #expect(!actions.isEmpty)
                    told = actions
                    halfway += 1
                }
            }
            bench.disk.follow(nil)
            let now = bench.files
            let changed = Set(before.keys).union(after.keys).filter {
                now[$0] != after[$0] && now[$0] == before[$0]
            }
            let named = told.map { RepairBench.directory.appending($0.file).string }
            #expect(Set(named) == changed, "call \(number)")
            bench.disk.startTrace()
            _ = try undo.run()
            #expect(bench.files == before, "call \(number)")
            // What the first one saw done may not have been forced.
            let forced = bench.disk.trace.filter { $0.operation == .syncDirectory }
            #expect(forced.map(\.path).contains(RepairBench.directory), "call \(number)")
            if count.withLock({ $0 }) <= number { break }
        }
        #expect(halfway > 3)
    }
}
