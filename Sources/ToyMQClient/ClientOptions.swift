/// Where the broker is, and how the client behaves. Durations are 1 ms to a year.
public struct ClientOptions: Hashable, Sendable {
    /// A name or an address.
    public var host = "127.0.0.1"
    /// 1 to 65,535.
    public var port = 6789
    /// What the broker wants to be shown; nil if it lets everybody in. Visible ASCII letters: the
    /// end of the line of a file it was read from is not one.
    public var token: String?
    /// How many messages may be published and not yet answered, at least 1. The next caller waits.
    public var publishWindow = 1024
    /// How many bytes they may have together, at least 1. One that is larger goes alone.
    public var publishWindowBytes = 8 << 20
    /// How many deliveries a subscription takes ahead of its loop, at least 1. The broker sends at
    /// most 256 that are not acknowledged.
    public var deliveryWindow = 256
    /// How many bytes of payload they may have together before no more are read, at least 1.
    public var deliveryWindowBytes = 4 << 20
    /// How long making a connection may take, and how long behind it the broker may take to greet.
    public var connectTimeout = Duration.seconds(5)
    /// A connection on which nothing was heard for so long is asked for a sign of life; after as
    /// long again it is given up.
    public var keepAlive = Duration.seconds(15)
    /// What happens when there is no connection.
    public var reconnect = Reconnect()
    /// The IP addresses of `host`, for who knows them already; nil asks for them. All are tried,
    /// the next one when the one before refuses or does not answer at once.
    public var addresses: [String]?

    /// A broker at this address, with the defaults.
    public init(host: String = "127.0.0.1", port: Int = 6789) {
        self.host = host
        self.port = port
    }

    /// When a connection is tried again. Each pause is twice the one before, and up to a half
    /// shorter by chance, so that many clients do not come at once.
    public struct Reconnect: Hashable, Sendable {
        /// The first pause.
        public var firstPause = Duration.milliseconds(50)
        /// The longest pause.
        public var longestPause = Duration.seconds(5)
        /// How many attempts in a row may fail; nil for as long as it takes. One has failed if
        /// nothing was answered on its connection, or the subscription was refused for a reason
        /// that passes. Afterwards all that waits fails with ``ClientError/unreachable(reason:)``
        /// or that refusal, and with ``ClientError/outcomeUnknown(reason:)`` if it had been sent;
        /// what is asked for later starts anew.
        public var attempts: Int?

        /// The defaults.
        public init() {}

        /// The pause behind so many failures in a row; `chance` is 0 to 1.
        func pause(failures: Int, chance: Double) -> Duration {
            let doubled = firstPause * (1 << min(max(failures - 1, 0), 20))
            return min(doubled, longestPause) * (1 - chance / 2)
        }
    }
}
