internal import DequeModule
internal import NIOCore
internal import Wire

/// The connection for everything that is answered with one line: sends ahead, gives each answer to
/// the request it belongs to, and sends again what may be. On one event loop only.
final class Requests: LinkUser {
    private let queue: RequestQueue
    private let link: Link
    /// Not sent on this connection yet.
    private var unsent: Deque<Request> = []
    /// Sent, in the order in which they will be answered.
    private var sent: Deque<Request> = []
    private var answeredCount = 0
    private var answeredBytes = 0
    /// The last answer was one behind which the broker takes nothing more from this connection:
    /// what it has not answered was not done.
    private var isRefusedBehind = false
    private var whenDrained: (() -> Void)?

    init(_ queue: RequestQueue, _ loop: any EventLoop, _ options: ClientOptions) {
        self.queue = queue
        link = Link(loop, options)
    }

    private var isBegun = false

    /// Takes what was handed in.
    func drain() {
        if !isBegun {
            isBegun = true
            link.begin(for: self)
        }
        let fresh = queue.take()
        guard !fresh.isEmpty else { return }
        unsent.append(contentsOf: fresh)
        link.wake()
        if let connection = link.connection { send(on: connection) }
    }

    private func send(on connection: Connection) {
        guard !unsent.isEmpty else { return }
        var bytes = ByteBuffer()
        bytes.reserveCapacity(unsent.reduce(0) { $0 + $1.command.count })
        while var request = unsent.popFirst() {
            bytes.writeBytes(request.command)
            request.wasSent = true
            sent.append(request)
        }
        connection.send(bytes)
    }

    // MARK: LinkUser

    func ready(_ connection: Connection) {
        isRefusedBehind = false
        send(on: connection)
    }

    func received(_ reply: Reply, _ bytes: ByteBuffer, on connection: Connection) -> Bool {
        guard let request = sent.first else {
            // A broker that says why it closes has said it.
            if case .error(_, let code, let text) = reply {
                connection.close("the broker said \(bytes.text(code)) \(bytes.text(text))")
                return true
            }
            return false
        }
        switch (request.kind, reply) {
        case (.publish(let promise), .ok(let id)):
            promise.complete(.success(PublishReceipt(id: id, isDuplicate: false)))
        case (.publish(let promise), .duplicate(let id)):
            promise.complete(.success(PublishReceipt(id: id, isDuplicate: true)))
        case (.info(let promise), .info(let text)):
            promise.complete(.success(bytes.text(text)))
        case (_, .error(let code, let codeText, let text)):
            isRefusedBehind = code == .tooLarge
            request.fail(
                .refused(
                    code: RefusalCode(rawValue: bytes.text(codeText)), text: bytes.text(text)))
        default: return false
        }
        sent.removeFirst()
        link.served()
        answeredCount += 1
        answeredBytes += request.command.count
        return true
    }

    func receivedAll(on connection: Connection) { release() }

    private func release() {
        if answeredCount > 0 {
            queue.release(count: answeredCount, bytes: answeredBytes)
            answeredCount = 0
            answeredBytes = 0
        }
        if sent.isEmpty, unsent.isEmpty { whenDrained.take()?() }
    }

    var mayRead: Bool { true }

    func lost(reason: String) {
        var again: [Request] = []
        while let request = sent.popFirst() {
            if request.isRepeatable || isRefusedBehind {
                again.append(request)
            } else {
                finish(request) { $0.fail(.outcomeUnknown(reason: reason)) }
            }
        }
        unsent.prepend(contentsOf: again)
        release()
    }

    func retrying(_ error: ClientError) {}

    var needsConnection: Bool { !unsent.isEmpty }

    func failed(_ error: ClientError) { abandon(error, "\(error)") }

    private func abandon(_ error: ClientError, _ reason: String) {
        while let request = sent.popFirst() { finish(request) { $0.abandon(error, reason) } }
        while let request = unsent.popFirst() { finish(request) { $0.abandon(error, reason) } }
        release()
    }

    private func finish(_ request: Request, _ body: (Request) -> Void) {
        body(request)
        answeredCount += 1
        answeredBytes += request.command.count
    }

    // MARK: Closing

    /// Waits for the answers that are out, at most for `timeout`, then ends the connection. May be
    /// called again, for a sooner end.
    func close(timeout: TimeAmount, _ done: @escaping () -> Void) {
        drain()
        let timer = link.loop.assumeIsolated().scheduleTask(in: timeout) {
            self.abandon(.closed, "the client was closed before the answer came")
        }
        let others = whenDrained
        whenDrained = {
            others?()
            timer.cancel()
            self.link.close(done)
        }
        release()
    }
}
