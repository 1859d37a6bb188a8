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
}
