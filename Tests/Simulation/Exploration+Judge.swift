internal import SystemPackage
internal import WAL

/// What is asked of every state.
extension Exploration {
    /// Opens a state as the next process does, and holds what it finds against what was promised:
    /// nothing acknowledged or shown is gone or changed, nothing is there that was never appended,
    /// the next append works, and opening again finds the same.
    func judge(
        _ state: SimulatedState, _ knowledge: Knowledge, _ options: LogOptions, depth: Int,
        isKill: Bool, _ label: String
    ) {
        guard !isOver else { return }
        states += 1
        trace.append(label)
        defer { trace.removeLast() }
        if let watched, watched.state == states { tell(state, knowledge, watched.tell) }
        if let broken = knowledge.broken { return fail(broken) }
        if let wrong = missingEvidence(state, knowledge, isKill: isKill) { return fail(wrong) }
        let number = states
        var knowledge = knowledge
        knowledge.beforeOpening = nil
        let run = makeRun(state, knowledge, options, depth: depth - 1, salt: number * 1000)
        if let wrong = firstLife(run, knowledge), !isOver { fail(wrong) }
        if let watched, watched.state == number {
            watched.tell("recovery and one append: \(run.disk.calls)")
        }
    }

    /// Opens, reads, appends, opens again.
    /// `knowledge` is that of before.
    private func firstLife(_ run: Run, _ knowledge: Knowledge) -> String? {
        run.open()
        if let broken = run.knowledge.broken { return broken }
        guard let log = run.log else { return "it does not open" }
        do {
            let found = run.found
            if let wrong = knowledge.wrong(found, log.durable) { return wrong }
            let before = run.knowledge.acknowledged.count
            run.append(1, bytes: 20)
            if let broken = run.knowledge.broken { return broken }
            guard run.knowledge.acknowledged.count == before + 1 else {
                return "the next append was not acknowledged"
            }
            return try secondLife(run, found)
        } catch {
            return "a reader was refused: \(error)"
        }
    }

    /// The same is found again: by a process that comes after a kill, or after the power has gone
    /// and taken all that no sync has covered.
    private func secondLife(_ run: Run, _ first: [(id: UInt64, message: Sent)]) throws -> String? {
        let isKill = states % 2 == 0
        let state = isKill ? run.disk.state : PowerCut.harshest(run.disk.state)
        let again = Run(
            disk: SimulatedDisk(state), knowledge: run.knowledge, options: run.options,
            position: run.position, salt: 0)
        again.open()
        let place = "opened again after a \(isKill ? "kill" : "power cut"): "
        if let broken = again.knowledge.broken { return place + broken }
        guard let log = again.log else { return place + "it does not open" }
        let second = again.found
        if let wrong = run.knowledge.wrong(second, log.durable) { return place + wrong }
        guard second.count == first.count + 1,
            zip(first, second).allSatisfy({ $0.id == $1.id && $0.message == $1.message })
        else { return place + "\(second.count) messages, there were \(first.count) and one more" }
        return nil
    }

    /// Opening was interrupted: what it had cut off by then has to be in a file of its own, unless
    /// the power took it before anybody could.
    private func missingEvidence(
        _ state: SimulatedState, _ knowledge: Knowledge, isKill: Bool
    ) -> String? {
        guard let before = knowledge.beforeOpening, isKill || before.isForced,
            let directory = state.resolve(Exploration.directory).flatMap({ state.directory($0) }),
            let now = state.bytes(Exploration.directory.appending(SegmentName.activeName)),
            now.count < before.bytes.count, before.bytes.starts(with: now)
        else { return nil }
        let gone = before.bytes.suffix(before.bytes.count - now.count)
        let isKept = directory.cached.contains { name, inode in
            SegmentName.companion(name) == .keptTail
                && state.file(inode).map { $0.cached.elementsEqual(gone) } == true
        }
        return isKept ? nil : "\(gone.count) bytes were cut off and are kept nowhere"
    }

    private func tell(
        _ state: SimulatedState, _ knowledge: Knowledge, _ tell: (String) -> Void
    ) {
        tell("the way here:\n  " + trace.joined(separator: "\n  "))
        tell("acknowledged: \(knowledge.acknowledged.keys.sorted())")
        for line in state.summary { tell(line) }
    }
}

extension SimulatedState {
    /// Names, sizes and bytes, for people.
    var summary: [String] {
        var lines: [String] = []
        for (number, inode) in inodes.sorted(by: { $0.key < $1.key }) {
            switch inode {
            case .directory(let directory):
                let names = directory.cached.sorted { $0.key < $1.key }
                    .map { "\($0.key) = \($0.value)" }
                lines.append("directory \(number): " + names.joined(separator: ", "))
            case .file(let file):
                lines.append(
                    "file \(number): \(file.cached.count) bytes, \(file.forced.count) forced, "
                        + "\(file.pending.count) changes not synced")
                let hex = file.cached.prefix(512).map { byte in
                    let digits = String(byte, radix: 16)
                    return digits.count < 2 ? "0" + digits : digits
                }
                lines.append("  " + hex.joined())
            }
        }
        return lines
    }
}
