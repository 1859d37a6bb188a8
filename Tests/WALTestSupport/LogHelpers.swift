import SystemPackage
package import WAL

/// A message as a reader saw it.
package struct SeenMessage: Hashable, Sendable {
    package var id: UInt64
    package var timestamp: UInt64
    package var message: TestMessage
}

extension Log {
    /// The payloads of all messages that are durable.
    package func texts() throws(LogError) -> [String] {
        try contents().map { String(decoding: $0.message.payload, as: UTF8.self) }
    }

    /// Everything from `id` on that is durable, read to the end.
    package func contents(
        from id: UInt64 = 0, upTo limit: Int = .max
    ) throws(LogError) -> [SeenMessage] {
        var reader = reader(from: MessageID(id))
        var seen: [SeenMessage] = []
        while seen.count < limit {
            let count = try reader.read(upTo: min(limit - seen.count, 1000)) { message in
                seen.append(
                    SeenMessage(
                        id: message.id.rawValue, timestamp: message.timestamp,
                        message: TestMessage(
                            message.payload.copied(),
                            key: message.hasKey ? message.key.copied() : nil,
                            headers: message.headers)))
                return .next
            }
            if count == 0 { break }
        }
        return seen
    }

    /// Appends and blocks until it is durable.
    @discardableResult
    package func append(_ message: TestMessage) throws(LogError) -> UInt64 {
        try message.withMessage { (message) throws(LogError) in
            try appendBlocking(message).rawValue
        }
    }

    /// Appends; the result arrives when the message is durable or has failed.
    package func appendLater(_ message: TestMessage) throws(LogError) -> Outcome {
        let outcome = Outcome()
        try message.withMessage { (message) throws(LogError) in
            try append(message) { result in
                outcome.result.update { $0 = result }
            }
        }
        return outcome
    }
}

/// How an append ends.
package final class Outcome: Sendable {
    package let result = Observed<Result<MessageID, LogError>?>(nil)

    package init() {}

    package var id: UInt64? {
        if case .success(let id)? = result.value { return id.rawValue }
        return nil
    }
    package var error: LogError? {
        if case .failure(let error)? = result.value { return error }
        return nil
    }
    package var isOver: Bool { result.value != nil }
    package func wait() -> Bool { result.wait { $0 != nil } }
}

extension LogHost {
    /// A host on a disk of the test, with threads of its own or, with 0, none: `step` runs it.
    package static func on(
        _ disk: any Disk, threads: Int = 0, _ change: (inout Options) -> Void = { _ in }
    ) -> LogHost {
        var options = Options()
        change(&options)
        return LogHost(storage: Storage(disk), options: options, threads: threads)
    }

    /// Does all that is scheduled, idle marks among them. It comes to an end: a host that always
    /// has something to do would keep a thread busy for ever.
    package func runAll() {
        var steps = 0
        while step() {
            steps += 1
            precondition(steps < 10_000, "the host does not come to rest")
        }
    }
}

/// The frames of a segment's bytes up to the first that is none, with their offsets.
package func frames(in bytes: [UInt8]) -> [(offset: Int, frame: DecodedFrame)] {
    var frames: [(offset: Int, frame: DecodedFrame)] = []
    var offset = 0
    while offset < bytes.count,
        case .success(let frame) = FrameDecoder.decode(array: Array(bytes[offset...]))
    {
        frames.append((offset, frame))
        offset += frame.bytes
    }
    return frames
}

/// A log on a disk of its own, with a host that does nothing by itself unless it has threads.
package struct LogFixture: Sendable {
    package let disk: MemoryDisk
    package let host: LogHost
    package var options = LogOptions()
    private let end: End

    /// A host keeps the logs that it looks after, and they keep it, until it is shut down.
    private final class End: Sendable {
        private let host: LogHost
        init(of host: LogHost) { self.host = host }
        deinit { host.shutdown() }
    }

    package init(
        threads: Int = 0, disk: MemoryDisk = LogImage(files: []).disk(),
        host change: (inout LogHost.Options) -> Void = { _ in },
        _ options: (inout LogOptions) -> Void = { _ in }
    ) {
        self.disk = disk
        host = .on(disk, threads: threads, change)
        end = End(of: host)
        options(&self.options)
    }

    package func open() throws(OpenError) -> Log {
        try Log.open(LogImage.directory, host: host, options: options)
    }

    package func bytes(_ name: String = SegmentName.activeName) -> [UInt8] {
        disk.bytes(LogImage.directory.appending(name)) ?? []
    }

    /// Names of the files, sorted.
    package var names: [String] { disk.files(in: LogImage.directory).keys.sorted() }

    /// The log as another process would open it after a power loss.
    package func reopenedAfterPowerLoss() throws(OpenError) -> Log {
        try Log.open(
            LogImage.directory, host: .on(disk.afterPowerLoss()), options: options)
    }
}
