import Broker
import Glibc
import Logging
import NIOCore
import NIOEmbedded
import SystemPackage
import Testing
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

        init(limit: Int? = nil) throws {
            let disk = MemoryDisk()
            disk.putDirectory("/data")
            service = Service(
                try Broker(FilePath("/data"), storage: Storage(disk), options: BrokerOptions()),
                ServerOptions(), Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            channel = EmbeddedChannel(loop: loop)
            try channel.pipeline.syncOperations.addHandler(
                AcceptPauseHandler(service, limit: limit))
            try channel.connect(to: SocketAddress(unixDomainSocketPath: "/listener")).wait()
        }

        deinit {
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
        func accepts() throws {
            try channel.writeInbound("a connection")
            #expect(try channel.readInbound(as: String.self) == "a connection")
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

    @Test("with as many connections as there may be it pauses until one has ended")
    func full() throws {
        let listener = try Listener(limit: 2)
        let counters = listener.service.counters
        counters.connections.add()
        try listener.accepts()
        #expect(listener.isReading)
        counters.connections.add()
        try listener.accepts()
        // It looks after 5, 15, 35, … ms, and at last once a second.
        #expect(listener.pause() == nil)
        counters.disconnections.add()
        #expect((1...1000).contains(listener.pause() ?? .max))
        // Connections that are there are no failure.
        #expect(counters.acceptErrors.now == 0)
        try listener.accepts()
        #expect(listener.isReading)
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
