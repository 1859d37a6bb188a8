import ArgumentParser

/// The command line. What is not given here is looked for in the environment and in the file.
struct Flags: ParsableArguments {
    @Option(help: "A JSON file with settings.")
    var config: String?

    @Option(help: "Where the data is kept; made if its parent exists. (default: toymq-data)")
    var dataDir: String?

    @Option(
        help:
            "Address and port to listen on; port 0 lets the kernel choose. (default: 127.0.0.1:6789)"
    )
    var addr: String?

    @Option(help: "Address and port for /metrics, /healthz and /readyz. (default: none)")
    var metricsAddr: String?

    @Option(
        help: "A file whose first line clients have to show with HELLO. (default: none)")
    var authTokenFile: String?

    @Option(help: "The largest payload, at most 3MiB. (default: 1MiB)")
    var maxPayload: String?

    @Option(
        help:
            "How long a message may stay unacknowledged before it is delivered again. (default: 30s)"
    )
    var visibilityTimeout: String?

    @Option(help: "How many dedupe keys a topic remembers. (default: 65536)")
    var dedupeWindow: String?

    @Option(help: "How long stopping may take, more than 0. (default: 10s)")
    var shutdownTimeout: String?

    @Option(help: "How many connections there may be. (default: 10000)")
    var maxConnections: String?

    @Option(help: "How many topics there may be. (default: 100000)")
    var maxTopics: String?

    @Option(help: "How many consumers a topic may have. (default: 10000)")
    var maxConsumers: String?

    @Option(
        help:
            "How long a connection may go without its first command; 0 is for ever. (default: 60s)")
    var handshakeTimeout: String?

    @Option(help: "How long a command may stand half sent; 0 is for ever. (default: 30s)")
    var frameTimeout: String?

    @Option(
        help:
            "How long a connection without a subscription may say nothing; 0 is for ever. (default: 0)"
    )
    var idleTimeout: String?

    @Option(help: "The size at which a segment is sealed. (default: 256MiB)")
    var segmentSize: String?

    @Option(help: "Event loops. (default: 1)")
    var eventLoops: String?

    @Option(help: "Threads that commit. (default: 2)")
    var committers: String?

    @Option(help: "text or json. (default: text)")
    var logFormat: String?

    @Option(help: "trace, debug, info, notice, warning, error or critical. (default: info)")
    var logLevel: String?
}
