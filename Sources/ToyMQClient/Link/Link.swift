internal import NIOCore
internal import NIOPosix
internal import Wire

/// Who has something to say to the broker. All calls come on the link's event loop.
protocol LinkUser: AnyObject {
    /// There is a connection and it has been greeted.
    func ready(_ connection: Connection)
    /// As `ConnectionUser`.
    func received(_ reply: Reply, _ bytes: ByteBuffer, on connection: Connection) -> Bool
    /// As `ConnectionUser`.
    func receivedAll(on connection: Connection)
    /// As `ConnectionUser`.
    var mayRead: Bool { get }
    /// A connection that was ready has ended; another one is on its way if it is needed.
    func lost(reason: String)
    /// There is something to be said, or to wait for.
    var needsConnection: Bool { get }
    /// An attempt has come to nothing, and another one follows.
    func retrying(_ error: ClientError)
    /// No connection comes about, and no more are tried until `Link.wake`.
    func failed(_ error: ClientError)
}

/// Keeps a connection as long as it is wanted: makes it, greets, and makes it anew when it ends. On
/// one event loop only.
final class Link: ConnectionUser {
    private enum Phase {
        case idle
        case connecting
        case greeting(Connection)
        /// What was read together with the greeting has not been handed over yet.
        case greeted(Connection)
        case ready(Connection)
        case pausing(Scheduled<Void>)
        case closed
    }

    let loop: any EventLoop
    private let options: ClientOptions
    private weak var user: (any LinkUser)?
    private var phase = Phase.idle
    /// Attempts in a row that came to nothing.
    private var failures = 0
    /// The connection was of use. A greeting is none: a broker may greet and refuse all else.
    private var hasServed = false
    /// What the broker has refused with, behind which the connection ends.
    private var refusal: ClientError?
    private var timer: Scheduled<Void>?
    private var life: RepeatedTask?
    private var whenClosed: [() -> Void] = []
    /// The connection is the last one, and has until then.
    private var deadline: NIODeadline?
    /// What the attempt to connect has opened so far.
    private var channels: [any Channel] = []

    init(_ loop: any EventLoop, _ options: ClientOptions) {
        self.loop = loop
        self.options = options
    }

    /// Invariant: whoever owns a link is its user, and closes it.
    func begin(for user: any LinkUser) { self.user = user }

    /// A connection is wanted.
    func wake() {
        guard case .idle = phase else { return }
        connect()
    }

    /// The connection, if it is ready.
    var connection: Connection? {
        if case .ready(let connection) = phase { connection } else { nil }
    }

    /// Something that was asked for on the connection has been answered.
    func served() {
        hasServed = true
        failures = 0
    }

    /// Ends the connection because what it is there for was refused, for now.
    func refused(_ error: ClientError) {
        refusal = error
        connection?.close("\(error)")
    }

    /// Ends it for good, and calls `done` when nothing is left.
    func close(_ done: @escaping () -> Void) {
        switch phase {
        case .closed where whenClosed.isEmpty: done()
        case .closed: whenClosed.append(done)
        case .idle:
            phase = .closed
            done()
        case .pausing(let scheduled):
            scheduled.cancel()
            phase = .closed
            done()
        case .connecting:
            phase = .closed
            whenClosed.append(done)
            for channel in channels { channel.close(promise: nil) }
        case .greeting(let connection), .greeted(let connection), .ready(let connection):
            phase = .closed
            whenClosed.append(done)
            connection.close("closed")
        }
    }

    /// As `close`, behind a QUIT that was sent: the broker answers everything and closes. It has
    /// `timeout` for that. May be called again, for a shorter one.
    func closeWhenAnswered(within timeout: TimeAmount, _ done: @escaping () -> Void) {
        guard case .ready(let connection) = phase else { return close(done) }
        whenClosed.append(done)
        let end = NIODeadline.now() + timeout
        guard end < deadline ?? .distantFuture else { return }
        deadline = end
        timer?.cancel()
        timer = loop.assumeIsolated().scheduleTask(deadline: end) { connection.close("closed") }
    }

    // MARK: Connecting

    private func connect() {
        phase = .connecting
        refusal = nil
        hasServed = false
        // A name may have several addresses, which are tried beside each other: only the channel
        // that came about gets a handler, and is read from that moment on.
        let own = NIOLoopBound(self, eventLoop: loop)
        ClientBootstrap(group: loop)
            .resolver(options.addresses.map { FixedResolver(loop, $0) })
            .connectTimeout(TimeAmount(options.connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.autoRead, value: false)
            .channelInitializer { channel in
                own.value.opened(channel)
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .connect(host: options.host, port: options.port)
            .assumeIsolated()
            .flatMapThrowing { channel in
                let connection = Connection(self)
                try channel.pipeline.syncOperations.addHandler(connection)
                self.connected(connection)
                try? channel.syncOptions?.setOption(.autoRead, value: true)
            }
            .whenFailure { error in self.notConnected(Plain.text(error)) }
    }

    private func opened(_ channel: any Channel) {
        channels.append(channel)
        // Closed meanwhile: the next address is not waited for either.
        if case .closed = phase { channel.close(promise: nil) }
    }

    private func connected(_ connection: Connection) {
        channels = []
        guard case .connecting = phase else {
            connection.close("closed")
            return
        }
        phase = .greeting(connection)
        guard !connection.isToItself else {
            connection.close("nobody listens there")
            return
        }
        var hello: [UInt8] = []
        CommandWriter.hello(token: options.token, to: &hello)
        connection.send(hello)
        timer = loop.assumeIsolated().scheduleTask(in: TimeAmount(options.connectTimeout)) {
            connection.close("no greeting in \(self.options.connectTimeout)")
        }
    }

    private func notConnected(_ reason: String) {
        channels = []
        if case .closed = phase {
            finishClosing()
            return
        }
        attemptFailed(
            .unreachable(reason: "cannot connect to \(Plain.address(options)): \(reason)"))
    }

    private func attemptFailed(_ error: ClientError) {
        failures += 1
        if let attempts = options.reconnect.attempts, failures >= attempts {
            failures = 0
            phase = .idle
            user?.failed(error)
            return
        }
        user?.retrying(error)
        pause()
    }

    private func pause() {
        let pause = options.reconnect.pause(failures: failures, chance: .random(in: 0...1))
        phase = .pausing(
            loop.assumeIsolated().scheduleTask(in: TimeAmount(pause)) {
                guard case .pausing = self.phase else { return }
                self.connect()
            })
    }

    private func greeted(_ connection: Connection) {
        timer?.cancel()
        timer = nil
        phase = .greeted(connection)
        let bound = NIOLoopBound(connection, eventLoop: loop)
        let period = TimeAmount(options.keepAlive)
        life = loop.scheduleRepeatedTask(initialDelay: period, delay: period) { _ in
            if !bound.value.checkLife() { bound.value.close("no sign of life from the broker") }
        }
    }

    // MARK: ConnectionUser

    func received(_ reply: Reply, _ bytes: ByteBuffer, on connection: Connection) -> Bool {
        switch phase {
        case .ready: return user?.received(reply, bytes, on: connection) ?? false
        case .greeting, .connecting:
            switch reply {
            case .hello(let version) where version == WireVersion.current: greeted(connection)
            case .error(_, let code, let text):
                // The connection ends behind it.
                refusal = .refused(
                    code: RefusalCode(rawValue: bytes.text(code)), text: bytes.text(text))
                connection.close("the broker refused: \(bytes.text(code)) \(bytes.text(text))")
            default: return false
            }
            return true
        case .greeted:
            // A broker that says why it closes has said it.
            guard case .error(_, let code, let text) = reply else { return false }
            connection.close("the broker said \(bytes.text(code)) \(bytes.text(text))")
            return true
        case .closed: return true
        case .idle, .pausing: return false
        }
    }

    /// Nothing is asked before all that came with the greeting has been looked at: it answers
    /// nothing, and would be taken for the answer.
    func receivedAll(on connection: Connection) {
        guard case .greeted = phase else {
            user?.receivedAll(on: connection)
            return
        }
        phase = .ready(connection)
        user?.ready(connection)
    }

    var mayRead: Bool {
        if case .ready = phase { user?.mayRead ?? true } else { true }
    }

    func ended(_ connection: Connection, reason: String) {
        timer?.cancel()
        timer = nil
        life?.cancel()
        life = nil
        switch phase {
        case .ready where deadline != nil:
            phase = .closed
            user?.lost(reason: reason)
            finishClosing()
        case .ready:
            phase = .idle
            user?.lost(reason: reason)
            goOn(reason)
        case .greeting, .greeted, .connecting:
            if case .refused(let code, _)? = refusal, code != .busy, let refusal {
                phase = .idle
                failures = 0
                user?.failed(refusal)
            } else {
                notConnected(reason)
            }
        case .closed: finishClosing()
        case .idle, .pausing: break
        }
    }

    /// Behind a connection that was ready.
    private func goOn(_ reason: String) {
        // Its user may have closed it, now that nothing is awaited any more.
        guard case .idle = phase else { return }
        guard user?.needsConnection ?? false else {
            failures = 0
            return
        }
        if hasServed { return pause() }
        attemptFailed(
            refusal
                ?? .unreachable(
                    reason: "\(Plain.address(options)) has answered nothing: \(reason)"))
    }

    private func finishClosing() {
        let done = whenClosed
        whenClosed = []
        for call in done { call() }
    }
}
