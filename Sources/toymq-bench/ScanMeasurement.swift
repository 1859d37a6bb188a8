import CZlib
import NIOConcurrencyHelpers
import Threads
import WAL

/// Opening the topics and checking the same bytes with zlib, in turns.
struct ScanResult {
    /// How long one turn took.
    struct Time {
        let seconds: Double
        /// User and system time of all threads.
        let cpuSeconds: Double
    }

    let threads: Int
    /// The host's threads helped; zlib had none of that.
    let isHelped: Bool
    let bytes: Int
    let opening: [Time]
    let zlib: [Time]

    /// Speed of opening by speed of zlib.
    var ratio: Spread { Spread(zip(opening, zlib).map { $1.seconds / $0.seconds }) }
    /// The same with CPU time, which other processes on the machine disturb less.
    var cpuRatio: Spread { Spread(zip(opening, zlib).map { $1.cpuSeconds / $0.cpuSeconds }) }

    func bytesPerSecond(_ times: [Time]) -> Spread {
        Spread(times.map { Double(bytes) / $0.seconds })
    }
}

/// Measures scans with the topics that it is given.
struct ScanMeasurement {
    let topics: [ScanTopic]
    /// Opens without help: what one thread does is measured.
    let host: LogHost
    /// Its threads help who opens a log.
    let helpingHost: LogHost

    private var bytes: Int { topics.reduce(0) { $0 + $1.bytes } }

    /// Each thread has as many topics as the others. The threads of the host help if asked to.
    func measure(threads: Int, isHelped: Bool, repetitions: Int) throws -> ScanResult {
        var opening: [ScanResult.Time] = []
        var zlib: [ScanResult.Time] = []
        // The first turn only brings the files into the page cache.
        for turn in 0...repetitions {
            let opened = try open(threads, isHelped ? helpingHost : host)
            let summed = try checksum(threads)
            if turn == 0 { continue }
            opening.append(opened)
            zlib.append(summed)
        }
        return ScanResult(
            threads: threads, isHelped: isHelped, bytes: bytes, opening: opening, zlib: zlib)
    }

    private func timed(_ body: () throws -> Void) rethrows -> ScanResult.Time {
        let before = Usage.now()
        let start = MonotonicClock.now()
        try body()
        let end = MonotonicClock.now()
        return ScanResult.Time(
            seconds: Double(end - start) / 1e9,
            cpuSeconds: (Usage.now().cpuMicroseconds - before.cpuMicroseconds) / 1e6)
    }

    private func share(_ thread: Int, of threads: Int) -> [ScanTopic] {
        topics.enumerated().filter { $0.offset % threads == thread }.map(\.element)
    }

    /// How long it takes to open all topics.
    private func open(_ threads: Int, _ host: LogHost) throws -> ScanResult.Time {
        let result = NIOLockedValueBox<(logs: [Log], failure: OpenError?)>(([], nil))
        let time = try timed {
            try onThreads(threads) { thread in
                for topic in share(thread, of: threads) {
                    do throws(OpenError) {
                        let log = try Log.open(topic.directory, host: host)
                        result.withLockedValue { $0.logs.append(log) }
                    } catch {
                        result.withLockedValue { $0.failure = error }
                    }
                }
            }
        }
        let (logs, failure) = result.withLockedValue { $0 }
        for log in logs { try log.close() }
        if let failure { throw failure }
        return time
    }

    /// How long zlib takes for the same bytes in the same pieces.
    private func checksum(_ threads: Int) throws -> ScanResult.Time {
        let sum = NIOLockedValueBox<UInt>(0)
        let time = try timed {
            try onThreads(threads) { thread in
                var total: UInt = 0
                for topic in share(thread, of: threads) {
                    topic.forEachPiece { piece in
                        let bytes = piece.assumingMemoryBound(to: UInt8.self)
                        total &+= crc32_z(0, bytes.baseAddress, bytes.count)
                    }
                }
                sum.withLockedValue { [total] in $0 &+= total }
            }
        }
        // The sum is looked at, so that no compiler leaves the work out.
        guard sum.withLockedValue({ $0 }) != 0 else {
            throw BenchError("checksums that sum up to 0")
        }
        return time
    }
}
