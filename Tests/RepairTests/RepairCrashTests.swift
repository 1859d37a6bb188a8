import DataDirectory
import Inspection
import Simulation
import SystemPackage
import Testing
import TestSupport
import Threads
import WALTestSupport

@testable import Repair
@testable import WAL

/// A repair and an undo that are killed, or lose power, before every call and within every write,
/// and a repair of which every call fails.
@Suite struct RepairCrashTests {
    static let topic: FilePath = "/data/topics/t"
    /// Of the broker: a repair is another user's, root's in this disk.
    private static let access = FileAccess(owner: 65534, group: 65534, permissions: 0o640)
    // A debug build is some twenty times slower: it plays every kill and a part of the power cuts.
    #if DEBUG
        private static let outcomes = isLongRun ? 64 : 2
        private static let stride = isLongRun ? 1 : 4
    #else
        private static let outcomes = isLongRun ? 1024 : 64
        private static let stride = 1
    #endif

    /// A disk on which all of this is durable.
    func state(_ files: [(name: String, bytes: [UInt8])]) throws -> SimulatedState {
        let disk = SimulatedDisk()
        for path in ["/data", "/data/topics", "/data/topics/t"] {
            try disk.makeDirectory(FilePath(path))
        }
        for (name, bytes) in files {
            let file = try disk.open(RepairCrashTests.topic.appending(name), .createNew)
            if !bytes.isEmpty { try file.writeAll(RawSpan(of: bytes), at: 0) }
            try file.setAccess(RepairCrashTests.access)
            try file.sync(.everything)
        }
        for path in ["/", "/data", "/data/topics", "/data/topics/t"] {
            try disk.syncDirectory(FilePath(path))
        }
        return disk.state
    }

    func files(_ state: SimulatedState, in path: FilePath) -> [String: [UInt8]] {
        guard let inode = state.resolve(path), let directory = state.directory(inode) else {
            return [:]
        }
        return directory.cached.compactMapValues { state.file($0)?.cached }
    }

    /// A file whose name is no temporary one and that is not the broker's.
    private func stranger(_ state: SimulatedState) -> String? {
        guard let inode = state.resolve(RepairCrashTests.topic),
            let directory = state.directory(inode)
        else { return nil }
        return directory.cached.first { name, inode in
            !name.hasSuffix(".tmp") && state.file(inode)?.access != RepairCrashTests.access
        }?.key
    }

    /// All that is set aside, whatever it is called.
    private func setAside(_ state: SimulatedState) -> Set<[UInt8]> {
        var found = Set<[UInt8]>()
        var folders: [FilePath] = ["/data/lost+found"]
        while let folder = folders.popLast() {
            found.formUnion(files(state, in: folder).values)
            guard let inode = state.resolve(folder), let directory = state.directory(inode) else {
                continue
            }
            for (name, inode) in directory.cached where state.directory(inode) != nil {
                folders.append(folder.appending(name))
            }
        }
        return found
    }

    func repair(_ disk: SimulatedDisk) throws -> Repair.Outcome {
        let storage = Storage(disk)
        let target = try Target.resolve("/data", on: storage)
        return Repair(target, mode: .all, on: storage, now: RepairBench.now).run()
    }

    private func exitBits(_ disk: SimulatedDisk) throws -> ExitBits {
        let storage = Storage(disk)
        return Inspection.run(try Target.resolve("/data", on: storage), on: storage).exitBits
    }

    /// Plays `body` on `start` and gives every state that a crash within it may leave.
    private func forEachCrash(
        from start: SimulatedState, seed: UInt64, _ body: (SimulatedDisk) throws -> Void,
        judge: (SimulatedState, String) throws -> Void
    ) throws -> Int {
        let seen = Monitor<[(SimulatedState, String)]>([])
        let disk = SimulatedDisk(start) { state, call in
            seen.withLock { $0.append((state, "\(call)")) }
        }
        try body(disk)
        var random = Seeded(seed)
        var states = 0
        var cuts = 0
        let cut = PowerCut(unitBytes: 512, limit: RepairCrashTests.outcomes)
        for (state, call) in seen.withLock({ $0 }) + [(disk.state, "the end")] {
            try judge(state, "kill before \(call)")
            states += 1
            try cut.forEachOutcome(of: state, using: &random) { outcome, label in
                cuts += 1
                if cuts % RepairCrashTests.stride != 0 { return }
                try judge(outcome, "\(label) before \(call)")
                states += 1
            }
        }
        return states
    }

    private func explore(_ name: String, _ image: [(name: String, bytes: [UInt8])]) throws {
        let start = try state(image)
        let before = files(start, in: RepairCrashTests.topic)
        let whole = SimulatedDisk(start)
        let first = try repair(whole)
        #expect(first.problems.isEmpty && first.bits.contains(.corrected), "\(first.problems)")
        let after = files(whole.state, in: RepairCrashTests.topic)
        #expect(after != before)
        var failures = 0
        let states = try forEachCrash(from: start, seed: 7, { _ = try repair($0) }) {
            state, label in
            guard failures < 5 else { return }
            if let wrong = try judge(state, before, after) {
                failures += 1
                Issue.record("\(name), \(label): \(wrong)")
            }
        }
        let kept = try #require(first.keptIn)
        let undoStates = try forEachCrash(
            from: whole.state, seed: 8, { _ = try Undo(kept, on: Storage($0)).run() }
        ) { state, label in
            guard failures < 5 else { return }
            if let wrong = try judgeUndo(state, kept, before, after) {
                failures += 1
                Issue.record("\(name), undo, \(label): \(wrong)")
            }
        }
        print("crash exploration of a repair: \(name): \(states) + \(undoStates) states")
        #expect(states > 40)
    }

    private func judge(
        _ state: SimulatedState, _ before: [String: [UInt8]], _ after: [String: [UInt8]]
    ) throws -> String? {
        let there = files(state, in: RepairCrashTests.topic)
        let kept = setAside(state)
        if let name = stranger(state) { return "\(name) has another owner or mode" }
        for name in Set(before.keys).union(after.keys).union(there.keys) {
            if there[name] == before[name] || there[name] == after[name] {
                if there[name] != before[name], let old = before[name], !kept.contains(old) {
                    return "\(name) has changed and the old one is not kept"
                }
                continue
            }
            // Where segments change places one of them has a second name meanwhile.
            let isSecondName = before[name] == nil && after[name] == nil
            if isSecondName, before.values.contains(there[name] ?? []) { continue }
            if !name.hasSuffix(".tmp") { return "\(name) is neither the old one nor the new one" }
        }
        let disk = SimulatedDisk(state)
        let outcome = try repair(disk)
        if !outcome.problems.isEmpty { return "again: \(outcome.problems)" }
        if files(disk.state, in: RepairCrashTests.topic) != after { return "again: another log" }
        if try !exitBits(disk).isEmpty { return "again: not sound" }
        let third = try repair(disk)
        return third.bits.isEmpty ? nil : "a third run finds something to do"
    }

    private func judgeUndo(
        _ state: SimulatedState, _ kept: FilePath, _ before: [String: [UInt8]],
        _ after: [String: [UInt8]]
    ) throws -> String? {
        let there = files(state, in: RepairCrashTests.topic)
        if let name = stranger(state) { return "\(name) has another owner or mode" }
        for name in Set(before.keys).union(after.keys) where !name.hasSuffix(".tmp") {
            if there[name] != before[name], there[name] != after[name] {
                return "\(name) is neither the old one nor the new one"
            }
        }
        let disk = SimulatedDisk(state)
        _ = try Undo(kept, on: Storage(disk)).run()
        if files(disk.state, in: RepairCrashTests.topic) != before { return "not undone" }
        return nil
    }

    // MARK: Images

    func segment(_ count: Int, bytes: Int = 150) -> SegmentBuilder {
        var segment = SegmentBuilder()
        for number in 0..<count {
            segment.add(TestMessage([UInt8](repeating: UInt8(number + 65), count: bytes)))
        }
        segment.addMark()
        return segment
    }

    func tornWithAStaleFile() -> [(name: String, bytes: [UInt8])] {
        var segment = segment(3)
        segment.add(garbage: [1, 2, 3, 4, 5])
        return LogImage(segment).files + [("segment.log.tmp", Array("half".utf8))]
    }

    @Test func aTornTailWithAStaleTemporaryFile() throws {
        try explore("torn tail", tornWithAStaleFile())
    }

    @Test func aDamagedMessageAndDamagedOffsets() throws {
        var segment = segment(6)
        segment.bytes[segment.frames[3].range.lowerBound + 40] ^= 1
        try explore(
            "damaged message",
            LogImage(segment).files + [(DataLayout.offsetsName, Array("rot\n".utf8))])
    }

    func damagedEverywhere() -> [(name: String, bytes: [UInt8])] {
        var first = segment(3)
        var second = first.next()
        for number in 0..<3 { second.add(TestMessage("second \(number)")) }
        var third = second.next()
        for number in 0..<3 { third.add(TestMessage("third \(number)")) }
        var fourth = third.next()
        for number in 0..<3 { fourth.add(TestMessage("fourth \(number)")) }
        fourth.addMark()
        first.bytes[first.frames[2].range.upperBound - 1] ^= 1
        third.bytes.removeLast(20)
        fourth.bytes[fourth.frames[1].range.upperBound - 1] ^= 1
        return [
            (first.name, first.bytes), (third.name, third.bytes),
            (SegmentName.activeName, fourth.bytes),
        ]
    }

    @Test func damageInEverySegmentAndOneThatIsGone() throws {
        try explore("several segments", damagedEverywhere())
    }

    func sameIDs() -> [(name: String, bytes: [UInt8])] {
        let first = segment(4)
        return [
            (first.name, first.bytes), (SegmentName.activeName, first.bytes),
            (DataLayout.offsetsName, RepairBench.offsets(7)),
        ]
    }

    @Test func twoSegmentsWithTheSameIDsAndAnAcknowledgementBeyondThem() throws {
        try explore("same ids", sameIDs())
    }

    func threeSegments() -> (SegmentBuilder, SegmentBuilder, SegmentBuilder) {
        let first = segment(3)
        var second = first.next()
        for number in 0..<3 { second.add(TestMessage("second \(number)")) }
        var third = second.next()
        for number in 0..<3 { third.add(TestMessage("third \(number)")) }
        return (first, second, third)
    }

    @Test func segmentsUnderTheNamesOfOthers() throws {
        let (first, second, third) = threeSegments()
        // The third has the name of the second one, which has the first one's; that is the active
        // one.
        try explore(
            "renamed segments",
            [
                (first.name, second.bytes), (second.name, third.bytes),
                (SegmentName.activeName, first.bytes),
            ])
    }

    @Test func segmentsThatChangedPlaces() throws {
        let (first, second, third) = threeSegments()
        try explore(
            "sealed and active swapped",
            [
                (first.name, first.bytes), (second.name, third.bytes),
                (SegmentName.activeName, second.bytes),
            ])
        try explore(
            "two sealed ones swapped",
            [
                (first.name, second.bytes), (second.name, first.bytes),
                (SegmentName.activeName, third.bytes),
            ])
    }
}
