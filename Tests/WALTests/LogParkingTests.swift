import Glibc
import SystemPackage
import Testing
import TestSupport
import Threads
import WALTestSupport

@testable import WAL

/// Many logs with few descriptors: idle ones give theirs up and take them again.
@Suite struct LogParkingTests {
    private func directory(_ number: Int) -> FilePath { FilePath("/d\(number)") }

    private func logs(
        _ count: Int, on host: LogHost, segmentBytes: Int = 64 << 10
    ) throws -> [Log] {
        var options = LogOptions()
        options.segmentBytes = segmentBytes
        return try (0..<count).map { try Log.open(directory($0), host: host, options: options) }
    }

    @Test func twoHundredLogsWorkWithTheDescriptorsOfEight() throws {
        let disk = MemoryDisk()
        let most = Observed(0)
        let host = LogHost.on(disk) { $0.openLogs = 8 }
        disk.follow { _ in
            most.update { $0 = max($0, disk.descriptors) }
            return nil
        }
        let logs = try logs(200, on: host)
        for round in 0..<3 {
            for (number, log) in logs.enumerated() {
                #expect(try log.append(TestMessage("\(number)/\(round)")) == UInt64(round))
            }
            for (number, log) in logs.enumerated() where number % 7 == round {
                #expect(try log.texts() == (0...round).map { "\(number)/\($0)" })
            }
        }
        // The disk keeps the script, which keeps the disk.
        disk.follow(nil)
        // Two for each log, and what opening, taking over and reading need for a moment.
        #expect(most.value <= 2 * (8 + 1) + 4)
        for log in logs { try log.close() }
        #expect(disk.descriptors == 0)
        let again = try Log.open(directory(123), host: .on(disk.afterPowerLoss()))
        #expect(try again.texts() == (0..<3).map { "123/\($0)" })
        #expect(again.recovery.tail == .clean)
    }

    @Test func closingManyLogsParksNone() throws {
        let disk = MemoryDisk()
        let host = LogHost.on(disk) { $0.openLogs = 8 }
        let logs = try logs(40, on: host)
        for log in logs { try log.append(TestMessage("x")) }
        disk.startTrace()
        for log in logs { try log.close() }
        // Those that were parked are locked once more, and each log is forced once.
        #expect(disk.trace.filter { $0.operation == .lock }.count <= 32)
        #expect(disk.trace.filter { $0.operation == .sync }.count == 40)
        #expect(disk.trace.filter { $0.operation == .write }.count <= 8)
        #expect(disk.descriptors == 0)
    }

    @Test func manyLogsAreClosedByMoreThreadsThanThereAreDescriptorsFor() throws {
        let disk = MemoryDisk()
        let host = LogHost.on(disk) { $0.openLogs = 8 }
        let logs = try logs(200, on: host)
        for log in logs { try log.append(TestMessage("x")) }
        disk.descriptorLimit = disk.descriptors + 3
        let next = Observed(0)
        let failures = Observed<[String]>([])
        let threads = (0..<16).map { _ in
            OwnedThread {
                while true {
                    var number = 0
                    next.update {
                        number = $0
                        $0 += 1
                    }
                    guard number < logs.count else { return }
                    do { try logs[number].close() } catch {
                        failures.update { $0.append("\(error)") }
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(failures.value == [])
        #expect(disk.descriptors == 0)
        for number in 0..<200 {
            let found = try disk.afterPowerLoss().examine(directory(number))
            #expect(found.durableBelow == 1, "closing writes and forces the mark")
        }
        host.shutdown()
    }

    @Test func aParkedLogThatHasItsMarkOnTheDiskIsClosedWithoutDescriptors() throws {
        let disk = MemoryDisk()
        var logs = try logs(2, on: LogHost.on(disk))
        for log in logs { try log.append(TestMessage("x")) }
        for log in logs { try log.close() }
        let host = LogHost.on(disk) { $0.openLogs = 1 }
        logs = try self.logs(2, on: host)
        let descriptors = disk.descriptors
        disk.descriptorLimit = descriptors
        disk.startTrace()
        try logs[0].close()
        #expect(disk.trace.isEmpty, "\(disk.trace)")
        disk.descriptorLimit = .max
        try logs[1].close()
        #expect(disk.descriptors == 0)
        host.shutdown()
    }

    @Test func manyThreadsAppendToManyLogsWithFewDescriptors() throws {
        let disk = MemoryDisk()
        let host = LogHost.on(disk, threads: 2) { $0.openLogs = 4 }
        let logs = try logs(24, on: host, segmentBytes: 4096)
        let failures = Observed<[String]>([])
        let ended = Observed(0)
        let threads = (0..<4).map { thread in
            OwnedThread {
                for round in 0..<40 {
                    for log in logs {
                        do {
                            try log.append(TestMessage("\(thread)/\(round)"))
                            _ = try log.contents(from: log.durable.upperBound.rawValue - 1)
                        } catch { failures.update { $0.append("\(error)") } }
                    }
                }
                ended.update { $0 += 1 }
            }
        }
        #expect(ended.wait(120) { $0 == 4 })
        threads.forEach { $0.join() }
        #expect(failures.value.isEmpty)
        // None that holds its directory has been forgotten: it could never be parked again.
        let locks = disk.state.withLock { $0.locks.count }
        #expect(host.registry.withLock { $0.holding.count } == locks)
        for log in logs {
            #expect(log.durable.upperBound == MessageID(160))
            try log.close()
        }
        #expect(disk.descriptors == 0)
        host.shutdown()
    }

    /// Two logs of a host with room for one, so that the first one is parked.
    private func parked() throws -> (MemoryDisk, LogHost, Log, Log) {
        let disk = MemoryDisk()
        let host = LogHost.on(disk) { $0.openLogs = 1 }
        let log = try Log.open(directory(0), host: host)
        try log.append(TestMessage("before"))
        let other = try Log.open(directory(1), host: host)
        #expect(!disk.state.withLock { $0.locks.contains(2) })
        return (disk, host, log, other)
    }

    @Test func aParkedLogThatSomebodyElseHasTakenIsRefused() throws {
        for stillOpen in [true, false] {
            let (disk, _, log, other) = try parked()
            let taker = try Log.open(directory(0), host: .on(disk))
            try taker.append(TestMessage("theirs"))
            if !stillOpen { try taker.close() }
            let path = directory(0).appending(SegmentName.activeName)
            let bytes = disk.bytes(path)
            for _ in 0..<2 {
                #expect(throws: LogError.takenOver(directory(0))) {
                    try log.append(TestMessage("ours"))
                }
            }
            #expect(throws: LogError.takenOver(directory(0))) {
                try log.drop(below: MessageID(1))
            }
            try? log.close()
            #expect(throws: LogError.closed) { try log.append(TestMessage("ours")) }
            #expect(disk.bytes(path) == bytes, "nothing of theirs was touched")
            if stillOpen { try taker.append(TestMessage("theirs too")) }
            try taker.close()
            let again = try Log.open(directory(0), host: .on(disk))
            #expect(
                try again.texts() == ["before", "theirs"] + (stillOpen ? ["theirs too"] : []))
            try again.close()
            try other.close()
        }
    }

    @Test func aParkedLogDropsNothingWithoutItsLock() throws {
        let disk = MemoryDisk()
        let host = LogHost.on(disk) { $0.openLogs = 1 }
        let log = try logs(1, on: host, segmentBytes: 4096)[0]
        for _ in 0..<10 { try log.append(TestMessage([UInt8](repeating: 1, count: 1000))) }
        let other = try Log.open(directory(1), host: host)
        let names = disk.files(in: directory(0)).keys.sorted()
        // Somebody repairs it.
        let lock = try disk.lock(directory(0))
        #expect(throws: LogError.self) { try log.drop(below: MessageID(9)) }
        #expect(disk.files(in: directory(0)).keys.sorted() == names)
        lock.release()
        try? log.close()
        try other.close()
    }

    @Test func aParkedLogCanBeReadAndClosed() throws {
        let (disk, host, log, other) = try parked()
        #expect(try log.texts() == ["before"])
        try log.close()
        let found = try disk.afterPowerLoss().examine(directory(0))
        #expect(found.durableBelow == 1, "closing writes and forces the mark")
        try other.close()
        #expect(disk.descriptors == 0)
        host.shutdown()
    }

    @Test func aLogThatIsParkedBeforeItWasIdleForLongHasItsMarkAllTheSame() throws {
        let (disk, host, _, _) = try parked()
        host.runAll()
        #expect(try disk.examine(directory(0)).durableBelow == 1)
    }

    @Test func aLogThatFailedOrWasForgottenDoesNotCountForEver() throws {
        let disk = MemoryDisk()
        let host = LogHost.on(disk) { $0.openLogs = 4 }
        var logs = try logs(4, on: host)
        disk.follow { $0.operation == .sync && $0.path.starts(with: "/d0") ? .fail(.ioError) : nil }
        #expect(throws: LogError.self) { try logs[0].append(TestMessage("x")) }
        disk.follow(nil)
        // Let go without being closed.
        logs.remove(at: 1)
        for number in 10..<40 {
            logs.append(try Log.open(directory(number), host: host))
            try logs[logs.count - 1].append(TestMessage("\(number)"))
            #expect(disk.descriptors <= 2 * 7, "\(number)")
        }
        for log in logs { try log.close() }
        #expect(disk.descriptors == 0)
    }

    @Test func whenDescriptorsRunOutIdleLogsGiveTheirsUp() throws {
        let disk = MemoryDisk()
        disk.descriptorLimit = 20
        let host = LogHost.on(disk)
        let logs = try logs(40, on: host, segmentBytes: 4096)
        for round in 0..<10 {
            for (number, log) in logs.enumerated() {
                let message = TestMessage([UInt8](repeating: UInt8(number), count: 1000))
                #expect(try log.append(message) == UInt64(round))
            }
        }
        for log in logs {
            #expect(try log.contents().count == 10)
            try log.drop(below: MessageID(5))
            try log.close()
        }
        #expect(disk.descriptors == 0)
    }

    /// Several find none at once and look for the same idle logs: what one of them has freed is
    /// room for the others, too.
    @Test func manyThreadsThatFindNoDescriptorAtOnceDoNotFail() throws {
        let disk = MemoryDisk()
        disk.descriptorLimit = 64
        let host = LogHost.on(disk, threads: 2)
        let logs = try logs(100, on: host, segmentBytes: 4096)
        let failures = Observed<[String]>([])
        let threads = (0..<8).map { thread in
            OwnedThread {
                var random = Seeded(UInt64(thread))
                for round in 0..<300 {
                    let log = logs[Int(random.next() % UInt64(logs.count))]
                    do {
                        try log.append(TestMessage("\(thread)/\(round)"))
                    } catch { failures.update { $0.append("\(error)") } }
                }
            }
        }
        threads.forEach { $0.join() }
        #expect(failures.value.count == 0, "\(failures.value.first ?? "")")
        let messages = logs.reduce(0) { $0 + $1.durable.upperBound.rawValue }
        #expect(messages == 8 * 300)
        for log in logs { try log.close() }
        #expect(disk.descriptors == 0)
        host.shutdown()
    }

    @Test func aDescriptorThatIsNotThereForAnyCallIsNoReasonToGiveUpALog() throws {
        // Each call that takes a descriptor fails once for want of one; nothing is parked that
        // could be. The log goes on when there is one again.
        for failing in 1...12 {
            let fixture = LogFixture { _ in
            } _: {
                $0.segmentBytes = 4096
            }
            let log = try fixture.open()
            let message = TestMessage([UInt8](repeating: 1, count: 1000))
            let count = Observed(0)
            fixture.disk.follow { call in
                guard [.open, .syncDirectory, .list, .lock].contains(call.operation) else {
                    return nil
                }
                count.update { $0 += 1 }
                return count.value == failing ? .fail(.tooManyOpenFiles) : nil
            }
            var acknowledged: [UInt64] = []
            for _ in 0..<20 {
                if let id = try? log.append(message) { acknowledged.append(id) }
            }
            #expect(acknowledged == Array(0..<UInt64(acknowledged.count)))
            #expect(acknowledged.count >= 19, "call \(failing)")
            fixture.disk.follow(nil)
            try log.close()
            #expect(try fixture.disk.examine().verdict == .clean)
        }
    }

    @Test func aParkedLogWithAMarkThatNothingForcedGoesOnWhenThereAreDescriptorsAgain() throws {
        for errno in [Errno.tooManyOpenFiles, .ioError] {
            let disk = MemoryDisk()
            let host = LogHost.on(disk) { $0.openLogs = 1 }
            let log = try Log.open(directory(0), host: host)
            try log.append(TestMessage("before"))
            host.runAll()
            let other = try Log.open(directory(1), host: host)
            #expect(!disk.state.withLock { $0.locks.contains(2) }, "parked, behind its idle mark")
            disk.follow { [.open, .lock].contains($0.operation) ? .fail(errno) : nil }
            for _ in 0..<2 {
                #expect(throws: LogError.self) { try log.append(TestMessage("nowhere")) }
            }
            disk.follow(nil)
            #expect(try log.append(TestMessage("after")) == 1)
            #expect(try log.texts() == ["before", "after"])
            try log.close()
            try other.close()
            let again = try Log.open(directory(0), host: .on(disk.afterPowerLoss()))
            #expect(try again.texts() == ["before", "after"])
        }
    }

    @Test func logsThatWereLetGoOfDoNotCountAsOpen() throws {
        let disk = MemoryDisk()
        let host = LogHost.on(disk) { $0.openLogs = 8 }
        for number in 0..<40 { _ = try Log.open(directory(number), host: host) }
        let logs = try (40..<48).map { try Log.open(directory($0), host: host) }
        for log in logs { try log.append(TestMessage("x")) }
        #expect(disk.state.withLock { $0.locks.count } == 8, "none was parked")
        for log in logs { try log.close() }
    }

    @Test func theLogThatWasIdleForLongestGivesItsDescriptorsUpFirst() throws {
        let disk = MemoryDisk()
        let host = LogHost.on(disk) { $0.openLogs = 3 }
        let logs = try logs(3, on: host)
        for log in logs { try log.append(TestMessage("x")) }
        // Opened first, and used last.
        try logs[0].append(TestMessage("y"))
        let other = try Log.open(directory(3), host: host)
        #expect(logs.map { $0.core.state.withLock { $0.parked != nil } } == [false, true, false])
        for log in logs + [other] { try log.close() }
    }

    @Test func segmentsAreDroppedUnderTheLockThoughTheLogIsBeingParkedMeanwhile() throws {
        for _ in 0..<20 {
            let disk = MemoryDisk()
            let host = LogHost.on(disk) { $0.openLogs = 1 }
            let log = try logs(1, on: host, segmentBytes: 4096)[0]
            for _ in 0..<10 { try log.append(TestMessage([UInt8](repeating: 1, count: 1000))) }
            let inode = try disk.status(directory(0))?.inode ?? 0
            let dropper = Observed<OwnedThread?>(nil)
            let isParked = Event()
            let unlocked = Observed(0)
            disk.follow { [directory = directory(0)] call in
                guard call.path.starts(with: directory) else { return nil }
                if call.operation == .write {
                    // The mark before parking: somebody begins to drop.
                    dropper.update { $0 = OwnedThread { _ = try? log.drop(below: MessageID(9)) } }
                    while log.core.state.withLock({ !$0.isDropping }) { sched_yield() }
                } else if call.operation == .remove {
                    _ = isParked.wait()
                    let isLocked = disk.state.withLock { $0.locks.contains(inode) }
                    if !isLocked { unlocked.update { $0 += 1 } }
                }
                return nil
            }
            let other = try Log.open(directory(1), host: host)
            isParked.fire()
            dropper.value?.join()
            disk.follow(nil)
            #expect(dropper.value != nil)
            #expect(unlocked.value == 0)
            #expect(log.durable.lowerBound > MessageID(0), "dropped")
            try log.close()
            try other.close()
        }
    }
}
