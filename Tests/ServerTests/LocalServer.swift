import Broker
import Logging
import Server
import SystemPackage
import WAL
import WALTestSupport

/// A server in this process, whose disk fails when it is told to.
final class LocalServer: Sendable {
    let broker: Broker
    let server: Server

    init(
        _ disk: MemoryDisk, metrics: MetricsAddress? = nil, reopenDelay: UInt64 = 1_000_000,
        visibilityTimeout: UInt64 = BrokerOptions().visibilityTimeout,
        _ change: (inout ServerOptions) -> Void = { _ in }
    ) throws {
        var options = BrokerOptions()
        options.reopenDelay = reopenDelay
        options.segmentBytes = 64 << 10
        options.visibilityTimeout = visibilityTimeout
        broker = try Broker(FilePath("/data"), storage: Storage(disk), options: options)
        var serving = ServerOptions()
        serving.port = 0
        change(&serving)
        server = try Server(
            broker, options: serving, metrics: metrics,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func client() throws -> RawClient { try RawClient(port: server.port) }

    func stop() -> Bool {
        defer { broker.close() }
        return server.stop(timeout: 10_000_000_000)
    }
}
