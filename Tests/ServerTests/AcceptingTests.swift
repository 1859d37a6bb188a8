import Broker
import Glibc
import Logging
import NIOCore
import NIOEmbedded
import SystemPackage
import Testing
import Threads
import WAL
import WALTestSupport

@testable import Server

/// How long nothing is accepted when that has failed, on a loop whose clock is the test's.
@Suite("Accepting")
struct AcceptingTests {
    private final class Listener {
        let service: Service
        let channel: EmbeddedChannel
        private let loop = EmbeddedEventLoop()
        private var accepted: [EmbeddedChannel] = []

        init(limit: Int? = nil) throws {
            let disk = MemoryDisk()
            disk.putDirectory("/data")
            service = Service(
                try Broker(FilePath("/data"), storage: Storage(disk), options: BrokerOptions()),
                ServerOptions(), Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            channel = EmbeddedChannel(loop: loop)
            try channel.pipeline.syncOperations.addHandler(
                AcceptPauseHandler(service, limit: limit, full: "full"))
            try channel.connect(to: SocketAddress(unixDomainSocketPath: "/listener")).wait()
        }

        deinit {
            // Each is closed, or it and its pipeline keep each other in memory.
            for accepted in accepted { _ = try? accepted.finish() }
            _ = try? channel.finish()
            service.readers.shutdown()
            service.broker.close()
        }

        var isReading: Bool {
            let last = channel.options.last { $0.option is ChannelOptions.Types.AutoReadOption }
            return last?.value as? Bool ?? true
        }

        func fails(_ code: CInt = EMFILE) {
            channel.pipeline.fireErrorCaught(IOError(errnoCode: code, reason: "accept"))
        }

        /// What was accepted is handed on.
        @discardableResult
        func accepts() throws -> EmbeddedChannel {
            let accepted = EmbeddedChannel(loop: loop)
            self.accepted.append(accepted)
            try channel.writeInbound(accepted as any Channel)
            #expect(try channel.readInbound(as: (any Channel).self) === accepted)
            return accepted
        }

        func closes(_ accepted: EmbeddedChannel) throws {
            try accepted.close().wait()
            loop.run()
        }

        /// How many milliseconds pass until it reads again; nil if it does not in a minute.
        func pause() -> Int? {
            #expect(!isReading)
            return (1...60_000).first { _ in
                loop.advanceTime(by: .milliseconds(1))
                return isReading
            }
        }
    }

    @Test("each pause of a row is twice the one before, from 5 ms up to a second and no longer")
    func longerEachTime() throws {
        let listener = try Listener()
        var pauses: [Int?] = []
        for _ in 0..<11 {
            listener.fails()
            pauses.append(listener.pause())
        }
        #expect(pauses == [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000])
        #expect(listener.service.counters.acceptErrors.now == 11)
    }

    @Test("a connection that is accepted ends the row")
    func shortAgain() throws {
        let listener = try Listener()
        for _ in 0..<9 {
            listener.fails()
            _ = listener.pause()
        }
        try listener.accepts()
        #expect(listener.isReading)
        listener.fails(ENFILE)
        #expect(listener.pause() == 5)
        listener.fails(ENOBUFS)
        #expect(listener.pause() == 10)
    }

    @Test("what fails during a pause is counted, and makes it no longer")
    func oncePerPause() throws {
        let listener = try Listener()
        for _ in 0..<100 { listener.fails() }
        #expect(listener.pause() == 5)
        listener.fails()
        #expect(listener.pause() == 10)
        #expect(listener.service.counters.acceptErrors.now == 101)
    }

    /// Nobody but the kernel needs to know what was accepted: one that is told BUSY counts as well.
    @Test("with as many open descriptors as there may be it pauses until one is closed")
    func full() throws {
        let listener = try Listener(limit: 2)
        let first = try listener.accepts()
        #expect(listener.isReading)
        let second = try listener.accepts()
        // It looks after 5, 15, 35, … ms, and at last once a second.
        #expect(listener.pause() == nil)
        try listener.closes(first)
        #expect((1...1000).contains(listener.pause() ?? .max))
        // Connections that are there are no failure.
        #expect(listener.service.counters.acceptErrors.now == 0)
        try listener.closes(second)
        try listener.accepts()
        #expect(listener.isReading)
    }

    @Test("with metrics an eighth of what may be accepted, 64 at most, is for those alone")
    func parts() {
        var options = ServerOptions()
        #expect(options.clientAcceptLimit(besidesMetrics: true) == nil)
        #expect(options.metricsAcceptLimit == 64)
        for (limit, metrics) in [(2, 1), (46, 5), (512, 64), (100_000, 64)] {
            options.acceptLimit = limit
            #expect(options.metricsAcceptLimit == metrics)
            #expect(options.clientAcceptLimit(besidesMetrics: true) == limit - metrics)
            #expect(options.clientAcceptLimit(besidesMetrics: false) == limit)
        }
    }

    @Test("however many come and go meanwhile, no more connections are told than there are")
    func neverBelowNone() {
        let counters = Counters()
        let isOver = Event()
        let loops = (0..<2).map { _ in
            OwnedThread {
                while !isOver.hasFired {
                    for _ in 0..<1000 {
                        counters.openConnections.enter()
                        counters.openConnections.leave()
                    }
                }
            }
        }
        let isRight = (0..<1_000_000).allSatisfy { _ in
            (0...2).contains(counters.openConnections.now)
        }
        isOver.fire()
        for loop in loops { loop.join() }
        #expect(isRight && counters.openConnections.now == 0)
    }

    @Test("an error that is not the system's is handed on")
    func others() throws {
        struct Other: Error {}
        let listener = try Listener()
        listener.channel.pipeline.fireErrorCaught(Other())
        #expect(throws: Other.self) { try listener.channel.throwIfErrorCaught() }
        #expect(listener.isReading && listener.service.counters.acceptErrors.now == 0)
    }
}
