import Glibc
import Testing

@testable import Server

@Suite("The queue of answers")
struct AnswerQueueTests {
    private func texts(_ queue: inout AnswerQueue) -> [String] {
        var texts: [String] = []
        while case .text(let text)? = queue.next() {
            texts.append(String(decoding: text, as: UTF8.self))
        }
        return texts
    }

    @Test("duplicates are answered in the order in which they were asked, whoever is settled first")
    func order() {
        var queue = AnswerQueue()
        queue.addDuplicate(ticket: 3)
        queue.add(Array("between".utf8))
        queue.addDuplicate(ticket: 7)
        queue.addDuplicate(ticket: 8)
        queue.settle(ticket: 8, Array("c".utf8))
        queue.settle(ticket: 5, Array("nobody's".utf8))
        queue.settle(ticket: 7, Array("b".utf8))
        #expect(queue.waiting == 1)
        #expect(texts(&queue) == [])
        queue.settle(ticket: 3, Array("a".utf8))
        #expect(queue.waiting == 0)
        #expect(texts(&queue) == ["a", "between", "b", "c"])
        #expect(queue.isEmpty)
        queue.addDuplicate(ticket: 9)
        queue.settle(ticket: 9, Array("d".utf8))
        #expect(texts(&queue) == ["d"])
    }

    /// Processor time of this thread in seconds: others do not count.
    private var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// With a look at each of those before it for every one it takes minutes.
    @Test("settling fifty thousand duplicates costs next to nothing")
    func many() {
        var queue = AnswerQueue()
        let count: UInt64 = 50_000
        for ticket in 0..<count { queue.addDuplicate(ticket: ticket) }
        let begin = processorSeconds
        for ticket in 0..<count {
            queue.settle(ticket: ticket, [UInt8(truncatingIfNeeded: ticket)])
        }
        #expect(processorSeconds - begin < 10)
        var answers: UInt64 = 0
        while case .text(let text)? = queue.next() {
            guard text == [UInt8(truncatingIfNeeded: answers)] else { break }
            answers += 1
        }
        #expect(answers == count)
        #expect(queue.isEmpty)
    }

    // MARK: Publishes

    private final class Name {}
    /// Kept: an identifier is of an object that there is.
    private let objects = (0..<3).map { _ in Name() }
    private var slow: ObjectIdentifier { ObjectIdentifier(objects[0]) }
    private var fast: ObjectIdentifier { ObjectIdentifier(objects[1]) }
    private var other: ObjectIdentifier { ObjectIdentifier(objects[2]) }

    /// First ids and numbers of what comes out.
    private func durable(_ queue: inout AnswerQueue) -> [ClosedRange<UInt64>] {
        var ids: [ClosedRange<UInt64>] = []
        while case .outcome(.durable(let first, let count))? = queue.next() {
            ids.append(first...first + UInt64(count) - 1)
        }
        return ids
    }

    @Test("what comes of publishes goes to the runs of their topic in order, across their borders")
    func runs() {
        var queue = AnswerQueue()
        for topic in [slow, fast, fast, slow, other, fast, fast, fast, slow] {
            queue.addPublish(topic)
        }
        queue.settle(fast, .durable(first: 10, count: 3))
        queue.settle(fast, .durable(first: 20, count: 2))
        #expect(durable(&queue) == [])
        #expect(queue.waiting == 4)
        queue.settle(slow, .durable(first: 1, count: 2))
        #expect(durable(&queue) == [1...1, 10...11, 2...2])
        // Behind all that have come back, into a topic that has been in the queue before.
        queue.addPublish(fast)
        queue.settle(slow, .durable(first: 3, count: 1))
        queue.settle(other, .durable(first: 7, count: 1))
        #expect(durable(&queue) == [7...7, 12...12, 20...21, 3...3])
        #expect(queue.takeAll(other, 1) == false)
        #expect(queue.takeAll(fast, 2) == false)
        #expect(queue.takeAll(fast, 1) == true)
        #expect(queue.isEmpty && queue.waiting == 0)
        queue.addPublish(slow)
        queue.settle(slow, .durable(first: 4, count: 1))
        #expect(durable(&queue) == [4...4])
        #expect(queue.isEmpty)
    }

    @Test("a last run that has come back whole takes further publishes")
    func lastRunGoesOn() {
        var queue = AnswerQueue()
        queue.addPublish(slow)
        for id in 0..<3 as Range<UInt64> {
            queue.addPublish(fast)
            queue.settle(fast, .durable(first: 2 * id, count: 1))
        }
        queue.addPublish(fast)
        queue.addPublish(other)
        queue.addPublish(fast)
        queue.settle(fast, .durable(first: 6, count: 2))
        queue.settle(slow, .durable(first: 0, count: 1))
        #expect(durable(&queue) == [0...0, 0...0, 2...2, 4...4, 6...6])
        queue.settle(other, .durable(first: 0, count: 1))
        #expect(durable(&queue) == [0...0, 7...7])
        #expect(queue.isEmpty)
    }

    @Test("ids that follow each other are one outcome, however many commits they came in")
    func joined() {
        var queue = AnswerQueue()
        queue.addPublish(slow)
        for id in 0..<10_000 as Range<UInt64> {
            queue.addPublish(fast)
            queue.settle(fast, .durable(first: id, count: 1))
        }
        queue.settle(slow, .durable(first: 0, count: 1))
        #expect(durable(&queue) == [0...0, 0...9_999])
    }

    @Test("answers that wait for another topic's disk fill the queue, also if they are one run")
    func full() {
        var queue = AnswerQueue()
        queue.addPublish(slow)
        var answers = 0
        while !queue.isFull, answers <= AnswerQueue.mostAnswers {
            queue.addPublish(fast)
            queue.settle(fast, .durable(first: UInt64(answers), count: 1))
            answers += 1
        }
        // There is a little more in the queue than those.
        #expect((AnswerQueue.mostAnswers - 8...AnswerQueue.mostAnswers).contains(answers))
        queue.settle(slow, .durable(first: 0, count: 1))
        #expect(durable(&queue).count == 2)
        #expect(!queue.isFull)
    }

    /// From the front of an array they are taken in a minute.
    @Test("a hundred thousand commits behind a disk that hangs are answered in next to no time")
    func manyOutcomes() {
        var queue = AnswerQueue()
        let count: UInt64 = 100_000
        queue.addPublish(slow)
        let begin = processorSeconds
        for id in 0..<count {
            queue.addPublish(fast)
            queue.settle(fast, .durable(first: 2 * id, count: 1))
        }
        queue.settle(slow, .durable(first: 0, count: 1))
        #expect(durable(&queue).count == Int(count) + 1)
        #expect(processorSeconds - begin < 10)
        #expect(queue.isEmpty)
    }

    /// With a look at each run before they take minutes.
    @Test("sixty thousand runs in turns are settled in next to no time")
    func manyRuns() {
        var queue = AnswerQueue()
        let count: UInt64 = 30_000
        queue.addPublish(slow)
        for _ in 0..<count {
            queue.addPublish(fast)
            queue.addPublish(other)
        }
        let begin = processorSeconds
        for topic in [other, fast] {
            for id in 0..<count { queue.settle(topic, .durable(first: 2 * id, count: 1)) }
        }
        queue.settle(slow, .durable(first: 0, count: 1))
        #expect(durable(&queue).count == 2 * Int(count) + 1)
        #expect(processorSeconds - begin < 10)
        #expect(queue.isEmpty)
    }
}
