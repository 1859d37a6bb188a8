internal import WAL

/// In which order bytes get the names that they belong to, so that at each moment all of them are
/// under one that a check finds.
///
/// Whoever gives a name away has to have got another one. Where bytes change places in a circle,
/// the first of them gets a second name meanwhile: a check knows a segment by its mark, whatever
/// its name.
struct MoveOrder {
    private let start: PlannedTopic
    private var taken: Set<SegmentName>
    private var ordered: [FileChange] = []

    /// - Parameter start: the segments as they are.
    init(_ start: PlannedTopic) {
        self.start = start
        taken = Set(start.segments.keys)
    }

    /// The moves among `changes`, in order.
    mutating func order(_ moves: [FileChange], besides changes: [FileChange]) -> [FileChange] {
        taken.formUnion(changes.compactMap(\.segment))
        var waiting: [PlannedContent: FileChange] = [:]
        for move in moves {
            if let source = move.content?.original { waiting[source] = move }
        }
        // In a circle with `segment.log` that is the first that gets its bytes: so which one is the
        // active segment is the same all the while.
        let active = start.segments[.active]
        let isFirst = { (move: FileChange) in active != nil && move.content?.original == active }
        for move in moves.filter(isFirst) + moves.filter({ !isFirst($0) }) {
            // Each one moves the bytes that the one before is about to replace.
            var path: [FileChange] = []
            var next: FileChange? = move
            while let change = next, let source = change.content?.original,
                waiting.removeValue(forKey: source) != nil
            {
                path.append(change)
                next = old(change).flatMap { waiting[$0] }
            }
            if let last = path.last, let replaced = old(last),
                replaced == move.content?.original
            {
                ordered.append(secondName(for: replaced))
            }
            ordered += path.reversed()
        }
        return ordered
    }

    /// What has the name of a change so far.
    private func old(_ change: FileChange) -> PlannedContent? {
        change.segment.flatMap { start.segments[$0] }
    }

    private mutating func secondName(for content: PlannedContent) -> FileChange {
        // A low one proves nothing of its own: every id below it was durable anyway.
        var id: UInt64 = 0
        while !taken.insert(.sealed(first: id)).inserted { id += 1 }
        let name = SegmentName.sealed(first: id).fileName
        return FileChange(
            name: name, content: content, isTransient: true,
            detail: "while segments change places")
    }
}
