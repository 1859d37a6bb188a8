package import SystemPackage
import TestSupport
internal import Threads
package import WAL

/// Runs workloads on a simulated disk and plays a crash of either kind before every call and within
/// every write, and again during the recovery from it; each state is opened by the real code and
/// judged.
///
/// All of it follows from the seed: the same exploration meets the same states in the same order,
/// so the number of a state is enough to play it again.
package final class Exploration: @unchecked Sendable {
    // One thread runs a workload, its crashes and their recoveries: nothing here is shared.

    /// A state that broke the promise, with the way that led to it.
    package struct Failure: Error, CustomStringConvertible {
        package let workload: String
        package let state: Int
        package let trace: [String]
        package let reason: String
        package var description: String {
            "\(workload), state \(state): \(reason)\n  " + trace.joined(separator: "\n  ")
        }
    }

    package typealias Body = (Run) -> Void

    package static let directory: FilePath = "/data/log"

    package var powerCut: PowerCut
    /// How many crashes may follow each other: 2 plays crashes during the recovery from a crash.
    package var depth: Int
    /// Of the crashes at depth 2 and below, one in so many is played.
    package var nestedStride: Int
    /// Of the crashes at depth 1, one in so many is played.
    package var stride = 1
    /// Within a write a process is killed at so many places at most.
    package var partsOfWrites = 5
    /// It ends after so many.
    package var failureLimit = 5
    /// The calls that led to this state and what recovery did with it are told.
    package var watched: (state: Int, tell: @Sendable (String) -> Void)?
    package internal(set) var states = 0
    package internal(set) var failures: [Failure] = []
    let seed: UInt64
    var workload = ""
    var trace: [String] = []
    private var random: Seeded
    /// Crashes that could have been played, at depth 1 and below.
    private var places = [0, 0]

    package init(
        seed: UInt64, limit: Int, unitBytes: Int = 512, depth: Int = 2, nestedStride: Int = 211
    ) {
        powerCut = PowerCut(unitBytes: unitBytes, limit: limit)
        self.depth = depth
        self.nestedStride = nestedStride
        self.seed = seed
        random = Seeded(seed)
    }

    var isOver: Bool { failures.count >= failureLimit }

    // MARK: Running

    /// Runs `body` once, with a crash before every call that changes something.
    package func explore(
        _ name: String, options: LogOptions = LogOptions(), _ body: Body
    ) {
        begin(name)
        let run = makeRun(Exploration.emptyDisk(), Knowledge(), options, depth: depth, salt: 0)
        body(run)
        end(run, options)
    }

    func begin(_ name: String) {
        workload = "\(name), seed \(seed)"
        trace = []
    }

    /// Judges what the program has met itself, and the crashes after its last call.
    func end(_ run: Run, _ options: LogOptions) {
        if let broken = run.knowledge.broken { fail(broken) }
        crash(run.disk.state, run.knowledge, options, depth: depth, "at the end")
    }

    /// A directory that is durable, with nothing in it.
    static func emptyDisk() -> SimulatedState {
        var state = SimulatedState()
        state.inodes[2] = .directory(.init())
        state.nextInode = 3
        state.change(1, .add("data", 2))
        state.syncDirectory(1)
        return state
    }

    /// A program on `state`; with `depth` above 0 a crash is played at each of its calls from
    /// `firstCall` on.
    func makeRun(
        _ state: SimulatedState, _ knowledge: Knowledge, _ options: LogOptions, depth: Int,
        salt: Int, firstCall: Int = 0
    ) -> Run {
        // Weak: the run has the disk, and the disk the observer.
        struct Box { weak var run: Run? }
        let box = Monitor(Box())
        let observer: @Sendable (SimulatedState, SimulatedDisk.Call) -> Void = {
            [self] state, call in
            guard let run = box.withLock({ $0.run }), !isOver else { return }
            if depth == self.depth { run.look() }
            guard run.disk.calls.count >= firstCall else { return }
            crash(state, run.knowledge, options, depth: depth, "before \(call)", call)
        }
        let disk = SimulatedDisk(
            state, partsOfWrites: partsOfWrites, observer: depth > 0 ? observer : nil)
        let position = Seeded.first(seed: seed) % FrameLayout.firstPositionLimit
        let run = Run(
            disk: disk, knowledge: knowledge, options: options, position: position, salt: salt)
        box.withLock { $0.run = run }
        return run
    }

    /// Plays a kill and the power cuts at one place.
    private func crash(
        _ state: SimulatedState, _ knowledge: Knowledge, _ options: LogOptions, depth: Int,
        _ place: String, _ call: SimulatedDisk.Call? = nil
    ) {
        guard depth > 0, !isOver else { return }
        let isNested = depth < self.depth
        places[isNested ? 1 : 0] += 1
        guard places[isNested ? 1 : 0] % (isNested ? nestedStride : stride) == 0 else { return }
        trace.append(place)
        defer { trace.removeLast() }
        judge(state, knowledge, options, depth: depth, isKill: true, "kill")
        var cut = powerCut
        if isNested { cut.limit = max(cut.limit / 8, 4) }
        // What the whole write may leave is played behind it, with its tears.
        if case .partOfWrite? = call { cut.limit = max(cut.limit / 16, 1) }
        var choices = Seeded(random.next())
        cut.forEachOutcome(of: state, using: &choices) { outcome, label in
            judge(outcome, knowledge, options, depth: depth, isKill: false, label)
        }
    }

    func fail(_ reason: String) {
        failures.append(
            Failure(workload: workload, state: states, trace: trace, reason: reason))
    }
}

extension Seeded {
    static func first(seed: UInt64) -> UInt64 {
        var random = Seeded(seed)
        return random.next()
    }
}
