import SystemPackage
import Testing
import Threads
import WALTestSupport

@testable import WAL

/// What all logs of a host together may have waiting for the disk.
@Suite struct PendingTotalTests {
    /// Several logs whose host has room for 8 MiB; nothing is committed but by `step`.
    private struct Logs {
        let disk = MemoryDisk()
        let host: LogHost
        let logs: [Log]

        init(_ count: Int = 3, threads: Int = 0) throws {
            let host = LogHost.on(disk, threads: threads) { $0.pendingBytes = 8 << 20 }
            self.host = host
            try disk.makeDirectory("/logs")
            logs = try (0..<count).map { try Log.open(FilePath("/logs/\($0)"), host: host) }
        }

        /// Stages messages of 1 MiB in the first log until the host has no room for another.
        func fill() throws -> [Outcome] {
            var outcomes: [Outcome] = []
            while let outcome = try? logs[0].appendLater(Logs.message), outcomes.count < 100 {
                outcomes.append(outcome)
            }
            #expect(outcomes.count == 7)
            return outcomes
        }

        static let message = TestMessage([UInt8](repeating: 1, count: 1 << 20))

        func close() throws {
            for log in logs { try log.close() }
            host.shutdown()
        }
    }

    @Test func logsTogetherHoldNoMoreThanTheHostAllows() throws {
        let logs = try Logs()
        let first = try logs.fill()
        let (second, third) = (logs.logs[1], logs.logs[2])
        #expect(throws: LogError.overloaded(pendingBytes: logs.logs[0].pendingBytes)) {
            try second.appendLater(Logs.message)
        }
        // What still fits is taken, and is some log's own to be told of.
        let small = try third.appendLater(TestMessage([1]))
        let room = Observed<[String]>([])
        second.notifyRoom { room.update { $0.append("second") } }
        third.notifyRoom { room.update { $0.append("third") } }
        #expect(room.value.isEmpty)
        logs.host.runAll()
        #expect(first.allSatisfy { $0.id != nil } && small.id == 0)
        #expect(Set(room.value) == ["second", "third"] && room.value.count == 2)
        #expect(logs.host.pending.bytes == 0)
        second.notifyRoom { room.update { $0.append("at once") } }
        #expect(room.value.last == "at once")
        #expect(try second.append(Logs.message) == 0)
        try logs.close()
        #expect(logs.host.pending.bytes == 0)
    }

    @Test func whatFailsGivesItsRoomBack() throws {
        let logs = try Logs()
        let first = try logs.fill()
        let room = Event()
        logs.logs[1].notifyRoom { room.fire() }
        logs.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        logs.host.runAll()
        logs.disk.follow(nil)
        #expect(first.allSatisfy { $0.error != nil })
        #expect(room.hasFired)
        #expect(logs.host.pending.bytes == 0)
        #expect(try logs.logs[1].append(Logs.message) == 0)
        // A refused message takes none.
        #expect(throws: LogError.invalidMessage) {
            try logs.logs[1].appendLater(TestMessage([], key: []))
        }
        #expect(logs.host.pending.bytes == 0)
        try logs.close()
    }

    @Test func aLogThatIsLetGoOfGivesItsRoomBack() throws {
        final class Observer: AppendObserver {
            func appended(first: MessageID, count: Int, tag: UInt64) {}
            func appendFailed(count: Int, tag: UInt64, error: LogError) {}
        }
        let logs = try Logs(1)
        let room = Event()
        do {
            let other = try Log.open("/logs/other", host: logs.host)
            let observer = Observer()
            for _ in 0..<7 {
                try Logs.message.withMessage { (message) throws(LogError) in
                    try other.append(message, observer: observer, tag: 0)
                }
            }
            logs.logs[0].notifyRoom { room.fire() }
            #expect(logs.host.pending.bytes > 7 << 20 && !room.hasFired)
        }
        #expect(room.hasFired)
        #expect(logs.host.pending.bytes == 0)
        _ = try logs.logs[0].appendLater(Logs.message)
        try logs.close()
    }

    @Test func whoWaitsForTheOthersIsToldWhenItsLogIsClosed() throws {
        let logs = try Logs()
        let first = try logs.fill()
        let room = Event()
        logs.logs[1].notifyRoom { room.fire() }
        #expect(!room.hasFired)
        try logs.logs[1].close()
        #expect(room.hasFired)
        #expect(throws: LogError.closed) { try logs.logs[1].appendLater(Logs.message) }
        let late = Event()
        logs.logs[1].notifyRoom { late.fire() }
        #expect(late.hasFired)
        #expect(first.allSatisfy { !$0.isOver })
        try logs.close()
        #expect(first.allSatisfy { $0.id != nil })
    }

    @Test func asyncAppendsToManyLogsWaitForRoomAndNoneIsLost() async throws {
        let logs = try Logs(4, threads: 2)
        let gate = Gate()
        logs.disk.follow { call in
            if call.operation == .sync { gate.pass() }
            return nil
        }
        let opener = OwnedThread {
            _ = gate.waitForVisitor()
            gate.open()
        }
        let ids = try await withThrowingTaskGroup(of: UInt64.self) { group in
            for number in 0..<16 {
                group.addTask {
                    let payload = [UInt8](repeating: UInt8(number), count: 1 << 20)
                    return try await logs.logs[number % 4]
                        .append(Message(payload: RawSpan(of: payload))).rawValue
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        opener.join()
        #expect(ids.sorted() == (0..<16).map { UInt64($0 / 4) })
        #expect(logs.host.pending.bytes == 0)
        try logs.close()
    }
}
