import ArgumentParser
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

    private func address() throws -> HostPort {
        let address = HostPort(addr, ports: 1...65_535, defaultHost: "127.0.0.1")
        guard let address else { throw ValidationError("--addr: '\(addr)' is not ADDRESS:PORT") }
        return address
    }

    /// Runs `body` with a client and ends the process as the contract says.
    func withClient(
        adjust: (inout ClientOptions) -> Void = { _ in }, _ body: (ToyMQClient) throws -> Outcome
    ) throws {
        let address = try address()
        var options = ClientOptions(host: address.host, port: address.port)
        options.reconnect.attempts = attempts
        options.reconnect.firstPause = .milliseconds(100)
        let outcome: Outcome
        do {
            options.token = try tokenFile.map {
                try TokenFile.token($0, setting: "--token-file")
            }
            adjust(&options)
            let client = ToyMQClient(options)
            defer { waitFor { await client.close() } }
            outcome = try body(client)
        } catch let error as OutputError {
            // What was asked for was done as far as its results could be told.
            voice.say("\(error)")
            outcome = .incomplete
        } catch {
            voice.say("\(error)")
            outcome = .failed
        }
        try outcome.exit()
    }
}

/// How far something long has come: one line of a terminal, written over again and again.
final class Counter {
    private let what: String
    private var isShown = false
    private var nextTime = ContinuousClock.now + .milliseconds(500)

    init(_ what: String) { self.what = what }

    func show(_ count: Int) {
        guard StandardStream.error.isTerminal, ContinuousClock.now >= nextTime else { return }
        nextTime = .now + .milliseconds(200)
        isShown = true
        StandardStream.error.put("\r\u{1b}[K\(count) \(what)")
    }

    func clear() {
        if isShown { StandardStream.error.put("\r\u{1b}[K") }
        isShown = false
    }
}
