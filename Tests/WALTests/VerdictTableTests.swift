import Testing

@testable import WAL

/// Each combination of facts falls into the first row that holds, in the order of the contract.
@Suite struct VerdictTableTests {
    private static var facts: [WritableKeyPath<StopFacts, Bool>] {
        [
            \.newerFrame, \.durableBeyond, \.sealedTooShort, \.wholeButInvalid, \.disjoint,
            \.atEnd, \.zerosToEnd,
        ]
    }
    private static let labels = [
        "newer-frame", "durable-lost", "sealed-short", "whole-invalid", "disjoint", "clean-end",
        "zero-tail", "torn-commit",
    ]
    private static let verdicts: [Verdict] = [
        .newer, .damaged, .damaged, .damaged, .damaged, .clean, .zeroTail, .torn,
    ]

    @Test func theRowsAreThoseOfTheContractInItsOrder() {
        #expect(VerdictTable.rows.map(\.label) == VerdictTableTests.labels)
        #expect(VerdictTable.rows.map(\.verdict) == VerdictTableTests.verdicts)
    }

    @Test func everyCombinationIsDecidedByTheFirstFactThatHolds() {
        let count = VerdictTableTests.facts.count
        for bits in 0..<(1 << count) {
            var facts = StopFacts()
            for (bit, fact) in VerdictTableTests.facts.enumerated() {
                facts[keyPath: fact] = bits >> bit & 1 == 1
            }
            let first = (0..<count).first { bits >> $0 & 1 == 1 } ?? count
            let row = VerdictTable.row(for: facts)
            #expect(row.label == VerdictTableTests.labels[first])
            #expect(row.verdict == VerdictTableTests.verdicts[first])
        }
    }

    @Test func everyRowDecidesSomething() {
        var seen: Set<String> = [VerdictTable.row(for: StopFacts()).label]
        for fact in VerdictTableTests.facts {
            var facts = StopFacts()
            facts[keyPath: fact] = true
            seen.insert(VerdictTable.row(for: facts).label)
        }
        #expect(seen == Set(VerdictTableTests.labels))
    }

    @Test func theFactsEnumeratedHereAreAllThereAre() {
        #expect(Mirror(reflecting: StopFacts()).children.count == VerdictTableTests.facts.count)
    }

    @Test func verdictsAreOrderedFromHarmlessToWorst() {
        let order: [Verdict] = [.clean, .zeroTail, .torn, .damaged, .newer, .error]
        #expect(order.sorted() == order)
        #expect(Set(order) == Set(Verdict.allCases))
        #expect(
            order.map(\.rawValue) == ["clean", "zero-tail", "torn", "damaged", "newer", "error"])
    }
}
