import Foundation
import SystemPackage
import Testing
import Threads
import WALTestSupport

@testable import WAL

/// Threads that have nothing to commit help to open a long log.
@Suite struct OpeningHelpTests {
    /// Long enough for help, of frames that a run holds few of.
    private static let image: LogImage = {
        var segment = SegmentBuilder(base: 5)
        for number in 0..<300 {
            segment.add(TestMessage([UInt8](repeating: UInt8(number & 255), count: 32_000)))
        }
        return LogImage(files: [(SegmentName.activeName, segment.bytes)])
    }()

    /// Opens the log; gives how many threads have read it meanwhile, and its messages.
    private func open(helped: Bool) throws -> (threads: Int, messages: [SeenMessage]) {
        let disk = OpeningHelpTests.image.disk()
        let threads = Monitor<Set<UInt>>([])
        var options = LogHost.Options()
        options.helpsOpening = helped
        let host = LogHost(storage: Storage(disk), options: options)
        defer { host.shutdown() }
        disk.follow { call in
            if call.operation == .read { threads.withLock { _ = $0.insert(UInt(pthread_self())) } }
            return nil
        }
        let log = try Log.open(LogImage.directory, host: host)
        disk.follow(nil)
        let messages = try log.contents()
        try log.close()
        return (threads.withLock { $0.count }, messages)
    }

    @Test func aLongLogIsReadByTwoThreadsAndIsTheSame() throws {
        let alone = try open(helped: false)
        #expect(alone.threads == 1 && alone.messages.count == 300)
        // The host's threads may still be on their way: nobody waits for those.
        let deadline = Date.now.addingTimeInterval(30)
        var helped = try open(helped: true)
        while helped.threads == 1, Date.now < deadline { helped = try open(helped: true) }
        #expect(helped.threads > 1)
        #expect(helped.messages.map(\.message) == alone.messages.map(\.message))
    }
}
