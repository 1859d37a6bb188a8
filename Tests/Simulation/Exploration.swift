package import SystemPackage
package import WAL

/// What a program using the log knows: what it was told, and what it tried.
package struct Knowledge: Sendable {
    /// Acknowledged: must be there for ever, byte for byte.
    package var acknowledged: [UInt64: [UInt8]] = [:]
    /// Everything that was ever handed to the log, by payload.
    package var attempted: Set<[UInt8]> = []
    /// The next id that a reader was shown to exist.
    package var shownBelow: UInt64 = 0
    /// The first id that was not dropped, as far as the program asked for it.
    package var dropAskedBelow: UInt64 = 0
    /// Ids that were written as lost.
    package var lost: Set<UInt64> = []

    package init() {}
}

/// Runs workloads on a simulated disk and plays a crash of either kind before every call and within
/// every write, and again during the recovery from it; each state is opened by the real code and
/// judged.
package final class Exploration: @unchecked Sendable {
    // One thread runs a workload, its crashes and their recoveries: nothing here is shared.

    /// A state that broke the promise, with all it takes to play it again.
    package struct Failure: Error, CustomStringConvertible {
        package let workload: String
        package let trace: [String]
        package let reason: String
        package var description: String {
            "\(workload): \(reason)\n  " + trace.joined(separator: "\n  ")
        }
    }

    package static let directory: FilePath = "/data/log"

    package var powerCut: PowerCut
    /// How many crashes may follow each other: 2 plays crashes during the recovery from a crash.
    package var depth: Int
    /// Of the crashes at depth 2 and below, one in so many is played.
    package var nestedStride: Int
    package private(set) var states = 0
    package private(set) var failures: [Failure] = []
    private var random: SplitMix
    private let seed: UInt64
    private var workload = ""
    private var trace: [String] = []
    private var nestedCount = 0

    package init(
        seed: UInt64, limit: Int, unitBytes: Int = 512, depth: Int = 2, nestedStride: Int = 211
    ) {
        powerCut = PowerCut(unitBytes: unitBytes, limit: limit)
        self.depth = depth
        self.nestedStride = nestedStride
        self.seed = seed
        random = SplitMix(seed: seed)
    }

    /// A program at work on one log. Every step commits before it returns.
    package final class Run: @unchecked Sendable {
        package let disk: SimulatedDisk
        package var knowledge: Knowledge
        package private(set) var log: Log?
        private var host: LogHost
        private var options: LogOptions
        private var count: Int

        init(disk: SimulatedDisk, knowledge: Knowledge, options: LogOptions, salt: Int) {
            self.disk = disk
            self.knowledge = knowledge
            self.options = options
            count = salt
            host = Run.makeHost(disk)
        }

        static func makeHost(_ disk: SimulatedDisk) -> LogHost {
            var options = LogHost.Options()
            options.clock = { 1_700_000_000_000_000_000 }
            return LogHost(storage: Storage(disk), options: options, threads: 0)
        }

        package func open() throws {
            log = try Log.open(Exploration.directory, host: host, options: options)
            if let log {
                knowledge.shownBelow = max(knowledge.shownBelow, log.durable.upperBound.rawValue)
            }
        }

        package func drain() { while host.step() {} }

        /// Appends all of `payloads` in one commit and takes note of what is acknowledged.
        @discardableResult
        package func append(_ payloads: [[UInt8]], keyed: Bool = false) throws -> [LogError] {
            guard let log else { return [] }
            let outcome = Monitor<(acks: [(UInt64, [UInt8])], errors: [LogError])>(([], []))
            for payload in payloads {
                knowledge.attempted.insert(payload)
                let note: @Sendable (Result<MessageID, LogError>) -> Void = { [self] result in
                    switch result {
                    case .success(let id):
                        // From this moment on the promise holds, also for a crash within the
                        // same step.
                        knowledge.acknowledged[id.rawValue] = payload
                        knowledge.shownBelow = max(knowledge.shownBelow, id.rawValue + 1)
                        outcome.withLock { $0.acks.append((id.rawValue, payload)) }
                    case .failure(let error): outcome.withLock { $0.errors.append(error) }
                    }
                }
                let key = Array("k:\(count)".utf8)
                let message =
                    keyed
                    ? Message(
                        payload: RawSpan(of: payload), key: RawSpan(of: key),
                        headers: [MessageHeader("h", "v")])
                    : Message(payload: RawSpan(of: payload))
                try log.append(message, whenDurable: note)
            }
            drain()
            return outcome.withLock { $0.errors }
        }

        /// Payloads that no other append has.
        package func payloads(_ number: Int, bytes: Int) -> [[UInt8]] {
            (0..<number).map { _ in
                count += 1
                var payload = Array("\(count)/".utf8)
                while payload.count < bytes { payload.append(UInt8(truncatingIfNeeded: count)) }
                return payload
            }
        }

        /// The log is idle until its mark is written.
        package func idle() { drain() }

        package func close() throws {
            try log?.close()
            log = nil
        }

        package func drop(below id: UInt64) throws {
            knowledge.dropAskedBelow = max(knowledge.dropAskedBelow, id)
            try log?.drop(below: MessageID(id))
        }

        /// Another process begins where this one was killed.
        package func abandon() { log = nil }
    }

    // MARK: Running

    /// Runs `body` once, with a crash before every call that changes something.
    package func explore(
        _ name: String, options: LogOptions = LogOptions(),
        _ body: (Run) throws -> Void
    ) {
        workload = "\(name), seed \(seed)"
        trace = []
        var state = SimulatedState()
        state.inodes[2] = .directory(.init())
        state.nextInode = 3
        state.change(1, .add("data", 2))
        state.syncDirectory(1)
        let run = makeRun(state, Knowledge(), options, depth: depth, salt: 0)
        do {
            try body(run)
        } catch {
            fail("the workload itself failed: \(error)")
        }
        crash(run.disk.state, run.knowledge, options, depth: depth, "at the end")
    }

    private func makeRun(
        _ state: SimulatedState, _ knowledge: Knowledge, _ options: LogOptions, depth: Int,
        salt: Int
    ) -> Run {
        let box = Monitor<Run?>(nil)
        let disk = SimulatedDisk(state) { [self] state, call in
            guard let run = box.withLock({ $0 }) else { return }
            crash(state, run.knowledge, options, depth: depth, "before \(call)")
        }
        let run = Run(disk: disk, knowledge: knowledge, options: options, salt: salt)
        box.withLock { $0 = run }
        return run
    }

    /// Plays a kill and the power cuts at one place.
    private func crash(
        _ state: SimulatedState, _ knowledge: Knowledge, _ options: LogOptions, depth: Int,
        _ place: String
    ) {
        guard depth > 0, failures.count < 5 else { return }
        let isNested = depth < self.depth
        if isNested {
            nestedCount += 1
            if nestedCount % nestedStride != 0 { return }
        }
        trace.append(place)
        defer { trace.removeLast() }
        judge(state, knowledge, options, depth: depth, "kill")
        var cut = powerCut
        if isNested { cut.limit = max(cut.limit / 8, 4) }
        var choices = SplitMix(seed: random.next())
        cut.forEachOutcome(of: state, using: &choices) { outcome, label in
            judge(outcome, knowledge, options, depth: depth, label)
        }
    }

    private func fail(_ reason: String) {
        failures.append(Failure(workload: workload, trace: trace, reason: reason))
    }

    // MARK: Judging

    private func judge(
        _ state: SimulatedState, _ knowledge: Knowledge, _ options: LogOptions, depth: Int,
        _ label: String
    ) {
        guard failures.count < 5 else { return }
        states += 1
        trace.append(label)
        defer { trace.removeLast() }
        do {
            let run = makeRun(state, knowledge, options, depth: depth - 1, salt: states * 1000)
            try run.open()
            guard let log = run.log else { return }
            let found = try contents(log)
            if let wrong = compare(found, log.durable, knowledge) { return fail(wrong) }
            let before = knowledge.acknowledged.keys.max()
            let errors = try run.append(run.payloads(1, bytes: 20))
            if !errors.isEmpty { return fail("the next append failed: \(errors)") }
            guard let id = run.knowledge.acknowledged.keys.max(), before.map({ id > $0 }) ?? true
            else { return fail("an id was given out twice") }
            run.abandon()
            let again = makeRun(run.disk.state, run.knowledge, options, depth: 0, salt: 0)
            try again.open()
            guard let reopened = again.log else { return }
            let second = try contents(reopened)
            if let wrong = compare(second, reopened.durable, run.knowledge) {
                return fail("opened again: " + wrong)
            }
            if second.count != found.count + 1 {
                return fail("opened again: \(second.count) messages after \(found.count) + 1")
            }
        } catch {
            fail("refused: \(error)")
        }
    }

    private func contents(_ log: Log) throws -> [(UInt64, [UInt8])] {
        var found: [(UInt64, [UInt8])] = []
        var reader = log.reader(from: MessageID(0))
        while try reader.read(
            upTo: 1000,
            { message in
                found.append((message.id.rawValue, message.payload.copied()))
                return .next
            }) > 0
        {}
        return found
    }

    private func compare(
        _ found: [(UInt64, [UInt8])], _ durable: Range<MessageID>, _ knowledge: Knowledge
    ) -> String? {
        let byID = Dictionary(found, uniquingKeysWith: { first, _ in first })
        if byID.count != found.count { return "an id is there twice" }
        for (id, payload) in knowledge.acknowledged.sorted(by: { $0.key < $1.key }) {
            if let there = byID[id] {
                if there != payload { return "message \(id) has other bytes" }
            } else if id >= knowledge.dropAskedBelow {
                return "message \(id) was acknowledged and is gone"
            }
        }
        if durable.upperBound.rawValue < knowledge.shownBelow {
            return "ids below \(knowledge.shownBelow) were shown, now \(durable)"
        }
        var next = durable.lowerBound.rawValue
        for (id, payload) in found {
            while knowledge.lost.contains(next) { next += 1 }
            if id != next { return "id \(id) where \(next) belongs" }
            if !knowledge.attempted.contains(payload) { return "message \(id) was never appended" }
            next += 1
        }
        return nil
    }
}
