import Broker
import Foundation
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import SystemPackage
import Testing
import Threads
import WAL
import WALTestSupport

@testable import Server

@Suite("Metrics", .timeLimit(.minutes(10)))
struct MetricsTests {
    /// The whole answer, headers included.
    private func get(_ path: String, port: Int) throws -> String {
        let client = try RawClient(port: port)
        try client.send("GET \(path) HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        var text = ""
        while let line = try? client.line() { text += line + "\n" }
        return text
    }

    @Test("a target may be a whole address; what is not asked for with GET or HEAD is refused")
    func requests() throws {
        let broker = try BrokerProcess(try DataFolder(), ["--metrics-addr", "127.0.0.1:0"])
        // A proxy asks with the whole address.
        for path in ["http://x/healthz", "http://x:1/healthz?a=b", "/healthz?a=b"] {
            #expect(try broker.get(path).hasPrefix("HTTP/1.1 200"))
        }
        #expect(try broker.get("http://x").hasPrefix("HTTP/1.1 404"))
        let refusal = try broker.ask("DELETE /metrics HTTP/1.1\r\nconnection: close\r\n\r\n")
        #expect(refusal.hasPrefix("HTTP/1.1 405") && refusal.contains("allow: GET, HEAD"))
        // The answer is over when the connection is, whatever the client would like.
        let old = try broker.ask("GET /healthz HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        #expect(old.hasPrefix("HTTP/1.0 200") && old.contains("connection: close"))
    }

    @Test("metrics, health and readiness are served")
    func served() throws {
        let broker = try BrokerProcess(try DataFolder(), ["--metrics-addr", "127.0.0.1:0"])
        let port = try #require(broker.metricsPort)
        #expect(try broker.client().publish("t", "x") == "OK 0")
        #expect(try get("/metrics", port: port).contains("\ntoymq_published_total 1\n"))
        #expect(try get("/healthz", port: port).hasPrefix("HTTP/1.1 200"))
        #expect(try get("/readyz", port: port).hasPrefix("HTTP/1.1 200"))
        #expect(try get("/else", port: port).hasPrefix("HTTP/1.1 404"))
        // Metrics take longer than what is asked behind them.
        let client = try RawClient(port: port)
        let paths = ["/metrics", "/else", "/metrics"]
        try client.send(paths.map { "GET \($0) HTTP/1.1\r\nhost: x\r\n\r\n" }.joined())
        for status in ["200", "404", "200"] {
            while true {
                let line = try client.line()
                guard line.hasPrefix("HTTP/1.1 ") else { continue }
                #expect(line.hasPrefix("HTTP/1.1 \(status)"))
                break
            }
        }
        #expect(broker.stop() == 0)
    }

    /// Each topic and each consumer is looked at, and consumers are made without a disk.
    @Test("metrics are not made by the thread that serves the clients")
    func notOnTheLoop() throws {
        let broker = try BrokerProcess(try DataFolder(), ["--metrics-addr", "127.0.0.1:0"])
        let port = try #require(broker.metricsPort)
        let client = try broker.client()
        let consumers = 5_000
        try client.send((0..<consumers).map { "SUB t c\($0)\n" }.joined())
        for _ in 0..<consumers { try #require(try client.line() == "OK 0") }
        let scraper = try RawClient(port: port)
        let before = broker.processorTime
        for _ in 0..<100 {
            try scraper.send("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
            while try !scraper.line().hasPrefix("toymq_in_flight ") {}
        }
        let after = broker.processorTime
        #expect(2 * (after.loops - before.loops) < after.all - before.all)
    }

    @Test("metrics are told while all that read backlogs stand before a disk that hangs")
    func whileReadersHang() throws {
        let disk = MemoryDisk()
        disk.putDirectory("/data")
        let local = try LocalServer(disk, metrics: MetricsAddress(host: "127.0.0.1", port: 0)) {
            $0.readers = 1
        }
        let port = try #require(
            local.server.metricsAddress?.split(separator: ":").last.flatMap { Int($0) })
        let client = try local.client()
        #expect(try client.publish("t", "x") == "OK 0")
        let gate = Gate()
        disk.follow { call in
            if call.operation == .read { gate.pass() }
            return nil
        }
        #expect(try client.command("SUB t c") == "OK 0")
        #expect(gate.waitForVisitor())
        #expect(try get("/metrics", port: port).contains("\ntoymq_published_total 1\n"))
        disk.follow(nil)
        gate.open()
        #expect(try client.message().payload == "x")
        #expect(local.stop())
    }

    /// A connection whose socket takes what the test lets it.
    private final class Asking {
        private final class Reads: ChannelOutboundHandler {
            typealias OutboundIn = NIOCore.ByteBuffer
            var count = 0
            func read(context: ChannelHandlerContext) { count += 1 }
        }

        private let channel = EmbeddedChannel()
        private let listener = EmbeddedChannel()
        private let socket = Reads()
        private let service: Service
        private let writer = WorkPool(threads: 1)

        init() throws {
            let disk = MemoryDisk()
            disk.putDirectory("/data")
            service = Service(
                try Broker(FilePath("/data"), storage: Storage(disk), options: BrokerOptions()),
                ServerOptions(), Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            try channel.pipeline.syncOperations.addHandler(socket)
            try channel.pipeline.syncOperations.configureHTTPServerPipeline()
            try channel.pipeline.syncOperations.addHandler(
                MetricsHandler(service, writer, listener))
            try channel.connect(to: SocketAddress(unixDomainSocketPath: "/metrics")).wait()
        }

        deinit {
            _ = try? channel.finish()
            _ = try? listener.finish()
            writer.shutdown()
            service.readers.shutdown()
            service.broker.close()
        }

        /// How often its socket was read.
        var reads: Int { socket.count }

        func ask(_ count: Int) throws {
            let text = String(repeating: "GET /healthz HTTP/1.1\r\n\r\n", count: count)
            try channel.writeInbound(NIOCore.ByteBuffer(string: text))
            channel.embeddedEventLoop.run()
            // As a channel does behind each read.
            channel.read()
        }

        func takes(_ isWritable: Bool) {
            channel.isWritable = isWritable
            channel.pipeline.fireChannelWritabilityChanged()
            channel.embeddedEventLoop.run()
        }

        /// How many were written since it was asked last.
        func answers() throws -> Int {
            var text = ""
            while let bytes = try channel.readOutbound(as: NIOCore.ByteBuffer.self) {
                text += String(buffer: bytes)
            }
            return text.components(separatedBy: "HTTP/1.1 200").count - 1
        }
    }

    @Test("a client that does not read gets no more answers until it does, and then all of them")
    func unread() throws {
        let client = try Asking()
        try client.ask(1)
        #expect(try client.answers() == 1)
        let before = client.reads
        client.takes(false)
        try client.ask(3)
        try client.ask(2)
        #expect(try client.answers() == 0)
        #expect(client.reads == before)
        client.takes(true)
        #expect(try client.answers() == 5)
        #expect(client.reads == before + 1)
        try client.ask(1)
        #expect(try client.answers() == 1)
    }

    @Test("however many requests a client sends at once, all are answered, and not on one stack")
    func manyAtOnce() throws {
        let client = try Asking()
        client.takes(false)
        let count = 20_000
        // They wait behind the first one.
        try client.ask(count)
        client.takes(true)
        #expect(try client.answers() == count)
    }
}
