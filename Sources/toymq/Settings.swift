import Broker
import Logging
import Server
import SystemPackage
import ToolSupport

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
    /// What the two addresses were given with, for errors.
    let addressSource: String
    let metricsSource: String
    var shutdownTimeout: UInt64
    var committers: Int
    var logFormat: LogFormat
    var logLevel: Logger.Level

    init(_ flags: Flags) throws(SettingsError) {
        let values = try SettingValues(file: flags.config)
        dataDirectory = FilePath(
            try values.path("data-dir", flags.dataDir)?.text ?? "toymq-data")
        let address = try values.address("addr", flags.addr)
        server.host = address?.host ?? server.host
        server.port = address?.port ?? server.port
        metrics = try values.address("metrics-addr", flags.metricsAddr).map {
            MetricsAddress(host: $0.host, port: $0.port)
        }
        addressSource = try values.source("addr", flags.addr)
        metricsSource = try values.source("metrics-addr", flags.metricsAddr)
        server.payloadBytes = try values.size(
            "max-payload", flags.maxPayload, 0...ServerOptions.largestPayloadBytes,
            server.payloadBytes)
        server.connectionLimit = try values.number(
            "max-connections", flags.maxConnections, 1...1_000_000, server.connectionLimit)
        server.handshakeTimeout = try values.timeout(
            "handshake-timeout", flags.handshakeTimeout, server.handshakeTimeout)
        server.frameTimeout = try values.timeout(
            "frame-timeout", flags.frameTimeout, server.frameTimeout)
        server.idleTimeout = try values.timeout(
            "idle-timeout", flags.idleTimeout, server.idleTimeout)
        server.loops = try values.number("event-loops", flags.eventLoops, 1...64, server.loops)
        broker.visibilityTimeout = try values.duration(
            "visibility-timeout", flags.visibilityTimeout, broker.visibilityTimeout,
            zero: "every message would be delivered again at once")
        broker.dedupeWindow = try values.number(
            "dedupe-window", flags.dedupeWindow, 0...10_000_000, broker.dedupeWindow)
        broker.topicLimit = try values.number(
            "max-topics", flags.maxTopics, 1...10_000_000, broker.topicLimit)
        broker.consumerLimit = try values.number(
            "max-consumers", flags.maxConsumers, 1...1_000_000, broker.consumerLimit)
        broker.segmentBytes = try values.size(
            "segment-size", flags.segmentSize, 4096...(1 << 40), broker.segmentBytes)
        shutdownTimeout = try values.duration(
            "shutdown-timeout", flags.shutdownTimeout, 10_000_000_000,
            zero: "answering what was taken, and closing the logs, takes some time")
        committers = try values.number("committers", flags.committers, 1...64, 2)
        logFormat = try values.oneOf("log-format", flags.logFormat, LogFormat.text)
        logLevel = try values.oneOf("log-level", flags.logLevel, Logger.Level.info)
        if let file = try values.path("auth-token-file", flags.authTokenFile) {
            server.token = try Settings.token(file)
        }
    }

    private static func token(_ file: Setting) throws(SettingsError) -> [UInt8] {
        do throws(TokenFileError) {
            return Array(try TokenFile.token(file.text, setting: "\(file.source)").utf8)
        } catch {
            throw SettingsError(error.description)
        }
    }
}
