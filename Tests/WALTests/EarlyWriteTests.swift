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
        let fixture: LogFixture
        let log: Log
        let first = (0..<10).map { _ in AppendTicket() }
        let second = (0..<10).map { _ in AppendTicket() }
        let secondPayload: [UInt8]
        /// Of `segment.log`.
        private let syncs = Observed(0)

        init(
            secondPayload: [UInt8] = Array("second".utf8),
            _ options: (inout LogOptions) -> Void = { _ in }
        ) throws {
            fixture = LogFixture(threads: 0, options)
            log = try fixture.open()
            self.secondPayload = secondPayload
        }

        /// Runs them; `script` sees each call with the number of syncs before it.
        func run(_ script: @escaping @Sendable (DiskCall, _ syncs: Int) -> DiskFault?) async throws
        {
            try stage(first, Array("first".utf8))
            fixture.disk.follow { call in
                guard call.name == SegmentName.activeName else { return nil }
                let before = syncs.value
                if call.operation == .sync {
                    syncs.update { $0 += 1 }
                    if before == 0 { try? stage(second, secondPayload) }
                }
                return script(call, before)
            }
            log.core.commitScheduled()
            fixture.disk.follow(nil)
            // Those that no job has come to yet: other tests may have all threads of the pool.
            while let tasks = log.core.state.withLock({ $0.tasks.popFirst() }) { tasks.tell() }
            #expect(await eventually { (first + second).allSatisfy { $0.hasEnded } })
        }

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
            fixture.host.shutdown()
        }
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

    @Test func theDiskBeginsWithTheNextCommitAndWithNothingElse() async throws {
        let commits = try TwoCommits()
        let begun = Observed<[Int]>([])
        let disk = commits.fixture.disk
        try await commits.run { call, _ in
            if call.operation == .sync { begun.update { $0.append(disk.startedWriting.count) } }
            return nil
        }
        // Before its own sync, and not before that of the first.
        #expect(begun.value == [0, 1])
        // The first is the mark of the segment.
        let found = frames(in: commits.fixture.bytes())
        let (from, end) = (found[11].offset, found[20].offset + found[20].frame.bytes)
        #expect(disk.startedWriting == [UInt64(from)..<UInt64(end)])
        let ids = await outcomes(commits.first + commits.second).map { try? $0.get().rawValue }
        #expect(ids == (0..<20).map { $0 })
        #expect(try commits.fixture.reopenedAfterPowerLoss().texts() == texts(10, 10))
        commits.end()
    }

    /// Sealing takes syncs, and those who are durable do not wait for them.
    @Test func aCommitThatBeginsASegmentIsNotWrittenEarly() async throws {
        let commits = try TwoCommits(secondPayload: [UInt8](repeating: 7, count: 3800)) {
            $0.segmentBytes = 4096
        }
        try await commits.run { _, _ in nil }
        #expect(commits.fixture.disk.startedWriting.isEmpty)
        for outcome in await outcomes(commits.first + commits.second) { _ = try outcome.get() }
        #expect(try commits.fixture.reopenedAfterPowerLoss().contents().count == 20)
        commits.end()
    }

    @Test func anEarlyWriteThatFailsFailsItsOwnTasksOnly() async throws {
        let commits = try TwoCommits()
        try await commits.run { call, syncs in
            syncs == 1 && call.operation == .write ? .fail(.noSpace) : nil
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
        commits.fixture.host.runAll()
        #expect(try commits.log.append(TestMessage("second")) == 10)
        #expect(try commits.fixture.reopenedAfterPowerLoss().texts() == texts(10, 1))
        commits.end()
    }

    @Test func anEarlyWriteWhoseSyncFailsIsFinalAndTheCommitBeforeItIsNot() async throws {
        let commits = try TwoCommits()
        try await commits.run { call, syncs in
            syncs == 1 && call.operation == .sync ? .fail(.ioError) : nil
        }
        for outcome in await outcomes(commits.first) { _ = try outcome.get() }
        for outcome in await outcomes(commits.second) {
            guard case .failure(.poisoned) = outcome else {
                Issue.record("\(outcome)")
                continue
            }
        }
        #expect(throws: LogError.self) { try commits.log.append(TestMessage("third")) }
        #expect(try commits.fixture.reopenedAfterPowerLoss().texts() == texts(10, 0))
        commits.end()
    }

    /// At each call, whoever has been told so far finds his message after a power loss, and the
    /// messages of the second commit are there as a whole or a beginning of it.
    @Test func whateverCallThePowerFailsAtWhatTasksWereToldIsThere() async throws {
        let commits = try TwoCommits()
        let states = Observed<[(told: Int, disk: MemoryDisk)]>([])
        let disk = commits.fixture.disk
        let all = commits.first + commits.second
        try await commits.run { _, _ in
            let told = all.count { $0.hasEnded }
            states.update { $0.append((told, disk.afterPowerLoss())) }
            return nil
        }
        try commits.log.close()
        states.update { $0.append((20, disk.afterPowerLoss())) }
        #expect(states.value.count >= 5)
        for (told, disk) in states.value {
            let log = try Log.open(LogImage.directory, host: .on(disk))
            let texts = try log.texts()
            #expect(texts.count >= told)
            #expect(texts == self.texts(min(texts.count, 10), max(texts.count - 10, 0)))
            try log.close()
        }
        commits.end()
    }
}
