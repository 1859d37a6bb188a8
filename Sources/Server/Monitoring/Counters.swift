import Synchronization

/// What has happened since the start. Written by the loops, read by whoever asks.
final class Counters: Sendable {
    /// One number that only grows.
    struct Counter: ~Copyable {
        private let value = Atomic<UInt64>(0)
        var now: UInt64 { value.load(ordering: .relaxed) }
        func add(_ count: Int = 1) {
            value.wrappingAdd(UInt64(count), ordering: .relaxed)
        }
    }

    /// How many there are of something just now. One number for those that come and those that go:
    /// of two, read one after the other, more may have gone than had come.
    struct Gauge: ~Copyable {
        private let value = Atomic<Int>(0)
        var now: Int { value.load(ordering: .relaxed) }
        func enter() { value.wrappingAdd(1, ordering: .relaxed) }
        func leave() { value.wrappingSubtract(1, ordering: .relaxed) }
    }

    let connections = Counter()
    let openConnections = Gauge()
    /// Connections that were told BUSY.
    let refusedConnections = Counter()
    let acceptErrors = Counter()
    let commands = Counter()
    let published = Counter()
    let duplicates = Counter()
    let publishErrors = Counter()
    let delivered = Counter()
    let redelivered = Counter()
    let acknowledged = Counter()
    let rejected = Counter()
    /// Commands answered with ERR that were not publishes.
    let errors = Counter()
    /// Connections that ended between commands.
    let cleanEnds = Counter()
    /// Connections that ended inside a command.
    let tornEnds = Counter()
    let timeouts = Counter()
    let bytesIn = Counter()
    let bytesOut = Counter()

    /// Name, help text and value of everything that only grows.
    var totals: [(name: String, help: String, value: UInt64)] {
        [
            ("connections_total", "Connections accepted", connections.now),
            ("connections_refused_total", "Connections over the limit", refusedConnections.now),
            ("accept_errors_total", "Accepts that failed", acceptErrors.now),
            ("commands_total", "Commands understood", commands.now),
            ("published_total", "Messages made durable for publishers", published.now),
            ("duplicates_total", "Publishes of a known key", duplicates.now),
            ("publish_errors_total", "Publishes answered with ERR", publishErrors.now),
            ("delivered_total", "Messages sent to consumers", delivered.now),
            ("redelivered_total", "Messages sent once more", redelivered.now),
            ("acknowledged_total", "Messages acknowledged", acknowledged.now),
            ("rejected_total", "Messages given back with NACK", rejected.now),
            ("errors_total", "Other commands answered with ERR", errors.now),
            ("ends_clean_total", "Connections ended between commands", cleanEnds.now),
            ("ends_torn_total", "Connections ended inside a command", tornEnds.now),
            ("timeouts_total", "Connections closed by a timeout", timeouts.now),
            ("received_bytes_total", "Bytes received", bytesIn.now),
            ("sent_bytes_total", "Bytes sent", bytesOut.now),
        ]
    }
}
