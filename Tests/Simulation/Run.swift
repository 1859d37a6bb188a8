internal import DataDirectory
internal import SystemPackage
import TestSupport
internal import Threads
package import WAL

/// A program at work on one log. Every step commits before it returns. What the program is told
/// goes into its knowledge at that moment, so that a crash within a step is judged by it.
///
/// One thread runs it: nothing here is shared.
package final class Run: @unchecked Sendable {
    /// What the program does when its log takes no more appends.
    package enum AfterFailure: Sendable {
        /// It closes the log and opens it again.
        case reopens
        /// It is killed, and another one opens the log.
        case isKilled
    }

    package let disk: SimulatedDisk
    package var knowledge: Knowledge
    package private(set) var log: Log?
    /// What was there when it was opened last.
    private(set) var found: [(id: UInt64, message: Sent)] = []
    /// Calls fail on purpose: errors are answered as a program would, and are not faults.
    package var expectsErrors = false
    package var afterFailure = AfterFailure.reopens
    /// The log has failed in this process.
    private var hasFailed = false
    private var host: LogHost
    private(set) var options: LogOptions
    let position: UInt64
    private var count: Int
    private var random: Seeded

    package init(
        disk: SimulatedDisk, knowledge: Knowledge, options: LogOptions, position: UInt64, salt: Int
    ) {
        self.disk = disk
        self.knowledge = knowledge
        self.options = options
        self.position = position
        count = salt
        random = Seeded(UInt64(salt))
        host = Run.makeHost(disk, position)
    }

    deinit { host.shutdown() }

    private static func makeHost(_ disk: SimulatedDisk, _ position: UInt64) -> LogHost {
        var options = LogHost.Options()
        options.clock = { 1_700_000_000_000_000_000 }
        options.startPosition = { position }
        return LogHost(storage: Storage(disk), options: options, threads: 0)
    }

    // MARK: Opening and ending

    /// Opens the log, as often as errors make it necessary. Whatever refuses it for good has
    /// broken the promise.
    package func open() {
        for _ in 0..<4 {
            do {
                try openOnce()
                return
            } catch OpenError.io(let error) where expectsErrors {
                if afterFailure == .isKilled { kill() }
                _ = error
            } catch {
                knowledge.breaks("refused: \(error)")
                return
            }
        }
        knowledge.breaks("it does not open, though nothing fails any more")
    }

    package func openOnce() throws {
        let directory = Exploration.directory
        if knowledge.offsets.isUsed, let offsets = try loadOffsets() {
            options.knownDurable = offsets.highestAcknowledged
        }
        let state = disk.state
        let active = state.file(at: directory.appending(SegmentName.activeName))
        let names = state.resolve(directory).flatMap { state.directory($0) }
        // The power may take a name with all that it leads to, as long as no sync has covered it.
        let isNamed =
            names?.forced[SegmentName.activeName] == names?.cached[SegmentName.activeName]
        // A log that failed in this process is cut to its last durable byte without more ado: what
        // stands behind was never acknowledged, and this process knows it.
        knowledge.beforeOpening =
            hasFailed
            ? nil : active.map { .init(bytes: $0.cached, isForced: !$0.isDirty && isNamed) }
        defer { knowledge.beforeOpening = nil }
        log = try Log.open(directory, host: host, options: options)
        guard let log else { return }
        knowledge.shownBelow = max(knowledge.shownBelow, log.durable.upperBound.rawValue)
        found = try contents()
        // From now on others get its id.
        let gone = knowledge.attempted.subtracting(found.map(\.message))
        knowledge.refused.formUnion(gone)
        if case .torn(let bytes, let path, _) = log.recovery.tail,
            let before = knowledge.beforeOpening?.bytes
        {
            let kept = disk.state.bytes(path)
            if kept != before.suffix(Int(bytes)) {
                knowledge.breaks("\(bytes) bytes were cut off, \(path) does not hold them")
            }
        }
    }

    package func close() {
        guard let log else { return }
        do {
            try log.close()
        } catch {
            hasFailed = true
            if !expectsErrors { knowledge.breaks("closing failed: \(error)") }
        }
        self.log = nil
    }

    /// The process ends without a word; the cache survives. Another one takes over.
    package func kill() { endProcess(leaving: disk.state) }

    /// The power goes: some outcome of many. Another process takes over.
    package func losePower() {
        var outcome = disk.state
        let number = Int.random(in: 0..<8, using: &random)
        var index = 0
        PowerCut(unitBytes: 512, limit: 8).forEachOutcome(of: outcome, using: &random) { state, _ in
            if index == number { outcome = state }
            index += 1
        }
        endProcess(leaving: outcome)
    }

    func endProcess(leaving state: SimulatedState) {
        log = nil
        disk.endProcess(leaving: state)
        hasFailed = false
        host.shutdown()
        host = Run.makeHost(disk, position)
    }

    // MARK: Appending

    /// Payloads that no other append has.
    package func payloads(_ number: Int, bytes: Int) -> [[UInt8]] {
        (0..<number).map { _ in
            count += 1
            let head = Array("\(count)/".utf8)
            guard bytes > head.count else { return head }
            return head
                + [UInt8](
                    repeating: UInt8(truncatingIfNeeded: count | 1), count: bytes - head.count)
        }
    }

    package func append(_ payloads: [[UInt8]]) { append(payloads.map { Sent($0) }) }

    package func append(_ number: Int, bytes: Int) { append(payloads(number, bytes: bytes)) }

    /// Messages with a key, headers, or both.
    package func appendKeyed(_ number: Int, bytes: Int) {
        append(
            payloads(number, bytes: bytes).enumerated().map { index, payload in
                Sent(
                    payload, key: index % 3 == 2 ? nil : Array("k:\(count)".utf8),
                    headers: index % 3 == 1 ? [] : [MessageHeader("h", "v\(count)")])
            })
    }

    /// Appends all of `messages` in one commit.
    package func append(_ messages: [Sent]) {
        guard let log else { return }
        let failure = Monitor<LogError?>(nil)
        for message in messages {
            knowledge.attempted.insert(message)
            do {
                try stage(message, log) { error in failure.withLock { $0 = error } }
            } catch {
                failure.withLock { $0 = error as? LogError }
                break
            }
        }
        drain()
        if let failure = failure.withLock({ $0 }) { answer(failure) }
    }

    private func stage(
        _ message: Sent, _ log: Log, _ failed: @escaping @Sendable (LogError) -> Void
    ) throws {
        let note: @Sendable (Result<MessageID, LogError>) -> Void = { [self] result in
            switch result {
            // From this moment on the promise holds, also for a crash within the same step.
            case .success(let id): acknowledge(id.rawValue, message)
            case .failure(let error):
                if case .notWritten = error { knowledge.refused.insert(message) }
                failed(error)
            }
        }
        if let key = message.key {
            try log.append(
                Message(
                    payload: RawSpan(of: message.payload), key: RawSpan(of: key),
                    headers: message.headers), whenDurable: note)
        } else {
            try log.append(
                Message(payload: RawSpan(of: message.payload), headers: message.headers),
                whenDurable: note)
        }
    }

    private func acknowledge(_ id: UInt64, _ message: Sent) {
        if id < knowledge.shownBelow || knowledge.acknowledged[id] != nil {
            // Readers may have seen it in the midst of the commit.
            if knowledge.shown[id] != message { knowledge.breaks("id \(id) was given out twice") }
        }
        knowledge.acknowledged[id] = message
        knowledge.shownBelow = max(knowledge.shownBelow, id + 1)
    }

    /// Appends a frame for ids whose messages are gone.
    package func appendLost(_ number: UInt64) {
        let failure = Monitor<LogError?>(nil)
        let next = log?.durable.upperBound.rawValue ?? 0
        knowledge.maybeLost.formUnion(next..<next + number)
        do {
            try log?.appendLost(number) { [self] result in
                switch result {
                case .success: knowledge.lost.formUnion(next..<next + number)
                case .failure(let error): failure.withLock { $0 = error }
                }
            }
        } catch { failure.withLock { $0 = error } }
        drain()
        if let failure = failure.withLock({ $0 }) { answer(failure) }
    }

    private func answer(_ error: LogError) {
        guard expectsErrors else { return knowledge.breaks("an append failed: \(error)") }
        guard case .poisoned = error else { return }
        hasFailed = true
        switch afterFailure {
        case .reopens: close()
        case .isKilled: kill()
        }
        open()
    }

    func drain() { while host.step(now: 0) {} }

    /// The log is idle until its mark is written.
    package func idle() { while host.step() {} }

    package func drop(below id: UInt64) {
        knowledge.dropAskedBelow = max(knowledge.dropAskedBelow, id)
        do {
            try log?.drop(below: MessageID(id))
        } catch {
            if !expectsErrors { knowledge.breaks("dropping failed: \(error)") }
        }
    }

    // MARK: Reading

    package func contents() throws -> [(id: UInt64, message: Sent)] {
        guard let log else { return [] }
        var found: [(id: UInt64, message: Sent)] = []
        var reader = log.reader(from: MessageID(0))
        while try reader.read(
            upTo: 1000,
            { message in
                let key = message.hasKey ? message.key.copied() : nil
                found.append(
                    (
                        message.id.rawValue,
                        Sent(message.payload.copied(), key: key, headers: message.headers)
                    ))
                return .next
            }) > 0
        {}
        return found
    }

    /// A reader looks at all that the log shows at this moment; another thread may at any time.
    package func look() {
        guard let log else { return }
        let before = log.durable
        do {
            for (id, message) in try contents() {
                if let known = knowledge.shown[id] ?? knowledge.acknowledged[id], known != message {
                    knowledge.breaks("a reader saw another message \(id) than before")
                }
                knowledge.shown[id] = message
            }
            knowledge.shownBelow = max(knowledge.shownBelow, before.upperBound.rawValue)
        } catch {
            knowledge.breaks("a reader was refused: \(error)")
        }
    }
}
