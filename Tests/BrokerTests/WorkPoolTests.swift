import Broker
import Testing
import Threads
import WAL
import WALTestSupport

@Suite("The pool of threads", .timeLimit(.minutes(5)))
struct WorkPoolTests {
    enum End: CaseIterable, Sendable { case finish, shutdown }

    private static func end(_ pool: WorkPool, _ end: End) {
        switch end {
        case .finish: #expect(pool.finish(deadline: .max))
        case .shutdown: pool.shutdown()
        }
    }

    @Test(
        "it may be ended more than once, in either way", arguments: End.allCases, End.allCases)
    func again(first: End, second: End) {
        let pool = WorkPool(threads: 3)
        let count = Observed(0)
        for _ in 0..<100 { pool.run { count.update { $0 += 1 } } }
        WorkPoolTests.end(pool, first)
        #expect(count.value == 100)
        WorkPoolTests.end(pool, second)
        WorkPoolTests.end(pool, first)
        pool.run { count.update { $0 += 1 } }
        #expect(count.value == 100)
    }

    @Test("several may end it at once, and each comes back when everything was done")
    func atOnce() {
        let pool = WorkPool(threads: 2)
        let gate = Gate()
        let isDone = Event()
        pool.run {
            gate.pass()
            isDone.fire()
        }
        let early = Observed(0)
        let enders = [End.finish, .shutdown, .shutdown, .finish].map { end in
            OwnedThread {
                WorkPoolTests.end(pool, end)
                if !isDone.hasFired { early.update { $0 += 1 } }
            }
        }
        #expect(gate.waitForVisitor())
        gate.open()
        for ender in enders { ender.join() }
        #expect(early.value == 0)
    }

    @Test("what hangs is not waited for behind the deadline, and may be ended when it goes on")
    func deadline() {
        let pool = WorkPool(threads: 2)
        let gate = Gate()
        pool.run { gate.pass() }
        #expect(!pool.finish(deadline: MonotonicClock.now() + 1_000_000))
        gate.open()
        pool.shutdown()
        #expect(pool.finish(deadline: 0))
    }
}
