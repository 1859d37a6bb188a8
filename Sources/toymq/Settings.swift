import Broker
import FoundationEssentials
import Glibc
import Logging
import Server
import SystemPackage

/// A setting that cannot be used.
struct SettingsError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// All settings: flags before environment variables before the file before defaults.
struct Settings: Sendable {
    var dataDirectory: FilePath
    var broker = BrokerOptions()
    var server = ServerOptions()
    var metrics: MetricsAddress?
    var shutdownTimeout: UInt64
    var committers: Int
    var logFormat: LogFormat
    var logLevel: Logger.Level

    init(_ flags: Flags) throws(SettingsError) {
        let values = try Values(file: flags.config)
        dataDirectory = FilePath(values.text("data-dir", flags.dataDir) ?? "toymq-data")
        let address = try values.address("addr", flags.addr)
        server.host = address?.host ?? server.host
        server.port = address?.port ?? server.port
        metrics = try values.address("metrics-addr", flags.metricsAddr).map {
            MetricsAddress(host: $0.host, port: $0.port)
        }
        server.payloadBytes = try values.size(
            "max-payload", flags.maxPayload, 0...3 << 20, server.payloadBytes)
        server.connectionLimit = try values.number(
            "max-connections", flags.maxConnections, 1...1_000_000, server.connectionLimit)
        server.handshakeTimeout = try values.duration(
            "handshake-timeout", flags.handshakeTimeout, server.handshakeTimeout)
        server.frameTimeout = try values.duration(
            "frame-timeout", flags.frameTimeout, server.frameTimeout)
        server.idleTimeout = try values.duration(
            "idle-timeout", flags.idleTimeout, server.idleTimeout)
        server.loops = try values.number("event-loops", flags.eventLoops, 1...64, server.loops)
        broker.visibilityTimeout = try values.duration(
            "visibility-timeout", flags.visibilityTimeout, broker.visibilityTimeout)
        guard broker.visibilityTimeout > 0 else {
            throw SettingsError("--visibility-timeout has to be more than 0")
        }
        broker.dedupeWindow = try values.number(
            "dedupe-window", flags.dedupeWindow, 0...10_000_000, broker.dedupeWindow)
        broker.topicLimit = try values.number(
            "max-topics", flags.maxTopics, 1...10_000_000, broker.topicLimit)
        broker.segmentBytes = try values.size(
            "segment-size", flags.segmentSize, 4096...(1 << 40), broker.segmentBytes)
        shutdownTimeout = try values.duration(
            "shutdown-timeout", flags.shutdownTimeout, 10_000_000_000)
        committers = try values.number("committers", flags.committers, 1...64, 2)
        logFormat = try values.oneOf("log-format", flags.logFormat, LogFormat.text)
        logLevel = try values.oneOf("log-level", flags.logLevel, Logger.Level.info)
        if let file = values.text("auth-token-file", flags.authTokenFile) {
            server.token = try Settings.token(FilePath(file))
        }
    }

    /// The first line of the file, without spaces around it.
    private static func token(_ path: FilePath) throws(SettingsError) -> [UInt8] {
        guard let text = readFile(path) else {
            throw SettingsError("--auth-token-file: cannot read \(path): \(Errno(rawValue: errno))")
        }
        let line = text.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        guard !line.isEmpty, line.count <= 4096, line.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw SettingsError(
                "--auth-token-file: \(path) has to begin with a token of visible ASCII letters")
        }
        return Array(line)
    }
}

/// Where settings are looked up: a flag that was given, then the environment, then the file.
private struct Values {
    /// Every setting that the environment or the file may have.
    private static let names: Set<String> = [
        "data-dir", "addr", "metrics-addr", "auth-token-file", "max-payload", "visibility-timeout",
        "dedupe-window", "shutdown-timeout", "max-connections", "max-topics", "handshake-timeout",
        "frame-timeout", "idle-timeout", "segment-size", "event-loops", "committers", "log-format",
        "log-level",
    ]

    private let file: [String: String]

    init(file flag: String?) throws(SettingsError) {
        guard let path = flag ?? Values.environment("config") else {
            file = [:]
            return
        }
        file = try Values.load(path)
    }

    private static func load(_ path: String) throws(SettingsError) -> [String: String] {
        guard let bytes = readFile(FilePath(path)) else {
            throw SettingsError("--config: cannot read \(path): \(Errno(rawValue: errno))")
        }
        let members: [String: Scalar]
        do {
            members = try JSONDecoder().decode([String: Scalar].self, from: Data(bytes))
        } catch {
            throw SettingsError(
                "--config: \(path) is not one JSON object of strings and numbers: \(error)")
        }
        // A setting that is misspelt would otherwise be one that does nothing.
        if let unknown = members.keys.filter({ !names.contains($0) }).min() {
            throw SettingsError("--config: \(path) has a setting that there is not: '\(unknown)'")
        }
        return members.mapValues(\.text)
    }

    private static func environment(_ name: String) -> String? {
        let letters = name.uppercased().map { $0 == "-" ? "_" : $0 }
        return getenv("TOYMQ_" + String(letters)).map { String(cString: $0) }
    }

    func text(_ name: String, _ flag: String?) -> String? {
        precondition(Values.names.contains(name), "\(name) is not in the list")
        return flag ?? Values.environment(name) ?? file[name]
    }

    func number(
        _ name: String, _ flag: String?, _ range: ClosedRange<Int>, _ standard: Int
    ) throws(SettingsError) -> Int {
        guard let text = text(name, flag) else { return standard }
        guard let number = Int(text), range.contains(number) else {
            throw SettingsError(
                "--\(name): '\(text)' is no number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func size(
        _ name: String, _ flag: String?, _ range: ClosedRange<Int>, _ standard: Int
    ) throws(SettingsError) -> Int {
        guard let text = text(name, flag) else { return standard }
        let units: [(String, Int)] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)]
        for (unit, shift) in units where text.hasSuffix(unit) {
            guard let number = Int(text.dropLast(unit.count)), number >= 0,
                number <= range.upperBound >> shift, range.contains(number << shift)
            else { break }
            return number << shift
        }
        throw SettingsError(
            "--\(name): '\(text)' is no size from \(range.lowerBound) to \(range.upperBound) "
                + "bytes, such as 65536 or 64KiB")
    }

    /// Nanoseconds.
    func duration(
        _ name: String, _ flag: String?, _ standard: UInt64
    ) throws(SettingsError) -> UInt64 {
        guard let text = text(name, flag) else { return standard }
        if text == "0" { return 0 }
        let units: [(String, UInt64)] = [
            ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
            ("h", 3_600_000_000_000),
        ]
        for (unit, factor) in units where text.hasSuffix(unit) {
            guard let number = UInt64(text.dropLast(unit.count)), number <= 1_000_000 else {
                continue
            }
            return number * factor
        }
        throw SettingsError("--\(name): '\(text)' is no duration, such as 500ms, 30s, 2m or 1h")
    }

    func oneOf<T: RawRepresentable & CaseIterable>(
        _ name: String, _ flag: String?, _ standard: T
    ) throws(SettingsError) -> T where T.RawValue == String {
        guard let text = text(name, flag) else { return standard }
        guard let value = T(rawValue: text) else {
            let all = T.allCases.map(\.rawValue).joined(separator: ", ")
            throw SettingsError("--\(name): '\(text)' is none of \(all)")
        }
        return value
    }

    /// `127.0.0.1:6789`, `[::1]:6789`
    func address(
        _ name: String, _ flag: String?
    ) throws(SettingsError) -> (host: String, port: Int)? {
        guard let text = text(name, flag) else { return nil }
        guard let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else {
            throw SettingsError("--\(name): '\(text)' is not ADDRESS:PORT")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        return (host.isEmpty ? "0.0.0.0" : host, port)
    }
}

/// A string or a whole number of the file.
private struct Scalar: Decodable {
    let text: String

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int.self) {
            text = String(number)
        } else {
            text = try container.decode(String.self)
        }
    }
}

/// The bytes of a small file; nil if it cannot be read, and errno tells why.
private func readFile(_ path: FilePath) -> [UInt8]? {
    guard let file = try? FileDescriptor.open(path, .readOnly) else { return nil }
    defer { try? file.close() }
    return try? [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, count in
        count = try file.read(into: UnsafeMutableRawBufferPointer(buffer))
    }
}
