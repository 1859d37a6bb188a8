import Glibc
import SystemPackage
import WAL

/// The other process of the tests.
///
///     LogAppender append DIR SEED   appends with 16 callers until it is killed; prints a line for
///                                   each acknowledged message: id, size and hash of the payload
///     LogAppender hold DIR          opens the log and holds it until standard input ends
///     LogAppender fill DIR          appends until its file may not grow, and again when it may
///     LogAppender open DIR          opens the log, closes it again, and says how that went
@main struct LogAppender {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 3 else {
            say("usage: LogAppender append|hold|fill|open DIR [SEED]")
            exit(64)
        }
        let directory = FilePath(arguments[2])
        let host = LogHost()
        var options = LogOptions()
        // Small, so that kills meet seals too.
        options.segmentBytes = 64 << 10
        let log: Log
        do {
            log = try Log.open(directory, host: host, options: options)
        } catch {
            say("refused: \(error)")
            exit(1)
        }
        say("opened \(log.durable.upperBound)")
        switch arguments[1] {
        case "append": try await append(to: log, seed: UInt64(arguments.last ?? "") ?? 0)
        case "fill": try fill(log)
        case "hold": while readLine() != nil {}
        default: break
        }
        try log.close()
        host.shutdown()
        say("closed")
    }

    private static func append(to log: Log, seed: UInt64) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for caller in 0..<16 {
                group.addTask {
                    var numbers = Numbers(state: seed &* 16 &+ UInt64(caller))
                    while true {
                        let payload = numbers.payload()
                        let id = try await log.append(Message(payload: payload.span.bytes))
                        say("\(id) \(payload.count) \(Numbers.hash(payload))")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private static func fill(_ log: Log) throws {
        func append(_ count: Int) throws(LogError) {
            let payload = [UInt8](repeating: 120, count: count)
            _ = try log.appendBlocking(Message(payload: payload.span.bytes))
        }
        // An error of the call, and no death.
        signal(SIGXFSZ, SIG_IGN)
        let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
        var limit = rlimit()
        getrlimit(resource, &limit)
        let before = limit
        limit.rlim_cur = 50_001
        setrlimit(resource, &limit)
        do {
            while true { try append(10_000) }
        } catch {
            say("\(log.durable.upperBound) durable, then \(error)")
        }
        // A small one still fits.
        try append(1)
        limit = before
        setrlimit(resource, &limit)
        try append(10_000)
        say("\(log.durable.upperBound) durable")
    }

    /// One line with one call, so that it arrives whole or not at all.
    static func say(_ line: String) {
        var text = line + "\n"
        text.withUTF8 { _ = write(1, $0.baseAddress, $0.count) }
    }
}

/// Payloads that are different for every seed.
struct Numbers {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state ^ (state >> 29)) &* 0xBF58_476D_1CE4_E5B9
    }

    mutating func payload() -> [UInt8] {
        let kind = next() >> 60
        let count = kind == 0 ? 0 : kind == 1 ? Int(next() >> 51) : Int(next() >> 56)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count { withUnsafeBytes(of: next()) { bytes.append(contentsOf: $0) } }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    /// FNV-1a, 64 bits.
    static func hash(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
