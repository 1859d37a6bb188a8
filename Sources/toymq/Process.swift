import Broker
import NIOConcurrencyHelpers
import DataDirectory
import Glibc
import Logging
import Server
import SystemPackage
import Threads
import ToolSupport
import WAL

/// The life of the program: start, serve, stop. The main thread waits for signals from the
/// beginning to the end; one other thread starts and stops everything.
struct Process {
    private let settings: Settings

    init(_ settings: Settings) { self.settings = settings }

    /// Does not return.
    func run() -> Never {
        // Before any thread is made, so that all of them leave signals to this one.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let settings = settings
        let log = LogWriter(settings.logFormat)
        var logger = Logger(label: "toymq") { _ in
            LineLogHandler(writer: log, format: settings.logFormat, logLevel: settings.logLevel)
        }
        logger.logLevel = settings.logLevel
        let worker = WorkPool(threads: 1)
        let running = Running(settings, log, logger)
        worker.run { running.start() }
        var number: Int32 = 0
        while sigwait(&signals, &number) != 0 {}
        // What is being opened may be left as it is: that is what opening is for.
        guard running.isServing else { running.end(0) }
        logger.info("stopping", metadata: ["signal": "\(number)"])
        worker.run { running.end(running.stop()) }
        // A disk that hangs holds the worker for ever; leaving the logs as they are loses nothing.
        let isSignal = Process.wait(for: signals, nanoseconds: settings.shutdownTimeout)
        // Only the log was left to write.
        if let code = running.exitCode { _exit(code) }
        logger.warning(
            isSignal
                ? "stopped by a second signal"
                : "stopped before the disk had answered: --shutdown-timeout was over")
        log.close()
        _exit(1)
    }

    /// False if none of the signals has come in that time.
    private static func wait(for signals: sigset_t, nanoseconds: UInt64) -> Bool {
        let deadline = MonotonicClock.now() + nanoseconds
        var signals = signals
        while true {
            let now = MonotonicClock.now()
            let left = deadline > now ? deadline - now : 0
            var time = timespec(
                tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
            if sigtimedwait(&signals, nil, &time) > 0 { return true }
            if errno == EAGAIN { return false }
        }
    }

    /// Lets the process have as many descriptors as it may.
    static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// How many descriptors there may be.
    static var descriptorLimit: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return 1024
        }
        return Int(clamping: limit.rlim_cur)
    }
}

/// Broker and server while they run.
private final class Running: Sendable {
    private struct State {
        var broker: Broker?
        var server: Server?
        var exitCode: Int32?
    }
    private let state = NIOLockedValueBox(State())
    private let settings: Settings
    private let log: LogWriter
    private let logger: Logger

    init(_ settings: Settings, _ log: LogWriter, _ logger: Logger) {
        self.settings = settings
        self.log = log
        self.logger = logger
    }

    func start() {
        do {
            let begin = MonotonicClock.now()
            let logger = logger
            let broker = try Broker(
                settings.dataDirectory, options: settings.broker,
                hostOptions: hostOptions(settings), events: { Running.note($0, logger) })
            let recovered = MonotonicClock.now()
            var options = settings.server
            options.acceptLimit = Running.acceptLimit(options)
            let server = try Server(
                broker, options: options, metrics: settings.metrics, logger: logger)
            state.withLockedValue {
                $0.broker = broker
                $0.server = server
            }
            logger.info(
                "serving",
                metadata: [
                    "addr": "\(server.address)", "data": "\(settings.dataDirectory)",
                    "topics": "\(broker.topicCount)",
                    "recovery_ms": "\((recovered - begin) / 1_000_000)",
                ])
            var text = "listening \(server.address)\n"
            if let metrics = server.metricsAddress { text += "metrics \(metrics)\n" }
            do throws(OutputError) {
                try StandardOutput.put(Array(text.utf8))
            } catch {
                // Whoever waits for the line waits for ever; the broker serves all the same.
                logger.warning("the line with the address was not printed: \(error)")
            }
            Supervisor.tell("READY=1")
        } catch let error as ListenError {
            let setting =
                error.purpose == .clients ? settings.addressSource : settings.metricsSource
            logger.critical("cannot start: \(error.text(setting: setting))")
            end(2)
        } catch {
            logger.critical("cannot start: \(error)")
            end(2)
        }
    }

    /// Half of the descriptors, and what connections leave, are the logs': each holds up to three.
    private func hostOptions(_ settings: Settings) -> LogHost.Options {
        var options = LogHost.Options()
        options.committers = settings.committers
        let limit = Process.descriptorLimit
        let connections = min(settings.server.connectionLimit, limit / 2)
        options.openLogs = max(8, min(4_096, (limit - connections - 64) / 3))
        return options
    }

    /// What connections may take of the descriptors: not the 19 that the process itself needs and
    /// the 5 of each event loop, nor those without which no topic could be opened, however many
    /// clients there are.
    private static func acceptLimit(_ options: ServerOptions) -> Int {
        let limit = Process.descriptorLimit
        return max(1, limit - 19 - 5 * options.loops - min(256, limit / 8))
    }

    /// Whether there is anything to stop. What is started later is left as it is, too.
    var isServing: Bool { state.withLockedValue { $0.server != nil } }

    /// What the process ends with, as soon as that is known.
    var exitCode: Int32? { state.withLockedValue { $0.exitCode } }

    /// Ends the process when the log is written.
    func end(_ code: Int32) -> Never {
        state.withLockedValue { $0.exitCode = code }
        log.close()
        exit(code)
    }

    func stop() -> Int32 {
        Supervisor.tell("STOPPING=1")
        let (broker, server) = state.withLockedValue { ($0.broker, $0.server) }
        // The last tenth is for what is under way when it is over.
        let timeout = settings.shutdownTimeout - settings.shutdownTimeout / 10
        let deadline = MonotonicClock.now() + timeout
        let isDone = server?.stop(timeout: timeout) ?? true
        let left = broker?.close(deadline: deadline)
        let (logs, positions) = (left?.logs ?? 0, left?.positions ?? 0)
        if !isDone {
            logger.warning("stopped before everything was answered: --shutdown-timeout was over")
        } else {
            var numbers: Logger.Metadata = [:]
            if logs > 0 { numbers["logs_not_closed"] = "\(logs)" }
            if positions > 0 { numbers["positions_not_written"] = "\(positions)" }
            logger.info("stopped", metadata: numbers)
        }
        return isDone && positions == 0 ? 0 : 1
    }

    private static func note(_ event: BrokerEvent, _ logger: Logger) {
        switch event {
        case .topicOpened(let topic, let report):
            switch report.tail {
            case .torn(let bytes, let kept, _):
                logger.warning(
                    "a torn tail was set aside; nothing in it was acknowledged",
                    metadata: ["topic": "\(topic)", "bytes": "\(bytes)", "kept": "\(kept)"])
            case .clean, .zeros, .unfinishedSegment:
                logger.debug(
                    "topic opened",
                    metadata: ["topic": "\(topic)", "next_id": "\(report.ids.upperBound)"])
            }
        case .topicClosed(let topic, let text):
            logger.error("topic stays closed: \(text)", metadata: ["topic": "\(topic)"])
        case .topicFailed(let topic, let text):
            logger.error("topic failed: \(text)", metadata: ["topic": "\(topic)"])
        case .offsetsNotWritten(let topic, let text):
            logger.error(
                "positions were not written, and will be tried again: \(text)",
                metadata: ["topic": "\(topic)"])
        case .offsetsLeft(let topic, let text):
            logger.error(
                """
                positions were not written before the end; what was acknowledged since they last \
                were will be delivered again: \(text)
                """, metadata: ["topic": "\(topic)"])
        }
    }
}
