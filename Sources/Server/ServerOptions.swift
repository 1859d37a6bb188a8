import Wire

/// How a server behaves towards its clients. Times are nanoseconds; a timeout that is nil never
/// comes.
public struct ServerOptions: Hashable, Sendable {
    /// Where it listens.
    public var host = "127.0.0.1"
    /// The port; 0 lets the kernel choose.
    public var port = 6789
    /// Event loops. One serves best where cores are few; see docs/CONCURRENCY.md.
    public var loops = 1
    /// The largest payload taken, in bytes; at most `largestPayloadBytes`.
    public var payloadBytes = 1 << 20
    /// More than this no server takes.
    public static let largestPayloadBytes = WireLimits.largestPayloadBytes
    /// How many connections there may be; more are told BUSY and closed.
    public var connectionLimit = 10_000
    /// How many connections are accepted at a time, those for metrics and those that are told BUSY
    /// included, so that descriptors are left for the logs; more wait in the kernel's queue until
    /// one ends. Nil accepts while there are descriptors.
    public var acceptLimit: Int?
    /// What clients have to show with HELLO; nil lets everybody in.
    public var token: [UInt8]?
    /// How long a connection may go without its first whole command.
    public var handshakeTimeout: UInt64? = 60_000_000_000
    /// How long a command may stand half sent without a byte more.
    public var frameTimeout: UInt64? = 30_000_000_000
    /// How long a connection without a subscription may say nothing.
    public var idleTimeout: UInt64?
    /// How long a connection that was told ERR and is being closed may go on sending.
    public var drainTimeout: UInt64 = 5_000_000_000
    /// How much memory all connections together may take for commands that have not come whole.
    /// Who has more than `smallUnfinishedBytes` and needs more beyond that is told BUSY and closed.
    public var unfinishedBytes = 256 << 20
    /// What each connection may have in any case.
    static let smallUnfinishedBytes = 16 << 10
    /// Threads that read backlogs from the disk.
    public var readers = 2

    /// The defaults.
    public init() {}

    /// What of `acceptLimit` is for metrics alone, so that whoever looks after the broker is answered
    /// however many clients there are.
    var metricsAcceptLimit: Int {
        min(MetricsServer.mostConnections, acceptLimit.map { max(1, $0 / 8) } ?? .max)
    }

    /// What of it is for clients.
    func clientAcceptLimit(besidesMetrics: Bool) -> Int? {
        acceptLimit.map { max(1, $0 - (besidesMetrics ? metricsAcceptLimit : 0)) }
    }

    var limits: WireLimits { WireLimits(payloadBytes: payloadBytes) }
}
