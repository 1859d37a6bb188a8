import SystemPackage
import Testing
import TestSupport

@testable import WAL

/// What is acknowledged is there after a restart, message 0 first.
@Suite struct LogRestartTests {
    @Test func messageZeroSurvivesARestartAndIsKnownDurable() throws {
        let directory = try TemporaryDirectory()
        let host = LogHost()
        defer { host.shutdown() }
        do {
            let log = try Log.open(directory.path, host: host)
            #expect(log.durable.isEmpty)
            #expect(log.recovery.isNew)
            let payload = Array("first".utf8)
            let id = try log.appendBlocking(Message(payload: RawSpan(of: payload)))
            #expect(id == MessageID(0))
            #expect(log.durable == MessageID(0)..<MessageID(1))
            try log.close()
        }
        let log = try Log.open(directory.path, host: host)
        #expect(log.recovery.ids == MessageID(0)..<MessageID(1))
        var reader = log.reader(from: MessageID(0))
        var seen: [[UInt8]] = []
        let count = try reader.read(upTo: 10) { message in
            #expect(message.id == MessageID(0))
            seen.append(message.payload.copied())
            return .next
        }
        #expect(count == 1)
        #expect(seen == [Array("first".utf8)])
        try log.close()
    }

    @Test func manyCallersGetTheirOwnIdsAndReadersSeeThemAll() async throws {
        let directory = try TemporaryDirectory()
        let host = LogHost()
        defer { host.shutdown() }
        var options = LogOptions()
        options.segmentBytes = 64 << 10
        let log = try Log.open(directory.path, host: host, options: options)
        let ids = try await withThrowingTaskGroup(of: [UInt64].self) { group in
            for caller in 0..<16 {
                group.addTask {
                    var ids: [UInt64] = []
                    for number in 0..<100 {
                        let payload = Array("\(caller)/\(number)".utf8)
                        ids.append(
                            try await log.append(Message(payload: RawSpan(of: payload))).rawValue)
                    }
                    return ids
                }
            }
            return try await group.reduce(into: [UInt64]()) { $0 += $1 }
        }
        #expect(ids.sorted() == Array(0..<1600))
        try log.close()
        let again = try Log.open(directory.path, host: host, options: options)
        #expect(again.recovery.ids == MessageID(0)..<MessageID(1600))
        var reader = again.reader(from: MessageID(0))
        var next: UInt64 = 0
        while try reader.read(
            upTo: 100,
            { message in
                #expect(message.id.rawValue == next)
                next += 1
                return .next
            }) > 0
        {}
        #expect(next == 1600)
        #expect(try directory.names.count > 1)
        try again.close()
    }
}
