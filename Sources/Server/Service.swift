import Broker
import Logging
import Synchronization
import Threads

/// What all connections share. Everything in it may be used on any thread.
final class Service: Sendable {
    let broker: Broker
    let options: ServerOptions
    let logger: Logger
    let readers: WorkPool
    let counters = Counters()
    let started: UInt64

    init(_ broker: Broker, _ options: ServerOptions, _ logger: Logger) {
        self.broker = broker
        self.options = options
        self.logger = logger
        readers = WorkPool(threads: options.readers)
        started = MonotonicClock.now()
    }
}
