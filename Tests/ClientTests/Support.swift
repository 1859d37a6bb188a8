import ChaosHarness
import Foundation
import ProcessSupport
import SystemPackage
import Testing
import TestSupport
import ToyMQClient

/// A broker of its own for one test: a real process, on a port that the kernel chose.
final class TestBroker {
    let root: TemporaryDirectory
    let victim: ProcessVictim
    let port: Int

    init(_ arguments: String...) throws {
        root = try TemporaryDirectory()
        victim = ProcessVictim(
            path: builtProgram("toymq"), data: root.appending("data"),
            log: root.appending("log"),
            // On a busy machine a test may wait longer for its turn than a message for its
            // consumer.
            arguments: ["--visibility-timeout", "600s"] + arguments)
        port = try victim.start()
    }

    deinit { try? victim.crash() }

    /// SIGKILL, and up again on the same data and port.
    func crashAndRestart() throws {
        try victim.crash()
        _ = try victim.start()
    }

    /// For this broker, and quick to come back.
    var options: ClientOptions {
        var options = ClientOptions(port: port)
        options.connectTimeout = .seconds(60)
        options.reconnect.firstPause = .milliseconds(5)
        options.reconnect.longestPause = .milliseconds(50)
        return options
    }
}

/// Runs a program of this build with this on its standard input.
func run(
    _ name: String, _ arguments: [String], input: String = ""
) throws -> FinishedProcess {
    try FinishedProcess([builtProgram(name)] + arguments, input: input)
}

/// Runs a command of toymqctl with this broker.
func toymqctl(
    _ broker: TestBroker, _ arguments: String..., input: String = ""
) throws -> FinishedProcess {
    try run(
        "toymqctl", [arguments[0], "--addr", "127.0.0.1:\(broker.port)"] + arguments.dropFirst(),
        input: input)
}

func json(_ text: some StringProtocol) -> [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any] ?? [:]
}
