internal import SystemPackage
import TestSupport
package import WAL

/// Calls that fail, followed by crashes.
extension Exploration {
    /// Runs `body` once for every call and every way in which that can fail, with a crash before
    /// each call from there on: the program goes on as well as it can, and what was acknowledged
    /// stays.
    package func exploreFaults(
        _ name: String, options: LogOptions = LogOptions(), then afterFailure: Run.AfterFailure,
        _ body: Body
    ) {
        begin("\(name), failing calls")
        let dry = makeRun(Exploration.emptyDisk(), Knowledge(), options, depth: 0, salt: 0)
        body(dry)
        for (number, call) in dry.disk.calls.enumerated() {
            for faults in Exploration.faults(of: call) where !isOver {
                trace = ["call \(number), \(call), ends with \(faults)"]
                let run = makeRun(
                    Exploration.emptyDisk(), Knowledge(), options, depth: depth, salt: 0,
                    firstCall: number + 1)
                run.expectsErrors = true
                run.afterFailure = afterFailure
                for (index, fault) in faults.enumerated() {
                    run.disk.inject(fault, at: number + index)
                }
                body(run)
                end(run, options)
            }
        }
        trace = []
    }

    /// The ways in which a call can fail; each is what it and the calls right behind it do.
    private static func faults(of call: SimulatedDisk.Call) -> [[SimulatedDisk.Fault]] {
        switch call {
        case .write(_, let count):
            // Short, then the reason; short, and the rest succeeds; at once.
            [1, count / 2, count - 1].filter { $0 > 0 && $0 < count }
                .map { [.short($0), .fails(.noSpace)] }
                + [[.short(count / 2)], [.fails(.noSpace)], [.fails(.ioError)]]
        case .sync: [[.syncLosesPages], [.fails(.ioError)], [.syncLosesPages, .fails(.ioError)]]
        case .create: [[.fails(.noSpace)], [.fails(.tooManyOpenFiles)]]
        case .syncDirectory: [[.fails(.ioError)], [.fails(.tooManyOpenFiles)]]
        case .truncate, .setAccess, .makeDirectory, .rename, .link, .remove, .partOfWrite:
            [[.fails(.ioError)]]
        }
    }

    /// Opens the log that `body` leaves with every read failing once, or a bit of it wrong. It may
    /// be refused; what it gives is right, and reading again gives all of it.
    package func exploreReads(
        _ name: String, options: LogOptions = LogOptions(), bits: Int, _ body: Body
    ) {
        begin("\(name), wrong reads")
        let written = makeRun(Exploration.emptyDisk(), Knowledge(), options, depth: 0, salt: 0)
        body(written)
        if let broken = written.knowledge.broken { return fail(broken) }
        let state = written.disk.state
        let dry = makeRun(state, written.knowledge, options, depth: 0, salt: 0)
        dry.open()
        _ = try? dry.contents()
        var random = Seeded(seed)
        for read in 0..<dry.disk.reads {
            judgeRead(state, written.knowledge, options, read, .fails(.ioError))
            for _ in 0..<bits where !isOver {
                let bit = Int.random(in: 0..<1 << 24, using: &random)
                judgeRead(state, written.knowledge, options, read, .flips(bit: bit))
            }
        }
    }

    private func judgeRead(
        _ state: SimulatedState, _ knowledge: Knowledge, _ options: LogOptions, _ read: Int,
        _ fault: SimulatedDisk.ReadFault
    ) {
        guard !isOver else { return }
        trace = ["read \(read) \(fault)"]
        defer { trace = [] }
        let run = makeRun(state, knowledge, options, depth: 0, salt: states * 1000)
        run.disk.inject(fault, atRead: read)
        do {
            try run.openOnce()
            // A last commit without a witness that comes back wrong looks torn: it is set aside.
            if case .torn? = run.log?.recovery.tail, run.knowledge.broken == nil {
                states += 1
                return
            }
            if let log = run.log, let wrong = knowledge.wrong(run.found, log.durable) {
                states += 1
                return fail(wrong)
            }
        } catch {}
        // Whatever came of it, the log itself is as good as it was, and reading again gives it all.
        judge(run.disk.state, knowledge, options, depth: 1, isKill: true, "kill")
    }
}
