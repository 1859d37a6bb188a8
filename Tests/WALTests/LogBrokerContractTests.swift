import SystemPackage
import Testing
import WAL
import WALTestSupport

/// What the broker builds on: one hand-over per commit, a commit on the calling thread, and the
/// keys of a log that is being opened.
@Suite struct LogBrokerContractTests {
    private final class Watcher: AppendObserver {
        let heard = Observed<[String]>([])

        func appended(first: MessageID, count: Int, tag: UInt64) {
            heard.update { $0.append("\(first)+\(count)") }
        }
        func appendFailed(count: Int, tag: UInt64, error: LogError) {
            heard.update { $0.append("failed \(count)") }
        }
        func commitEnded() { heard.update { $0.append("end") } }
    }

    private func append(_ watchers: [Watcher], to log: Log) throws {
        for watcher in watchers {
            try log.append(Message(payload: RawSpan(of: [0])), observer: watcher, tag: 0)
        }
    }

    @Test func eachObserverHearsOnceThatACommitHasBeenTold() throws {
        let disk = MemoryDisk()
        disk.putDirectory("/d")
        let host = LogHost.on(disk)
        let log = try Log.open("/d/log", host: host)
        let (a, b) = (Watcher(), Watcher())
        try append([a, b, a], to: log)
        log.commit()
        #expect(host.step())
        #expect(a.heard.value == ["0+1", "2+1", "end"])
        #expect(b.heard.value == ["1+1", "end"])
        disk.follow { $0.operation == .write ? .fail(.noSpace) : nil }
        try append([a], to: log)
        log.commit()
        #expect(host.step())
        #expect(a.heard.value.suffix(2) == ["failed 1", "end"])
        disk.follow(nil)
        try log.close()
        host.shutdown()
    }

    @Test func aBlockingCommitIsMadeOnTheCallingThreadIfNobodyIsAtWork() throws {
        let disk = MemoryDisk()
        disk.putDirectory("/d")
        // Without threads: whatever is committed, this thread has committed.
        let host = LogHost.on(disk) { $0.idleNanoseconds = .max }
        let log = try Log.open("/d/log", host: host)
        let watcher = Watcher()
        log.commitBlocking()
        #expect(watcher.heard.value.isEmpty)
        try append([watcher, watcher], to: log)
        log.commitBlocking()
        #expect(watcher.heard.value == ["0+2", "end"])
        #expect(log.durable.upperBound == MessageID(2))
        // A committer has been told: it is left to that one.
        try append([watcher], to: log)
        log.commit()
        log.commitBlocking()
        #expect(watcher.heard.value.count == 2)
        #expect(host.step())
        #expect(watcher.heard.value.suffix(2) == ["2+1", "end"])
        try log.close()
        host.shutdown()
    }

    @Test func openingShowsTheKeyOfEachMessageThatHasOne() throws {
        let disk = MemoryDisk()
        disk.putDirectory("/d")
        let host = LogHost.on(disk, threads: 1)
        var options = LogOptions()
        options.segmentBytes = 4096
        let first = try Log.open("/d/log", host: host, options: options)
        for number in 0..<100 {
            let key: [UInt8]? = number % 3 == 0 ? [UInt8(number)] : nil
            try first.append(TestMessage([UInt8](repeating: 1, count: 100), key: key))
        }
        try first.close()
        var shown: [UInt64: [UInt8]] = [:]
        let log = try Log.open("/d/log", host: host, options: options) { id, key in
            shown[id.rawValue] = key.copied()
        }
        #expect(shown.count == 34)
        for number in stride(from: 0, to: 100, by: 3) {
            #expect(shown[UInt64(number)] == [UInt8(number)])
        }
        try log.close()
        host.shutdown()
    }
}
