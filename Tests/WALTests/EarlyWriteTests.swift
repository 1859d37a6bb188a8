import Simulation
import SystemPackage
import Testing
import TestSupport
import Threads
import WALTestSupport

@testable import WAL

/// What is committed next is written, and the disk begins with it, before the tasks of the commit
/// before are told. None of them is told less for it, nor sooner.
@Suite struct EarlyWriteTests {
    /// Two commits of ten tasks each: those of the second append while the first is forced.
    private struct TwoCommits {
        let log: Log
        let host: LogHost
        let first = (0..<10).map { _ in AppendTicket() }
        let second = (0..<10).map { _ in AppendTicket() }
        let secondPayload: [UInt8]

        init(
            on disk: any Disk, secondPayload: [UInt8] = Array("second".utf8),
            _ change: (inout LogOptions) -> Void = { _ in }
        ) throws {
            // Looks for the segment's place before each commit.
            host = .on(disk) { $0.placeNanoseconds = 0 }
            var options = LogOptions()
            change(&options)
            log = try Log.open(LogImage.directory, host: host, options: options)
            self.secondPayload = secondPayload
        }

        var durable: UInt64 { log.durable.upperBound.rawValue }

        /// Commits those of the first and what waits behind them.
        func run() async throws {
            try stage(first, Array("first".utf8))
            log.core.commitScheduled()
            // Those that no job has come to yet: other tests may have all threads of the pool.
            while let tasks = log.core.state.withLock({ $0.tasks.popFirst() }) { tasks.tell() }
            #expect(await eventually { (first + second).allSatisfy { $0.hasEnded } })
        }

        func stageSecond() { try? stage(second, secondPayload) }

        private func stage(_ tickets: [AppendTicket], _ payload: [UInt8]) throws {
            try log.core.state.withLock { (state) throws(LogError) in
                for ticket in tickets {
                    try log.core.stage(
                        Message(payload: payload.span.bytes), .ticket(ticket), &state)
                }
            }
        }

        func end() {
            try? log.close()
            host.shutdown()
        }
    }

    /// What the committer asks of `segment.log`.
    private enum Step: Equatable { case write, begin(Range<UInt64>), sync }

    /// Runs the two commits; `script` sees each step with those before it.
    private func run(
        _ commits: TwoCommits, _ disk: MemoryDisk,
        _ script: @escaping @Sendable (Step, [Step]) -> DiskFault? = { _, _ in nil }
    ) async throws -> [Step] {
        let steps = Observed<[Step]>([])
        disk.follow { call in
            guard call.name == SegmentName.activeName else { return nil }
            let step: Step
            switch call.operation {
            case .write: step = .write
            case .sync where call.count > 0:
                step = .begin(call.offset..<call.offset + UInt64(call.count))
            case .sync: step = .sync
            default: return nil
            }
            let before = steps.value
            steps.update { $0.append(step) }
            if step == .sync, !before.contains(.sync) { commits.stageSecond() }
            return script(step, before)
        }
        try await commits.run()
        disk.follow(nil)
        return steps.value
    }

    private func reopened(_ disk: MemoryDisk) throws -> Log {
        try Log.open(LogImage.directory, host: .on(disk.afterPowerLoss()))
    }

    private func texts(_ first: Int, _ second: Int) -> [String] {
        Array(repeating: "first", count: first) + Array(repeating: "second", count: second)
    }

    private func outcomes(_ tickets: [AppendTicket]) async -> [Result<MessageID, LogError>] {
        var outcomes: [Result<MessageID, LogError>] = []
        for ticket in tickets {
            do { outcomes.append(.success(try await ticket.value())) } catch {
                outcomes.append(.failure(error))
            }
        }
        return outcomes
    }

    @Test func theDiskBeginsWithTheNextCommitAndNobodyIsToldOfItSooner() async throws {
        let disk = LogImage(files: []).disk()
        let commits = try TwoCommits(on: disk)
        let steps = try await run(commits, disk) { _, before in
            if before.contains(.sync) {
                // Those of the first are told when the disk has begun with the second.
                if before.last != .sync, before.count < 4 {
                    #expect(commits.first.allSatisfy { !$0.hasEnded })
                }
                #expect(commits.durable == 10)
                #expect(commits.second.allSatisfy { !$0.hasEnded })
            }
            return nil
        }
        // The first frame is the mark of the segment.
        let found = frames(in: disk.bytes(LogImage.directory.appending("segment.log")) ?? [])
        let end = found[20].offset + found[20].frame.bytes
        let second = UInt64(found[11].offset)..<UInt64(end)
        #expect(steps == [.write, .sync, .write, .begin(second), .sync])
        let ids = await outcomes(commits.first + commits.second).map { try? $0.get().rawValue }
        #expect(ids == (0..<20).map { $0 })
        #expect(try reopened(disk).texts() == texts(10, 10))
        commits.end()
    }

    /// Sealing takes syncs, and writing much takes long: those who are durable do not wait for it.
    @Test(arguments: [3_800, 20_000]) func whatTakesLongIsNotWrittenEarly(bytes: Int) async throws {
        let disk = LogImage(files: []).disk()
        let commits = try TwoCommits(
            on: disk, secondPayload: [UInt8](repeating: 7, count: bytes)
        ) {
            if bytes < 4096 { $0.segmentBytes = 4096 }
        }
        let steps = try await run(commits, disk)
        #expect(steps.allSatisfy { if case .begin = $0 { false } else { true } })
        for outcome in await outcomes(commits.first + commits.second) { _ = try outcome.get() }
        #expect(try reopened(disk).contents().count == 20)
        commits.end()
    }

    @Test func anEarlyWriteThatFailsFailsItsOwnTasksOnly() async throws {
        let disk = LogImage(files: []).disk()
        let commits = try TwoCommits(on: disk)
        _ = try await run(commits, disk) { step, before in
            before.contains(.sync) && step == .write ? .fail(.noSpace) : nil
        }
        let first = await outcomes(commits.first).map { try? $0.get().rawValue }
        #expect(first == (0..<10).map { $0 })
        for outcome in await outcomes(commits.second) {
            guard case .failure(.notWritten(let cause)) = outcome else {
                Issue.record("\(outcome)")
                continue
            }
            #expect(cause.errno == .noSpace)
        }
        // Nobody was told of the ids: they are given out again.
        commits.host.runAll()
        #expect(try commits.log.append(TestMessage("second")) == 10)
        #expect(try reopened(disk).texts() == texts(10, 1))
        commits.end()
    }

    /// Somebody moves the segment while the first commit is forced.
    @Test func whatIsFoundOutBeforeAnEarlyWriteIsToldOfTheSecondCommitOnly() async throws {
        let disk = LogImage(files: []).disk()
        let commits = try TwoCommits(on: disk)
        let active = LogImage.directory.appending(SegmentName.activeName)
        let steps = try await run(commits, disk) { step, _ in
            if step == .sync { try? disk.rename(active, to: LogImage.directory.appending("moved")) }
            return nil
        }
        #expect(steps == [.write, .sync])
        for outcome in await outcomes(commits.first) { _ = try outcome.get() }
        for outcome in await outcomes(commits.second) {
            guard case .failure(.takenOver) = outcome else {
                Issue.record("\(outcome)")
                continue
            }
        }
        commits.end()
    }

    /// The sync of what was written early fails, or already the call that begins with it: a file
    /// system may have dropped the pages, and the sync behind it would succeed.
    @Test(arguments: [true, false]) func anEarlyWriteThatIsNotForcedIsFinal(
        whenBegun: Bool
    ) async throws {
        let disk = LogImage(files: []).disk()
        let commits = try TwoCommits(on: disk)
        let steps = try await run(commits, disk) { step, before in
            guard before.contains(.sync), step != .write else { return nil }
            return (step != .sync) == whenBegun ? .fail(.ioError) : nil
        }
        #expect(steps.count { $0 == .sync } == (whenBegun ? 1 : 2))
        for outcome in await outcomes(commits.first) { _ = try outcome.get() }
        for outcome in await outcomes(commits.second) {
            guard case .failure(.poisoned) = outcome else {
                Issue.record("\(outcome)")
                continue
            }
        }
        #expect(throws: LogError.self) { try commits.log.append(TestMessage("third")) }
        #expect(try reopened(disk).texts() == texts(10, 0))
        commits.end()
    }

    /// At each call and within each write the process is killed or the power fails: what was forced
    /// is there, who may have been told is in it, and of the rest there is a beginning or nothing.
    @Test func whereverItCrashesWhatTasksMayHaveBeenToldIsThere() async throws {
        let states = Observed<[(durable: UInt64, SimulatedState)]>([])
        let hooks = Observed<TwoCommits?>(nil)
        let syncs = Observed(0)
        let disk = SimulatedDisk(partsOfWrites: 12) { state, call in
            guard let commits = hooks.value else { return }
            states.update { $0.append((commits.durable, state)) }
            #expect(commits.durable == UInt64(10 * syncs.value))
            guard case .sync = call else { return }
            if syncs.value == 0 { commits.stageSecond() }
            syncs.update { $0 += 1 }
        }
        try disk.makeDirectory(LogImage.directory)
        try disk.syncDirectory("/")
        let commits = try TwoCommits(on: disk)
        hooks.update { $0 = commits }
        try await commits.run()
        hooks.update { $0 = nil }
        states.update { $0.append((20, disk.state)) }
        #expect(syncs.value == 2)
        #expect(states.value.count > 24)

        var random = Seeded(1)
        var count = 0
        for (durable, state) in states.value {
            let judge = { (state: SimulatedState, label: String) in
                count += 1
                let log = try Log.open(LogImage.directory, host: .on(SimulatedDisk(state)))
                let texts = try log.texts()
                #expect(texts.count >= durable, "\(label)")
                #expect(
                    texts == self.texts(min(texts.count, 10), max(texts.count - 10, 0)),
                    "\(label)")
                try log.close()
            }
            try judge(state, "killed")
            try PowerCut(limit: 30).forEachOutcome(of: state, using: &random, judge)
        }
        #expect(count > 300)
        commits.end()
    }
}
