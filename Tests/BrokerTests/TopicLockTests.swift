import DataDirectory
import SystemPackage
import Testing
import Threads
import WAL
import WALTestSupport

@testable import Broker

@Suite("What is done under a topic's lock")
struct TopicLockTests {
    @Test("a commit looks at those who wait, each once, and at nobody who has left for long")
    func waitingConsumers() throws {
        let bench = try Bench()
        defer { bench.broker.close() }
        let topic = try bench.topic()
        for number in 0..<50 {
            let reader = try Reader(topic, "c\(number)")
            #expect(reader.subscription.waitForMore())
            reader.subscription.end()
        }
        let stays = try Reader(topic, "c7")
        #expect(stays.subscription.waitForMore())
        #expect(stays.subscription.waitForMore())
        #expect(topic.state.withLock { $0.waiting.count } == 50)
        _ = try bench.publish("a", to: topic)
        #expect(stays.woken.wait { $0 == 1 })
        #expect(comesTrue { topic.state.withLock { $0.waiting.isEmpty } })
        // Who reads is not there either, and who waits again is.
        _ = try bench.publish("b", to: topic)
        #expect(try stays.take().map(\.text) == ["a", "b"])
        #expect(stays.subscription.waitForMore())
        #expect(topic.state.withLock { $0.waiting.map(\.id) } == [try ConsumerID("c7")])
        _ = try bench.publish("c", to: topic)
        #expect(stays.woken.wait { $0 == 2 })
    }

    @Test("a topic found damaged while it is opened again closes the new log behind its lock")
    func damagedWhileReopening() throws {
        let bench = try Bench()
        defer { bench.broker.close() }
        let topic = try bench.topic()
        _ = try bench.publish("a", to: topic)
        bench.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        guard case .failed(.failed) = try bench.publish("lost", to: topic) else {
            Issue.record("acknowledged without a sync")
            return
        }
        let isDamaged = Observed(false)
        let isHeld = Observed(false)
        let askers = Observed<[OwnedThread]>([])
        bench.disk.follow { call in
            if !isDamaged.value, call.operation == .lock {
                isDamaged.update { $0 = true }
                topic.found(damage: .damaged(segment: "/data/topics/t/segment.log", offset: 0))
            } else if isDamaged.value {
                let asked = Event()
                let asker = OwnedThread {
                    _ = topic.log
                    asked.fire()
                }
                askers.update { $0.append(asker) }
                // If this thread has the lock, the asker comes to its end behind this call only.
                if !asked.wait(5) { isHeld.update { $0 = true } }
            }
            return nil
        }
        #expect(comesTrue { topic.mayBeTriedAgain })
        #expect(bench.reopen(topic))
        for asker in askers.value { asker.join() }
        #expect(isDamaged.value)
        #expect(!isHeld.value)
        bench.disk.follow(nil)
        guard case .failed(.damaged) = try bench.publish("b", to: topic) else {
            Issue.record("published into a damaged topic")
            return
        }
        // The new log has given the directory up.
        #expect(bench.disk.state.withLock { $0.locks.count } == 1)
    }
}

extension Topic {
    fileprivate var mayBeTriedAgain: Bool {
        state.withLock { state in
            guard case .failed(_, _, let retryAt) = state.phase else { return false }
            return MonotonicClock.now() >= retryAt
        }
    }
}
