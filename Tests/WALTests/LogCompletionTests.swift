import SystemPackage
import Testing
import Threads
import WALTestSupport

@testable import WAL

/// Callers are told in the order of the ids, whichever thread does it.
@Suite struct LogCompletionTests {
    /// A log of two committers: the first commit's caller stops at the gate while it is told, and
    /// more to commit has been there since before.
    private struct Held {
        let fixture = LogFixture(threads: 2)
        let log: Log
        let told = Observed<[String]>([])
        /// The first caller stands here.
        let teller = Gate()

        init() throws {
            log = try fixture.open()
            // Only a thread that waits for work is handed any.
            let host = fixture.host
            #expect(comesTrue { host.queue.withLock { $0.idleThreads } == 2 })
            let sync = Gate()
            fixture.disk.follow { call in
                if call.operation == .sync, call.name == SegmentName.activeName { sync.pass() }
                return nil
            }
            let (told, teller) = (told, teller)
            try append("first") {
                teller.pass()
                told.update { $0.append("first") }
            }
            #expect(sync.waitForVisitor())
            try append("second") { told.update { $0.append("second") } }
            sync.open()
            #expect(teller.waitForVisitor())
        }

        func append(_ text: String, _ done: @escaping @Sendable () -> Void) throws {
            let payload = Array(text.utf8)
            try log.append(Message(payload: RawSpan(of: payload))) { _ in done() }
        }
    }

    @Test func theNextCommitGoesOnWhileCallersAreTold() throws {
        let held = try Held()
        let durable = Event()
        held.log.notify(whenDurable: MessageID(1)) { durable.fire() }
        // Durable and shown, though nobody has been told of it.
        let seen = held.told
        #expect(comesTrue { held.log.durable.upperBound == MessageID(2) })
        #expect(seen.value.isEmpty)
        held.teller.open()
        #expect(seen.wait { $0.count == 2 })
        #expect(seen.value == ["first", "second"])
        #expect(durable.wait())
        try held.log.close()
        held.fixture.host.shutdown()
    }

    @Test func closingWaitsUntilEverybodyHasBeenTold() throws {
        let held = try Held()
        let (log, told) = (held.log, held.told)
        let closed = Event()
        let toldBefore = Observed(0)
        let closer = OwnedThread {
            try? log.close()
            toldBefore.update { $0 = told.value.count }
            closed.fire()
        }
        // Nothing can be waited for that must not happen: the order in the end tells.
        held.teller.open()
        #expect(closed.wait())
        #expect(toldBefore.value == 2)
        closer.join()
        held.fixture.host.shutdown()
    }

    @Test func aFailureIsToldBehindTheCommitsBeforeIt() throws {
        let held = try Held()
        let disk = held.fixture.disk
        let told = held.told
        #expect(held.told.value.isEmpty)
        disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        let payload = Array("third".utf8)
        let failed = Event()
        // Refused at once if the log has failed already with the second.
        do throws(LogError) {
            try held.log.append(Message(payload: RawSpan(of: payload))) { result in
                if case .failure = result { told.update { $0.append("third") } }
                failed.fire()
            }
        } catch { failed.fire() }
        held.teller.open()
        #expect(failed.wait())
        #expect(told.wait { $0.count >= 2 })
        #expect(Array(told.value.prefix(2)) == ["first", "second"])
        #expect(told.value.count == 2 || told.value[2] == "third")
        try? held.log.close()
        held.fixture.host.shutdown()
    }

    /// Tasks that wait for one commit, too few or enough to be told by jobs.
    @Test(arguments: [7, 8, 9, 64]) func tasksOfACommitAreAllTold(count: Int) async throws {
        let fixture = LogFixture(threads: 2)
        let log = try fixture.open()
        let sync = Gate()
        fixture.disk.follow { call in
            if call.operation == .sync, call.name == SegmentName.activeName { sync.pass() }
            return nil
        }
        let ids = Observed<[UInt64]>([])
        let tasks = (0..<count).map { number in
            Task.detached {
                let payload = Array("\(number)".utf8)
                let id = try await log.append(Message(payload: payload.span.bytes))
                ids.update { $0.append(id.rawValue) }
            }
        }
        #expect(await eventually { log.core.state.withLock { $0.nextID } == UInt64(count) })
        #expect(ids.value.isEmpty)
        sync.open()
        for task in tasks { try await task.value }
        #expect(ids.value.sorted() == (0..<UInt64(count)).map { $0 })
        try log.close()
        fixture.host.shutdown()
    }

    @Test func severalThreadsTellAllTasksBetweenThem() {
        let tickets = (0..<1000).map { _ in AppendTicket() }
        let tasks = WaitingTasks(expecting: 10)
        for (index, ticket) in tickets.enumerated() { tasks.append(ticket, id: UInt64(index)) }
        #expect(tasks.left == 1000 && tickets.allSatisfy { !$0.hasEnded })
        let threads = (0..<3).map { _ in OwnedThread { tasks.tell() } }
        for thread in threads { thread.join() }
        #expect(tasks.left == 0 && tasks.count == 1000 && tickets.allSatisfy { $0.hasEnded })
    }

    /// Tasks, closures and observers of one commit, which ends well or does not.
    @Test(arguments: [3, 20], [true, false]) func allKindsOfCallersOfACommitAreTold(
        tasks count: Int, isDurable: Bool
    ) async throws {
        let fixture = LogFixture(threads: 0)
        let log = try fixture.open()
        if !isDurable { fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil } }
        let tickets = (0..<count).map { _ in AppendTicket() }
        let told = Observed<[Result<MessageID, LogError>]>([])
        try log.core.state.withLock { (state) throws(LogError) in
            let payload: [UInt8] = [1]
            for ticket in tickets {
                try log.core.stage(
                    Message(payload: payload.span.bytes), .ticket(ticket), &state)
                try log.core.stage(
                    Message(payload: payload.span.bytes),
                    .callback { result in told.update { $0.append(result) } }, &state)
            }
        }
        #expect(log.core.commitNext())
        if isDurable {
            let ids = told.value.compactMap { try? $0.get().rawValue }
            #expect(ids == (0..<count).map { UInt64(2 * $0 + 1) })
        } else {
            #expect(told.value.count == count)
            for result in told.value { #expect(throws: LogError.self) { try result.get() } }
        }
        for (index, ticket) in tickets.enumerated() {
            let id = try? await ticket.value()
            #expect(id == (isDurable ? MessageID(UInt64(2 * index)) : nil))
        }
        try? log.close()
    }

    /// A pool that is busy runs no job: the committer, or closing, tells those whom none has come
    /// to.
    @Test func tasksAreToldThoughNoJobRuns() throws {
        let fixture = LogFixture(threads: 0)
        let log = try fixture.open()
        let tickets = (0..<40).map { _ in AppendTicket() }
        try log.core.state.withLock { (state) throws(LogError) in
            for ticket in tickets {
                let payload: [UInt8] = [1]
                try log.core.stage(
                    Message(payload: payload.span.bytes), .ticket(ticket), &state)
            }
        }
        try log.close()
        // One that a job has taken is told by it, in a moment.
        #expect(comesTrue { tickets.allSatisfy { $0.hasEnded } })
        #expect(log.durable.upperBound == MessageID(40))
    }

    /// The same when the commit fails: nobody waits for ever, and nobody is told otherwise.
    @Test func tasksOfAFailedCommitAreAllTold() async throws {
        let fixture = LogFixture(threads: 2)
        let log = try fixture.open()
        fixture.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        let outcomes = await withTaskGroup(of: LogError?.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let payload = Array("\(number)".utf8)
                    do throws(LogError) {
                        _ = try await log.append(Message(payload: payload.span.bytes))
                        return nil
                    } catch { return error }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.count == 40)
        for outcome in outcomes {
            guard case .poisoned = outcome else {
                Issue.record("\(String(describing: outcome))")
                continue
            }
        }
        try? log.close()
        fixture.host.shutdown()
    }

    @Test func aThousandCallersOfManyThreadsAreToldInOrder() throws {
        let fixture = LogFixture(threads: 3)
        let log = try fixture.open()
        let ids = Observed<[UInt64]>([])
        let threads = (0..<4).map { number in
            OwnedThread {
                for round in 0..<250 {
                    let payload = Array("\(number) \(round)".utf8)
                    try? log.append(Message(payload: RawSpan(of: payload))) { result in
                        if case .success(let id) = result {
                            ids.update { $0.append(id.rawValue) }
                        }
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        try log.close()
        #expect(ids.value == Array(0..<1000))
        fixture.host.shutdown()
    }

    @Test(arguments: ["callback", "task", "blocking"])
    func anIdleLogKeepsNoLargeBatch(_ style: String) async throws {
        let fixture = LogFixture(threads: 2)
        let log = try fixture.open()
        let large = [UInt8](repeating: 7, count: 2 * Batch.keptBytes)
        for payload in [large, [1]] {
            switch style {
            case "callback": #expect(try log.appendLater(TestMessage(payload)).wait())
            case "task": _ = try await log.append(Message(payload: RawSpan(of: payload)))
            default: try log.append(TestMessage(payload))
            }
            // Its memory is the next commit's, or nobody's: a log may be idle from here on.
            #expect(comesTrue { log.core.state.withLock { $0.writer != nil } })
            let kept = log.core.state.withLock { $0.spare?.memory }
            #expect(kept ?? 0 <= Batch.keptBytes)
        }
        #expect(comesTrue { log.core.state.withLock { $0.spare != nil } })
        try log.close()
        fixture.host.shutdown()
    }
}
