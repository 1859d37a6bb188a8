import Broker
import DataDirectory
import SystemPackage
import Testing
import Threads
import WAL
import WALTestSupport

@Suite("Publishing")
struct PublishingTests {
    @Test("ids follow each other from 0 on")
    func ids() throws {
        let bench = try Bench()
        defer { bench.broker.close() }
        let topic = try bench.topic()
        #expect(
            try bench.publish([("a", nil), ("b", nil), ("c", "k")], to: topic) == [
                .durable(0), .durable(1), .durable(2),
            ])
    }

    @Test("a key that is known gives the first id and appends nothing, also after a restart")
    func duplicates() throws {
        let bench = try Bench()
        let topic = try bench.topic()
        _ = try bench.publish([("a", "k0"), ("x", nil), ("b", "k1")], to: topic)
        #expect(try bench.publish("c", key: "k0", to: topic) == .duplicate(0))
        bench.broker.close()
        let again = try Bench(on: bench.disk)
        defer { again.broker.close() }
        let reopened = try again.topic()
        #expect(try again.publish("c", key: "k1", to: reopened) == .duplicate(2))
        #expect(try again.publish("c", key: "k2", to: reopened) == .durable(3))
    }

    @Test("at least the last so many keys appended are known, and asking does not push any out")
    func dedupeWindow() throws {
        let bench = try Bench { $0.dedupeWindow = 3 }
        let topic = try bench.topic()
        for key in ["a", "b", "c"] { _ = try bench.publish(key, key: key, to: topic) }
        // Asked for again, "a" must not outlive keys that were appended behind it.
        #expect(try bench.publish("a", key: "a", to: topic) == .duplicate(0))
        _ = try bench.publish("d", key: "d", to: topic)
        for (key, id) in [("b", 1), ("c", 2), ("d", 3)] as [(String, UInt64)] {
            #expect(try bench.publish(key, key: key, to: topic) == .duplicate(id))
        }
        #expect(try bench.publish("a", key: "a", to: topic) == .durable(4))
        bench.broker.close()
        let again = try Bench(on: bench.disk) { $0.dedupeWindow = 3 }
        defer { again.broker.close() }
        let reopened = try again.topic()
        for (key, id) in [("c", 2), ("d", 3), ("a", 4)] as [(String, UInt64)] {
            #expect(try again.publish(key, key: key, to: reopened) == .duplicate(id))
        }
        #expect(try again.publish("b", key: "b", to: reopened) == .durable(5))
    }

    @Test("however many keys fail on a full disk, those that are durable stay known")
    func failedKeys() throws {
        let bench = try Bench { $0.dedupeWindow = 8 }
        defer { bench.broker.close() }
        let topic = try bench.topic()
        let known = (0..<8).map { "known \($0)" }
        for key in known { _ = try bench.publish(key, key: key, to: topic) }
        bench.disk.follow { $0.operation == .write ? .fail(.noSpace) : nil }
        for round in 0..<30 {
            let failing = (0..<100).map { ("x", "\(round)/\($0)" as String?) }
            let told = try bench.publish(failing, to: topic)
            #expect(told.allSatisfy { if case .failed = $0 { true } else { false } })
        }
        bench.disk.follow(nil)
        for (id, key) in known.enumerated() {
            #expect(try bench.publish(key, key: key, to: topic) == .duplicate(UInt64(id)))
        }
        #expect(try bench.publish("x", key: "0/0", to: topic) == .durable(8))
        #expect(try bench.publish("x", key: known[0], to: topic) == .durable(9), "pushed out by it")
    }

    @Test("a topic whose ids are used up says so, and not that the message is at fault")
    func idsUsedUp() throws {
        let disk = MemoryDisk()
        let first = try Bench(on: disk)
        _ = try first.topic()
        first.broker.close()
        let host = LogHost(storage: Storage(disk), options: LogHost.Options())
        let log = try Log.open("/data/topics/t", host: host)
        try log.appendLost(.max - 1) { _ in }
        try log.close()
        host.shutdown()
        let bench = try Bench(on: disk)
        defer { bench.broker.close() }
        let topic = try bench.topic()
        guard case .failed(.notWritten(let text)) = try bench.publish("x", to: topic) else {
            Issue.record("it was taken")
            return
        }
        #expect(text.contains("no id left"))
    }

    @Test("whoever is told of a failed topic may ask that topic")
    func eventsWithoutLocks() throws {
        let asked = Observed<[String]>([])
        let broker = Observed<Broker?>(nil)
        let bench = try Bench { _ in
        } events: { event in
            guard case .topicFailed(let name, _) = event else { return }
            let facts = broker.value?.topic(name)?.facts
            asked.update { $0.append(facts == nil ? "nobody" : name.text) }
        }
        defer { bench.broker.close() }
        broker.update { $0 = bench.broker }
        let topic = try bench.topic()
        bench.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        _ = try bench.publish("x", to: topic)
        #expect(asked.wait { $0 == ["t"] })
        bench.disk.follow(nil)
        broker.update { $0 = nil }
    }

    @Test("a duplicate of a key that waits for the disk is answered when that is durable")
    func concurrentDuplicates() throws {
        let bench = try Bench()
        defer { bench.broker.close() }
        let topic = try bench.topic()
        let gate = Gate()
        bench.disk.follow { call in
            if call.operation == .sync { gate.pass() }
            return nil
        }
        let first = bench.receiver.begin(1)
        let second = bench.receiver.begin(2)
        bench.stage("a", key: "k", tag: first, to: topic)
        topic.commit()
        #expect(gate.waitForVisitor())
        bench.stage("a", key: "k", tag: second, to: topic)
        bench.stage("a", key: "k", tag: second, to: topic)
        #expect(bench.receiver.told(second).isEmpty)
        gate.open()
        #expect(try bench.receiver.end(first) == [.durable(0)])
        #expect(try bench.receiver.end(second) == [.duplicate(0), .duplicate(0)])
        #expect(try bench.publish("b", to: topic) == .durable(1))
    }

    @Test("if the first of a key fails, so do its duplicates, and the key can be published again")
    func failedDuplicates() throws {
        let bench = try Bench()
        defer { bench.broker.close() }
        let topic = try bench.topic()
        let gate = Gate()
        bench.disk.follow { call in
            guard call.operation == .write, call.name == "segment.log" else { return nil }
            gate.pass()
            return .fail(.noSpace)
        }
        let tag = bench.receiver.begin(4)
        bench.stage("a", key: "k", tag: tag, to: topic)
        topic.commit()
        #expect(gate.waitForVisitor())
        bench.stage("a", key: "k", tag: tag, to: topic)
        // Staged behind the one that fails: its place relied on that.
        bench.stage("b", key: "l", tag: tag, to: topic)
        bench.stage("c", tag: tag, to: topic)
        gate.open()
        let told = try bench.receiver.end(tag)
        #expect(told.allSatisfy { if case .failed(.notWritten) = $0 { true } else { false } })
        bench.disk.follow(nil)
        #expect(try bench.publish("a", key: "k", to: topic) == .durable(0))
        #expect(try bench.publish("b", key: "l", to: topic) == .durable(1))
        #expect(try bench.publish("a", key: "k", to: topic) == .duplicate(0))
    }

    @Test("on a full disk publishing fails, consumers go on, and it works again with space")
    func fullDisk() throws {
        let bench = try Bench()
        let topic = try bench.topic()
        _ = try bench.publish([("a", nil), ("b", "k")], to: topic)
        let reader = try Reader(topic)
        bench.disk.capacity = bench.disk.used + 20
        guard case .failed(.notWritten) = try bench.publish("c", key: "n", to: topic) else {
            Issue.record("written to a full disk")
            return
        }
        #expect(try reader.take().map(\.text) == ["a", "b"])
        try reader.acknowledge(0)
        bench.disk.capacity = .max
        #expect(try bench.publish("c", key: "n", to: topic) == .durable(2))
        #expect(try reader.take().map(\.text) == ["c"])
        bench.broker.close()
        let again = try Bench(on: bench.disk)
        defer { again.broker.close() }
        #expect(try Reader(try again.topic()).take().map(\.text) == ["b", "c"])
    }

    @Test(
        "behind a failed sync the topic takes nothing until it is opened again; no id comes twice")
    func failedSync() throws {
        let bench = try Bench()
        let topic = try bench.topic()
        _ = try bench.publish("a", key: "k", to: topic)
        let reader = try Reader(topic)
        _ = try reader.take()
        bench.disk.follow { $0.operation == .sync ? .fail(.ioError) : nil }
        guard case .failed(.failed) = try bench.publish("lost", key: "l", to: topic) else {
            Issue.record("acknowledged without a sync")
            return
        }
        bench.disk.follow(nil)
        // Consumers go on with what is durable.
        try reader.acknowledge(0)
        #expect(try reader.take().isEmpty)
        var told = try bench.publish("b", to: topic)
        while told != .needsReopen {
            guard case .failed(.failed) = told else {
                Issue.record("\(told)")
                return
            }
            told = try bench.publish("b", to: topic)
        }
        #expect(bench.reopen(topic))
        #expect(try bench.publish("a", key: "k", to: topic) == .duplicate(0))
        #expect(try bench.publish("b", key: "l", to: topic) == .durable(1))
        #expect(try reader.take() == [.init(id: 1, text: "b")])
        bench.broker.close()
        let again = try Bench(on: bench.disk.afterPowerLoss())
        defer { again.broker.close() }
        #expect(try Reader(try again.topic()).take().map(\.text) == ["b"])
    }

    @Test("many first publishers of a topic make it once")
    func manyMakers() throws {
        let bench = try Bench()
        defer { bench.broker.close() }
        let made = Observed<[ObjectIdentifier]>([])
        let name = try TopicName("shared")
        let makers = (0..<32).map { _ in
            OwnedThread {
                bench.broker.makeTopic(name) { result in
                    if case .success(let topic) = result {
                        made.update { $0.append(ObjectIdentifier(topic)) }
                    }
                }
            }
        }
        for maker in makers { maker.join() }
        #expect(made.wait { $0.count == 32 })
        #expect(Set(made.value).count == 1)
        #expect(bench.broker.topicCount == 1)
    }

    @Test("a topic that cannot be made is refused and can be made later")
    func makingFails() throws {
        let bench = try Bench()
        defer { bench.broker.close() }
        bench.disk.follow { $0.operation == .makeDirectory ? .fail(.noSpace) : nil }
        #expect(throws: BrokerError.self) { try bench.topic() }
        bench.disk.follow(nil)
        #expect(try bench.publish("a", to: try bench.topic()) == .durable(0))
    }

    @Test("topics are listed by name, page by page, each once")
    func pages() throws {
        let bench = try Bench()
        defer { bench.broker.close() }
        let names = (0..<25).map { "t\($0 * 7 % 25)" }
        for name in names { _ = try bench.topic(name) }
        for limit in [1, 4, 25, 100] {
            var listed: [String] = []
            while true {
                let page = bench.broker.topics(after: listed.last ?? "", limit: limit)
                if page.isEmpty { break }
                #expect(page.count <= limit)
                listed += page.map(\.text)
            }
            #expect(listed == names.sorted())
        }
        #expect(bench.broker.topics(after: "", limit: 0).isEmpty)
    }

    @Test("more topics than allowed are refused")
    func topicLimit() throws {
        let bench = try Bench { $0.topicLimit = 2 }
        defer { bench.broker.close() }
        _ = try bench.topic("a")
        _ = try bench.topic("b")
        #expect { try bench.topic("c") } throws: { error in
            if case BrokerError.busy = error { true } else { false }
        }
        _ = try bench.topic("a")
    }
}

@Suite("Starting")
struct StartingTests {
    private func isDamaged(_ error: any Error) -> Bool {
        if case BrokerError.damaged(_, let text) = error {
            text.contains("toymq-fsck")
        } else {
            false
        }
    }

    @Test("offsets.json ahead of a cut log: the topic stays closed, the others serve")
    func aheadOfTheLog() throws {
        let bench = try Bench()
        for name in ["t", "other"] {
            let topic = try bench.topic(name)
            _ = try bench.publish([("a", nil), ("b", nil)], to: topic)
            let reader = try Reader(topic)
            _ = try reader.take()
            try reader.acknowledge(1)
        }
        bench.broker.close()
        let disk = bench.disk.afterPowerLoss()
        // Cut behind the first message, which is where its first mark and frame end.
        disk.change("/data/topics/t/segment.log") { $0.removeSubrange((38 + 39)...) }
        let before = disk.files(in: "/data/topics/t")
        let again = try Bench(on: disk)
        let topic = try again.topic()
        guard case .failed(let error) = try again.publish("c", to: topic) else {
            Issue.record("published into a damaged topic")
            return
        }
        #expect(isDamaged(error))
        #expect(throws: BrokerError.self) { try Reader(topic) }
        #expect(try again.publish("c", to: try again.topic("other")) == .durable(2))
        #expect(topic.facts.condition == .damaged)
        #expect(topic.facts.firstID == nil && topic.facts.nextID == nil)
        again.broker.close()
        #expect(disk.files(in: "/data/topics/t") == before)
    }

    @Test("a damaged offsets.json keeps its topic closed and is left as it is")
    func damagedOffsets() throws {
        let bench = try Bench()
        _ = try bench.publish("a", to: try bench.topic())
        bench.broker.close()
        bench.disk.put(Array("{}\n".utf8), at: "/data/topics/t/offsets.json")
        let again = try Bench(on: bench.disk)
        let topic = try again.topic()
        guard case .failed(let error) = try again.publish("c", to: topic) else {
            Issue.record("published into a damaged topic")
            return
        }
        #expect(isDamaged(error))
        again.broker.close()
        #expect(bench.disk.bytes("/data/topics/t/offsets.json") == Array("{}\n".utf8))
    }

    @Test("a directory that is in use is refused")
    func inUse() throws {
        let bench = try Bench()
        defer { bench.broker.close() }
        #expect(throws: BrokerStartError.self) { try Bench(on: bench.disk) }
    }

    @Test("a topic whose log cannot be read is refused, and opened again later")
    func unreadable() throws {
        let bench = try Bench()
        _ = try bench.publish("a", to: try bench.topic())
        bench.broker.close()
        bench.disk.follow {
            $0.operation == .read && $0.name == "segment.log" ? .fail(.ioError) : nil
        }
        let again = try Bench(on: bench.disk)
        defer { again.broker.close() }
        let topic = try again.topic()
        #expect(topic.facts.condition == .unavailable)
        #expect(topic.facts.firstID == nil && topic.facts.nextID == nil)
        #expect(throws: BrokerError.self) { try Reader(topic) }
        bench.disk.follow(nil)
        var told = try again.publish("b", to: topic)
        while told != .needsReopen { told = try again.publish("b", to: topic) }
        #expect(again.reopen(topic))
        #expect(try again.publish("b", to: topic) == .durable(1))
        #expect(try Reader(topic).take().map(\.text) == ["a", "b"])
    }
}
