import DataDirectory
import Testing
import TestSupport
import WAL

@Suite("Acknowledgements") struct AcknowledgementsTests {
    private func ids(_ range: ClosedRange<UInt64>) -> ClosedRange<MessageID> {
        MessageID(range.lowerBound)...MessageID(range.upperBound)
    }

    @Test func nothingIsNotTheSameAsIDZero() {
        var acknowledgements = Acknowledgements()
        #expect(acknowledgements.acked == nil)
        #expect(acknowledgements.highest == nil)
        #expect(acknowledgements.firstUnacknowledged == MessageID(0))
        #expect(!acknowledgements.isAcknowledged(MessageID(0)))
        acknowledgements.acknowledge(MessageID(0))
        #expect(acknowledgements.acked == MessageID(0))
        #expect(acknowledgements.firstUnacknowledged == MessageID(1))
        #expect(acknowledgements.above.isEmpty)
    }

    @Test func aGapKeepsAckedBackUntilItIsFilled() {
        var acknowledgements = Acknowledgements()
        acknowledgements.acknowledge(MessageID(2))
        acknowledgements.acknowledge(MessageID(1))
        #expect(acknowledgements.acked == nil)
        #expect(acknowledgements.above == [ids(1...2)])
        #expect(acknowledgements.highest == MessageID(2))
        acknowledgements.acknowledge(MessageID(0))
        #expect(acknowledgements.acked == MessageID(2))
        #expect(acknowledgements.above.isEmpty)
    }

    @Test func acknowledgingTwiceSaysSo() {
        var acknowledgements = Acknowledgements()
        let answers = [5, 5, 0, 0].map { acknowledgements.acknowledge(MessageID($0)) }
        #expect(answers == [true, false, true, false])
    }

    @Test func droppedIDsMoveAckedOverTheRangesTheyTouch() {
        var acknowledgements = Acknowledgements()
        acknowledgements.acknowledge(ids(3...4))
        acknowledgements.acknowledge(ids(8...9))
        acknowledgements.acknowledge(below: MessageID(3))
        #expect(acknowledgements.acked == MessageID(4))
        #expect(acknowledgements.above == [ids(8...9)])
        acknowledgements.acknowledge(below: MessageID(0))
        #expect(acknowledgements.acked == MessageID(4))
    }

    @Test func whatIsNotAcknowledgedIsCounted() {
        var acknowledgements = Acknowledgements()
        #expect(acknowledgements.unacknowledged(below: MessageID(0)) == 0)
        #expect(acknowledgements.unacknowledged(below: MessageID(7)) == 7)
        for range in [0...1, 4...5, 8...9] as [ClosedRange<UInt64>] {
            acknowledgements.acknowledge(ids(range))
        }
        let counts = (0...12).map { acknowledgements.unacknowledged(below: MessageID($0)) }
        #expect(counts == [0, 0, 0, 1, 2, 2, 2, 3, 4, 4, 4, 5, 6])
        acknowledgements.acknowledge(ids((.max - 1)...(.max - 1)))
        #expect(acknowledgements.unacknowledged(below: MessageID(.max)) == UInt64.max - 7)
    }

    @Test func theHighestMessageIDThereIsCanBeAcknowledged() {
        var acknowledgements = Acknowledgements()
        acknowledgements.acknowledge(MessageID(.max - 1))
        #expect(acknowledgements.above == [ids((.max - 1)...(.max - 1))])
        #expect(
            acknowledgements.firstUnacknowledged(from: MessageID(.max - 1)) == MessageID(.max))
        acknowledgements.acknowledge(ids(0...(.max - 2)))
        #expect(acknowledgements.acked == MessageID(.max - 1))
    }

    @Test func anyOrderOfRangesGivesWhatASetWouldGive() {
        for seed in UInt64(0)..<60 {
            var random = Seeded(seed)
            var acknowledgements = Acknowledgements()
            var model: Set<UInt64> = []
            for _ in 0..<40 {
                let first = UInt64.random(in: 0..<48, using: &random)
                let last = min(47, first + UInt64.random(in: 0..<6, using: &random))
                acknowledgements.acknowledge(ids(first...last))
                model.formUnion(first...last)
                let wrong = difference(acknowledgements, model)
                #expect(wrong == nil, "seed \(seed)")
                if wrong != nil { return }
            }
        }
    }

    /// Says how the two differ; checks the invariant of the ranges as well.
    private func difference(_ a: Acknowledgements, _ model: Set<UInt64>) -> String? {
        for id in UInt64(0)..<50 {
            if a.isAcknowledged(MessageID(id)) != model.contains(id) { return "id \(id)" }
            let free = (id..<60).first { !model.contains($0) }
            if a.firstUnacknowledged(from: MessageID(id)).rawValue != free { return "from \(id)" }
        }
        if a.highest?.rawValue != model.max() { return "highest" }
        let contiguous = (UInt64(0)..<50).prefix { model.contains($0) }.last
        if a.acked?.rawValue != contiguous { return "acked" }
        var end = contiguous.map { $0 + 1 } ?? 0
        for range in a.above {
            guard range.lowerBound.rawValue > end else { return "ranges are not apart" }
            end = range.upperBound.rawValue + 1
        }
        return nil
    }

    @Test func closingAHundredThousandGapsInOrderIsLinear() {
        var acknowledgements = Acknowledgements()
        for id in stride(from: UInt64(1), to: 200_000, by: 2) {
            acknowledgements.acknowledge(MessageID(id))
        }
        #expect(acknowledgements.above.count == 100_000)
        for id in stride(from: UInt64(0), to: 200_000, by: 2) {
            acknowledgements.acknowledge(MessageID(id))
        }
        #expect(acknowledgements.acked == MessageID(199_999))
        #expect(acknowledgements.above.isEmpty)
    }
}
