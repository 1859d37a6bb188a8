import ChaosHarness
import Foundation
import SystemPackage
import Testing
import ToyMQClient

/// A broker of its own for one test: a real process, on a port that the kernel chose.
final class TestBroker {
    let root: URL
    let victim: ProcessVictim
    let port: Int

    init(_ arguments: String...) throws {
        root = FileManager.default.temporaryDirectory
            .appendingPathComponent("toymq-client-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: false)
        victim = ProcessVictim(
            path: program("toymq"), data: FilePath(root.path).appending("data"),
            log: FilePath(root.path).appending("log"), arguments: arguments)
        port = try victim.start()
    }

    deinit {
        try? victim.crash()
        try? FileManager.default.removeItem(at: root)
    }

    /// SIGKILL, and up again on the same data and port.
    func crashAndRestart() throws {
        try victim.crash()
        _ = try victim.start()
    }

    /// For this broker, and quick to come back.
    var options: ClientOptions {
        var options = ClientOptions(port: port)
        options.reconnect.firstPause = .milliseconds(5)
        options.reconnect.longestPause = .milliseconds(50)
        return options
    }
}

/// Where a program of this build is.
func program(_ name: String) -> String {
    let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return ((own ?? CommandLine.arguments[0]) as NSString).deletingLastPathComponent + "/" + name
}

/// Runs a program with this on its standard input.
func run(
    _ name: String, _ arguments: [String], input: String = ""
) throws -> (exit: Int32, output: String, error: String) {
    let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("toymq-run-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = ["in", "out", "err"].map { folder.appendingPathComponent($0) }
    for file in files { try Data().write(to: file) }
    try Data(input.utf8).write(to: files[0])
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program(name))
    process.arguments = arguments
    process.standardInput = try FileHandle(forReadingFrom: files[0])
    process.standardOutput = try FileHandle(forWritingTo: files[1])
    process.standardError = try FileHandle(forWritingTo: files[2])
    try process.run()
    process.waitUntilExit()
    let texts = try files[1...].map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
    return (process.terminationStatus, texts[0], texts[1])
}

func json(_ text: some StringProtocol) -> [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any] ?? [:]
}
