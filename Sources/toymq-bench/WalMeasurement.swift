import SystemPackage
import Threads
import WAL

/// What is measured in one go: so many callers, appending in one way, messages of one size.
struct WalCase {
    let callers: Int
    let style: Style
    let payloadBytes: Int
}

/// One slice of the log and the slice of the raw limit behind it.
struct WalPair {
    let messages: UInt64
    let commits: UInt64
    let seconds: Double
    let cpuMicroseconds: Double
    let writtenBytes: UInt64?
    let messagesPerCommit: Double
    let raw: RawLimit.Slice

    var messagesPerSecond: Double { Double(messages) / seconds }
    /// The raw limit's commits carry as many messages as the log's did.
    var rawMessagesPerSecond: Double { raw.commitsPerSecond * messagesPerCommit }
    var ratio: Double { messagesPerSecond / rawMessagesPerSecond }
}

/// All pairs of a case.
struct WalResult {
    let wal: WalCase
    let pairs: [WalPair]
    let latency: Histogram
    let rawLatency: Histogram

    func spread(_ figure: (WalPair) -> Double) -> Spread { Spread(pairs.map(figure)) }
}

/// Measures the log in slices, each followed by one of the raw limit with commits as large.
struct WalMeasurement {
    let directory: FilePath
    let host: LogHost
    let seconds: Double
    let repetitions: Int

    /// The log and its file come into their stride before anything is measured, but not for ever.
    private var warmUpSeconds: Double { min(seconds, 0.2) }

    func measure(_ wal: WalCase, against limit: inout RawLimit) throws -> WalResult {
        var options = LogOptions()
        // Every caller may have a message waiting, and one in the commit before.
        let frames = 2 * wal.callers * (wal.payloadBytes + 1024)
        options.pendingBytes = max(options.pendingBytes, frames)
        let path = directory.appending("log")
        defer { removeTree(path) }
        let log = try Log.open(path, host: host, options: options)
        let callers = Callers(
            log: log, style: wal.style, count: wal.callers,
            payload: [UInt8](repeating: 0x5a, count: wal.payloadBytes))
        _ = try callers.run(until: MonotonicClock.now() + UInt64(warmUpSeconds * 1e9))
        var pairs: [WalPair] = []
        var latency = Histogram()
        var rawLatency = Histogram()
        for _ in 0..<repetitions {
            // Between the slices: the disk need not hold more than a segment or two.
            try log.drop(below: log.durable.upperBound)
            let pair = try measure(callers, &limit, &latency)
            rawLatency.add(pair.raw.latency)
            pairs.append(pair)
        }
        try log.close()
        return WalResult(wal: wal, pairs: pairs, latency: latency, rawLatency: rawLatency)
    }

    private func measure(
        _ callers: Callers, _ limit: inout RawLimit, _ latency: inout Histogram
    ) throws -> WalPair {
        let log = callers.log
        let before = (usage: Usage.now(), statistics: log.statistics)
        let start = MonotonicClock.now()
        latency.add(try callers.run(until: start + UInt64(seconds * 1e9)))
        let end = MonotonicClock.now()
        let after = (usage: Usage.now(), statistics: log.statistics)
        let commits = after.statistics.commits - before.statistics.commits
        let messages = after.statistics.messages - before.statistics.messages
        let bytes = after.statistics.bytes - before.statistics.bytes
        guard commits > 0 else { throw BenchError("no commit in a slice; give more --seconds") }
        let raw = try limit.measure(
            bytesPerCommit: Int((Double(bytes) / Double(commits)).rounded()), seconds: seconds)
        return WalPair(
            messages: messages, commits: commits, seconds: Double(end - start) / 1e9,
            cpuMicroseconds: after.usage.cpuMicroseconds - before.usage.cpuMicroseconds,
            writtenBytes: after.usage.writtenBytes.flatMap { end in
                before.usage.writtenBytes.map { end - $0 }
            },
            messagesPerCommit: Double(messages) / Double(commits), raw: raw)
    }
}
