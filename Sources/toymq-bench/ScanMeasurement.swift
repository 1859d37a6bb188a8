import CZlib
import Synchronization
import WAL

/// Opening the topics and checking the same bytes with zlib, in turns.
struct ScanResult {
    let threads: Int
    /// Bytes per second, one figure for each turn.
    let opening: [Double]
    let zlib: [Double]

    var ratio: Spread { Spread(zip(opening, zlib).map { $0 / $1 }) }
}

/// Measures scans with the topics that it is given.
struct ScanMeasurement {
    let topics: [ScanTopic]
    let host: LogHost

    private var bytes: Int { topics.reduce(0) { $0 + $1.bytes } }

    /// Each thread has as many topics as the others.
    func measure(threads: Int, repetitions: Int) throws -> ScanResult {
        var opening: [Double] = []
        var zlib: [Double] = []
        // The first turn only brings the files into the page cache.
        for turn in 0...repetitions {
            let opened = try open(threads)
            let summed = try checksum(threads)
            if turn == 0 { continue }
            opening.append(Double(bytes) / opened)
            zlib.append(Double(bytes) / summed)
        }
        return ScanResult(threads: threads, opening: opening, zlib: zlib)
    }

    private func share(_ thread: Int, of threads: Int) -> [ScanTopic] {
        topics.enumerated().filter { $0.offset % threads == thread }.map(\.element)
    }

    /// How many seconds it takes to open all topics.
    private func open(_ threads: Int) throws -> Double {
        let result = Mutex<(logs: [Log], failure: OpenError?)>(([], nil))
        let start = monotonicNanoseconds()
        try onThreads(threads) { thread in
            for topic in share(thread, of: threads) {
                do throws(OpenError) {
                    let log = try Log.open(topic.directory, host: host)
                    result.withLock { $0.logs.append(log) }
                } catch {
                    result.withLock { $0.failure = error }
                }
            }
        }
        let seconds = Double(monotonicNanoseconds() - start) / 1e9
        let (logs, failure) = result.withLock { $0 }
        for log in logs { try log.close() }
        if let failure { throw failure }
        return seconds
    }

    /// How many seconds zlib takes for the same bytes in the same pieces.
    private func checksum(_ threads: Int) throws -> Double {
        let sum = Mutex<UInt>(0)
        let start = monotonicNanoseconds()
        try onThreads(threads) { thread in
            var total: UInt = 0
            for topic in share(thread, of: threads) {
                topic.forEachPiece { piece in
                    let bytes = piece.assumingMemoryBound(to: UInt8.self)
                    total &+= crc32_z(0, bytes.baseAddress, bytes.count)
                }
            }
            sum.withLock { [total] in $0 &+= total }
        }
        let seconds = Double(monotonicNanoseconds() - start) / 1e9
        // The sum is looked at, so that no compiler leaves the work out.
        guard sum.withLock({ $0 }) != 0 else { throw BenchError("checksums that sum up to 0") }
        return seconds
    }
}
