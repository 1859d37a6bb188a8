import ArgumentParser
import Dispatch
import Glibc
import Synchronization
import ToolSupport
import ToyMQClient

/// Where the broker is: the same options for all commands that talk to one.
struct RemoteOptions: ParsableArguments {
    @Option(help: "The broker's address and port.")
    var addr = "127.0.0.1:6789"

    @Option(
        help: ArgumentHelp("A file whose first line is the token to show.", valueName: "path"))
    var tokenFile: String?

    @Option(help: "How many connections in a row may fail, or answer nothing.")
    var attempts = 5

    func validate() throws {
        guard attempts >= 1 else { throw ValidationError("--attempts is at least 1") }
        _ = try address()
    }

    private func address() throws -> (host: String, port: Int) {
        guard let colon = addr.lastIndex(of: ":"),
            let port = Int(addr[addr.index(after: colon)...]), (1...65_535).contains(port)
        else { throw ValidationError("--addr: '\(addr)' is not ADDRESS:PORT") }
        var host = String(addr[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        return (host.isEmpty ? "127.0.0.1" : host, port)
    }

    /// Runs `body` with a client and ends the process as the contract says.
    func withClient(
        adjust: (inout ClientOptions) -> Void = { _ in }, _ body: (ToyMQClient) throws -> Outcome
    ) throws {
        let (host, port) = try address()
        var options = ClientOptions(host: host, port: port)
        options.reconnect.attempts = attempts
        options.reconnect.firstPause = .milliseconds(100)
        let outcome: Outcome
        do {
            options.token = try tokenFile.map {
                try TokenFile.token($0, setting: "--token-file")
            }
            adjust(&options)
            let client = ToyMQClient(options)
            defer { try? waitFor { await client.close() } }
            outcome = try body(client)
        } catch let error as OutputError {
            // What was asked for was done as far as its results could be told.
            StandardError.say("\(error)")
            outcome = .incomplete
        } catch {
            StandardError.say("\(error)")
            outcome = .failed
        }
        try outcome.exit()
    }
}

/// Runs async code and waits for it on this thread, which is the process's main one and may wait.
/// After `seconds` the task is cancelled; its result counts all the same.
func waitFor<Value: Sendable>(
    seconds: Double? = nil, _ body: @escaping @Sendable () async throws(ClientError) -> Value
) throws(ClientError) -> Value {
    let box = Box<Value>()
    let done = DispatchSemaphore(value: 0)
    let task = Task.detached {
        do throws(ClientError) { box.set(.success(try await body())) } catch {
            box.set(.failure(error))
        }
        done.signal()
    }
    if let seconds, done.wait(timeout: .now() + seconds) == .timedOut {
        task.cancel()
        done.wait()
    } else if seconds == nil {
        done.wait()
    }
    return try box.take()
}

/// What a task hands to the thread that waits for it.
private final class Box<Value: Sendable>: Sendable {
    private let state: Mutex<Result<Value, ClientError>> = Mutex(.failure(.cancelled))
    init() {}
    func set(_ value: Result<Value, ClientError>) { state.withLock { $0 = value } }
    func take() throws(ClientError) -> Value { try state.withLock { $0 }.get() }
}

/// How far something long has come: one line of a terminal, written over again and again.
final class Counter {
    private let what: String
    private var isShown = false
    private var nextTime = ContinuousClock.now + .milliseconds(500)

    init(_ what: String) { self.what = what }

    func show(_ count: Int) {
        guard StandardError.isTerminal, ContinuousClock.now >= nextTime else { return }
        nextTime = .now + .milliseconds(200)
        isShown = true
        StandardError.put("\r\u{1b}[K\(count) \(what)")
    }

    func clear() {
        if isShown { StandardError.put("\r\u{1b}[K") }
        isShown = false
    }
}
