import DataDirectory
import Dispatch
import Glibc
import SystemPackage
import TestSupport
import ToyMQClient
import WAL

/// Crashes a broker again and again while clients are at work, then reads everything and compares.
///
/// What has to hold: every message that was OK'd is delivered, byte for byte; no id ever has two
/// payloads; a key that was OK'd is never appended twice; what offsets.json says is acknowledged
/// stays acknowledged, and it says so soon.
public final class Chaos {
    private let plan: ChaosPlan
    private let victim: any Victim
    private let progress: (String) -> Void
    private let violations = Violations()
    private let ledgers: [Ledger]
    private var random: Seeded
    private var report = ChaosReport()
    private var port = 0
    /// How many messages were OK'd at the last crash.
    private var okBefore = 0

    /// A run against `victim`; `progress` is told about each crash.
    public init(
        _ plan: ChaosPlan, against victim: any Victim,
        progress: @escaping (String) -> Void = { _ in }
    ) {
        self.plan = plan
        self.victim = victim
        self.progress = progress
        let violations = violations
        ledgers = (0..<plan.topics).map {
            Ledger(topic: "chaos-\($0)", seed: plan.seed, violations: violations)
        }
        random = Seeded(plan.seed)
    }

    /// Runs it. Blocks: on a thread of its own, never on a task's.
    public func run() throws -> ChaosReport {
        try start()
        let stop = Flag()
        let clients = (0..<plan.topics * plan.producers + 1).map { _ in ToyMQClient(options) }
        let work = clientsAtWork(clients, stop)
        defer {
            stop.set()
            Background.run { for client in clients { await client.close(timeout: .zero) } }
        }
        try crashOnSchedule()
        progress("load ends; waiting for what is unanswered")
        stop.set()
        guard work.wait(timeout: .now() + 60) == .success else {
            throw ChaosError("producers and consumers did not end within 60 s")
        }
        try crash()
        try start()
        progress("reading everything again")
        readAll()
        if let text = try victim.stop() { violations.add(text) }
        finishReport()
        return report
    }

    private var options: ClientOptions {
        var options = ClientOptions(host: "127.0.0.1", port: port)
        options.reconnect.firstPause = .milliseconds(10)
        options.reconnect.longestPause = .milliseconds(200)
        options.publishWindow = plan.window * 2
        return options
    }

    // MARK: Load

    private func clientsAtWork(_ clients: [ToyMQClient], _ stop: Flag) -> DispatchSemaphore {
        let done = DispatchSemaphore(value: 0)
        var producers: [Producer] = []
        for (number, client) in clients.dropLast().enumerated() {
            producers.append(
                Producer(
                    number: UInt64(number), ledger: ledgers[number % plan.topics], client: client,
                    plan: plan, stop: stop, isRefusalExpected: victim.refusesWhenCrashing))
        }
        let consumers = ledgers.dropFirst(plan.tornBytes > 0 ? 1 : 0).map {
            Consumer(
                ledger: $0, client: clients[clients.count - 1], name: "worker", stop: stop,
                violations: violations)
        }
        Task.detached { [producers] in
            await withTaskGroup { group in
                for producer in producers { group.addTask { await producer.run() } }
                for consumer in consumers { group.addTask { await consumer.run() } }
                await group.waitForAll()
            }
            done.signal()
        }
        return done
    }

    // MARK: Crashes

    private func crashOnSchedule() throws {
        let begin = ContinuousClock.now
        let spacing = plan.seconds / Double(plan.crashes + 1)
        for number in 1...max(plan.crashes, 1) where plan.crashes > 0 {
            let jitter = (random.fraction() - 0.5) * 0.8
            try sleep(until: begin + .seconds(spacing * (Double(number) + jitter)))
            try waitForWork()
            try crash()
            try start()
            progress(
                "crash \(number) of \(plan.crashes): \(total.ok) OK'd, "
                    + "\(violations.count) violations")
        }
        try sleep(until: begin + .seconds(plan.seconds))
    }

    /// A crash tells something only if messages were OK'd since the one before: on a machine that
    /// is busy with something else that may take longer than was planned.
    private func waitForWork() throws {
        let (before, deadline) = (okBefore, ContinuousClock.now + .seconds(plan.patience))
        // After a finding, such as a topic that is damaged, there may never be any.
        while total.ok == before, violations.count == 0 {
            guard ContinuousClock.now < deadline else {
                throw ChaosError("no message was OK'd for \(Int(plan.patience)) s")
            }
            try sleep(until: .now + .milliseconds(5))
        }
        okBefore = total.ok
    }

    private func sleep(until end: ContinuousClock.Instant) throws {
        while ContinuousClock.now < end {
            if let ending = victim.ending { throw ChaosError("the broker ended: \(ending)") }
            usleep(5000)
        }
    }

    private func crash() throws {
        if let ending = victim.ending { throw ChaosError("the broker ended: \(ending)") }
        try victim.crash()
        report.crashes += 1
        let slack = Duration.seconds(plan.flushSlack)
        for ledger in ledgers { try look(at: ledger, slack) }
        if plan.tornBytes > 0 { try tear(ledgers[0]) }
    }

    private func look(at ledger: Ledger, _ slack: Duration) throws {
        let file = OffsetsFile(
            victim.layout.offsetsFile(of: try TopicName(ledger.topic)),
            storage: victim.layout.storage)
        let consumer = try ConsumerID("worker")
        let offsets: Offsets?
        do throws(OffsetsFileError) {
            offsets = try file.load()
        } catch {
            violations.add("\(error)")
            return
        }
        ledger.killed(offsets?[consumer] ?? Acknowledgements(), slack: slack)
    }

    /// Cuts off the last bytes of the log that are not zeros set aside beforehand.
    private func tear(_ ledger: Ledger) throws {
        let path = victim.layout.directory(of: try TopicName(ledger.topic))
            .appending("segment.log")
        let file = try FileDescriptor.open(path, .readWrite)
        defer { try? file.close() }
        var end = try file.seek(offset: 0, from: .end)
        var block = [UInt8](repeating: 0, count: 65_536)
        while end > 0 {
            let start = max(0, end - 65_536)
            let count = try block.withUnsafeMutableBytes {
                try file.read(
                    fromAbsoluteOffset: start,
                    into: UnsafeMutableRawBufferPointer(rebasing: $0[..<Int(end - start)]))
            }
            if let last = block[..<count].lastIndex(where: { $0 != 0 }) {
                end = start + Int64(last) + 1
                break
            }
            end = start
        }
        try file.resize(to: max(0, end - Int64(plan.tornBytes)))
    }

    private func start() throws {
        let begin = ContinuousClock.now
        port = try victim.start()
        report.slowestStart = max(
            report.slowestStart, (ContinuousClock.now - begin) / .seconds(1))
    }

    // MARK: The end

    private func readAll() {
        let (ledgers, violations, options) = (ledgers, violations, options)
        Background.run {
            await ToyMQClient.with(options) { client in
                for ledger in ledgers {
                    let reading = FinalReading(
                        ledger: ledger, client: client, violations: violations)
                    ledger.compare(with: await reading.run())
                }
            }
        }
    }

    private var total: Ledger.Tally {
        var total = Ledger.Tally()
        for ledger in ledgers { total.add(ledger.tally) }
        return total
    }

    private func finishReport() {
        let total = total
        report.ok = total.ok
        report.verified = total.verified
        report.duplicates = total.duplicates
        report.unknown = total.unknown
        report.refused = total.refused
        report.delivered = total.delivered
        report.redelivered = total.redelivered
        report.acknowledged = total.acknowledged
        report.violations = violations.count
        report.firstViolations = violations.first
    }
}

/// Runs async code from a thread that may wait.
enum Background {
    static func run(_ body: @escaping @Sendable () async -> Void) {
        let done = DispatchSemaphore(value: 0)
        Task.detached {
            await body()
            done.signal()
        }
        done.wait()
    }
}
