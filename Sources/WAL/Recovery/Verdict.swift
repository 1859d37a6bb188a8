/// What a log's bytes amount to. The order is that of badness, the worst of several counts.
package enum Verdict: String, CaseIterable, Comparable, Sendable {
    /// The log ends where its last frame ends.
    case clean
    /// Only zeros follow the last frame: space that was preallocated.
    case zeroTail = "zero-tail"
    /// An unfinished commit at the end, none of it acknowledged: what a crash leaves.
    case torn
    /// Something that was durable is gone or changed: no crash does this.
    case damaged
    /// Written by a later version.
    case newer
    /// A system call failed: nothing was decided.
    case error

    package static func < (a: Verdict, b: Verdict) -> Bool { a.rank < b.rank }

    private var rank: Int {
        switch self {
        case .clean: 0
        case .zeroTail: 1
        case .torn: 2
        case .damaged: 3
        case .newer: 4
        case .error: 5
        }
    }
}

/// What is known about P, the first offset of a segment without a valid frame in its place, where
/// n is the id expected there.
package struct StopFacts: Hashable, Sendable {
    /// A whole frame (crc and position hold), at P or behind it, has an unknown presence bit.
    package var newerFrame = false
    /// Some id ≥ n is known durable.
    package var durableBeyond = false
    /// The segment is sealed and P is not its end.
    package var sealedTooShort = false
    /// crc and position at P hold but the rest is not valid.
    package var wholeButInvalid = false
    /// The segments do not join up here.
    package var disjoint = false
    /// P is the end of the file.
    package var atEnd = false
    /// Only zero bytes from P on (and at least one).
    package var zerosToEnd = false

    package init() {}
}

/// The decision table of recovery. docs/CRASH-MODEL.md shows the same rows and a test compares
/// them; the first row whose condition holds decides, and the last one always does.
package enum VerdictTable {
    /// One row: a label for people, the condition, the verdict.
    package struct Row: Sendable {
        package let label: String
        package let when: @Sendable (StopFacts) -> Bool
        package let verdict: Verdict
    }

    package static let rows: [Row] = [
        Row(label: "newer-frame", when: { $0.newerFrame }, verdict: .newer),
        Row(label: "durable-lost", when: { $0.durableBeyond }, verdict: .damaged),
        Row(label: "sealed-short", when: { $0.sealedTooShort }, verdict: .damaged),
        Row(label: "whole-invalid", when: { $0.wholeButInvalid }, verdict: .damaged),
        Row(label: "disjoint", when: { $0.disjoint }, verdict: .damaged),
        Row(label: "clean-end", when: { $0.atEnd }, verdict: .clean),
        Row(label: "zero-tail", when: { $0.zerosToEnd }, verdict: .zeroTail),
        Row(label: "torn-commit", when: { _ in true }, verdict: .torn),
    ]

    /// The row that decides.
    package static func row(for facts: StopFacts) -> Row {
        for row in rows where row.when(facts) { return row }
        preconditionFailure("the last row of the table always holds")
    }
}
