import DataDirectory
import GoImport
import SystemPackage
import Testing
import TestSupport
import WAL

/// What the Go program left, taken over, against what the one who ran it wrote down.
@Suite("Import of the Go fixtures") struct ImportFixtureTests {
    /// Compares a topic with the Go log it came from and with the manifest.
    private func expectSame(
        _ name: String, in layout: DataLayout, as folder: FilePath, listed: [JSONValue]
    ) throws {
        let opened = try OpenedTopic(name, in: layout)
        let original = try Go.messages(folder)
        #expect(opened.recovery.tail == .clean)
        #expect(opened.messages.map(\.id) == original.map(\.id))
        #expect(opened.messages.count == listed.count)
        for (message, (original, entry)) in zip(opened.messages, zip(original, listed)) {
            let isSame =
                message.id == entry["id"]?.integer
                && String(decoding: message.key ?? [], as: UTF8.self) == entry["key"]?.string
                && UInt64(message.payload.count) == entry["len"]?.integer
                && message.key == (original.key.isEmpty ? nil : original.key)
                && message.payload == original.payload
                && message.header("imported-timestamp") == "\(original.timestamp)"
                && message.header("imported-visible-at")
                    == original.visibleAt.flatMap { $0 == 0 ? nil : "\($0)" }
            if !isSame { Issue.record("message \(message.id) of \(name)") }
        }
    }

    @Test func aCleanLogIsTakenOverWhole() throws {
        let directory = try TemporaryDirectory()
        let source = Fixtures.path("v1-a-clean/data")
        let report = try GoImport(source, into: directory.data).run()
        #expect(report.isComplete && report.issues.isEmpty)
        #expect(report.topics.map(\.name.text) == ["clean"])
        #expect(report.topics.first?.messages == 200)
        let listed = try Fixtures.manifest("v1-a-clean")["topics"]?["clean"]?.elements ?? []
        try expectSame(
            "clean", in: directory.data, as: Fixtures.path("v1-a-clean/data/topics/clean"),
            listed: listed)
    }

    @Test func nothingThatWasAcknowledgedBeforeAKillIsMissing() throws {
        let directory = try TemporaryDirectory()
        let folder = Fixtures.path("v1-b-kill9-permsg/data/topics/heavy")
        let report = try GoImport(folder, into: directory.data).run()
        #expect(report.isComplete)
        let opened = try OpenedTopic("heavy", in: directory.data)
        #expect(opened.messages.count == 3050)
        let acked = try Fixtures.manifest("v1-b-kill9-permsg")["acked"]?.elements ?? []
        #expect(acked.count > 3000)
        for entry in acked {
            let id = try #require(entry["id"]?.integer)
            let message = opened.messages[Int(id)]
            #expect(message.id == id)
            #expect(String(decoding: message.key ?? [], as: UTF8.self) == entry["key"]?.string)
            #expect(UInt64(message.payload.count) == entry["len"]?.integer)
        }
    }

    @Test func positionsAreTakenOverAndWhatCannotBeIsListed() throws {
        let directory = try TemporaryDirectory()
        let sample = Fixtures.path("v1-c-consumers-kill9/data")
        let report = try GoImport(sample, into: directory.data).run()
        #expect(report.topics.map(\.name.text) == ["audit.log", "empty-topic", "orders"])
        #expect(!report.isComplete)
        #expect(report.issues.filter { !$0.isRemark }.map(\.kind) == [.name, .consumer])
        #expect(report.issues.contains { $0.path.lastComponent?.string == "тема" })
        let manifest = try Fixtures.manifest("v1-c-consumers-kill9")
        for topic in ["orders", "audit.log"] {
            try expectSame(
                topic, in: directory.data,
                as: sample.appending("topics").appending(topic),
                listed: manifest["topics"]?[topic]?.elements ?? [])
            let offsets = try #require(try OpenedTopic(topic, in: directory.data).offsets)
            let seen = manifest["offsets_json_seen"]?[topic]?["consumers"]?.members ?? []
            #expect(!seen.isEmpty)
            for consumer in seen {
                guard let id = try? ConsumerID(consumer.name) else { continue }
                let taken = try #require(offsets[id])
                let hasAcked = consumer.value["has_acked"]?.bool ?? false
                let lastAcked = consumer.value["last_acked"]?.integer.map { MessageID($0) }
                #expect(taken.acked == (hasAcked ? lastAcked : nil))
                let above = consumer.value["above_last"]?.elements.compactMap(\.integer) ?? []
                let takenAbove = taken.above.flatMap { range in
                    Array(range.lowerBound.rawValue...range.upperBound.rawValue)
                }
                #expect(takenAbove == above)
            }
        }
        let empty = try OpenedTopic("empty-topic", in: directory.data, appending: 1)
        #expect(empty.messages.map(\.id) == [0])
    }

    @Test func aNameOutsideTheAlphabetNeedsAnother() throws {
        let directory = try TemporaryDirectory()
        let folder = Fixtures.path("v1-c-consumers-kill9/data/topics/тема")
        let without = try GoImport(folder, into: directory.data).run()
        #expect(without.topics.isEmpty && !without.isComplete)
        #expect(directory.names(in: directory.path).isEmpty, "DATA is not made for nothing")
        let name = try TopicName("theme")
        let report = try GoImport(folder, into: directory.data, as: name).run()
        #expect(report.isComplete)
        let manifest = try Fixtures.manifest("v1-c-consumers-kill9")
        try expectSame(
            "theme", in: directory.data, as: folder,
            listed: manifest["topics"]?["тема"]?.elements ?? [])
    }

    @Test func partitionsBecomeTopics() throws {
        let directory = try TemporaryDirectory()
        let folder = Fixtures.path("v2-d-multi/data/topics/parts")
        let report = try GoImport(folder, into: directory.data).run()
        #expect(report.isComplete)
        #expect(report.topics.map(\.name.text) == ["parts.0", "parts.1", "parts.2", "parts.3"])
        let manifest = try Fixtures.manifest("v2-d-multi")
        for number in 0..<4 {
            try expectSame(
                "parts.\(number)", in: directory.data, as: folder.appending("\(number)"),
                listed: manifest["topics"]?["parts"]?["\(number)"]?.elements ?? [])
        }
        let acked = manifest["fan_acked"]?.elements ?? []
        #expect(acked.count > 100)
        for entry in acked {
            let partition = try #require(entry["partition"]?.integer)
            let id = try #require(entry["id"]?.integer)
            let layout = directory.data
            let file = OffsetsFile(layout.offsetsFile(of: try TopicName("parts.\(partition)")))
            let offsets = try #require(try file.load())
            #expect(offsets[try ConsumerID("fan")]?.isAcknowledged(MessageID(id)) == true)
        }
    }

    @Test(arguments: [nil, "other"]) func onePartitionBecomesOneTopic(name: String?) throws {
        let directory = try TemporaryDirectory()
        let folder = Fixtures.path("v2-d-multi/data/topics/parts/2")
        let report = try GoImport(
            folder, into: directory.data, as: try name.map { try TopicName($0) }
        ).run()
        #expect(report.topics.map(\.name.text) == ["\(name ?? "parts").2"])
        #expect(report.topics.first?.messages == 95)
    }

    @Test func delaysBecomeHeadersAndTheirLossIsTold() throws {
        let directory = try TemporaryDirectory()
        let folder = Fixtures.path("v2-d-multi/data/topics/delayed")
        let before = LogHost.Options().clock()
        let report = try GoImport(folder, into: directory.data).run()
        let manifest = try Fixtures.manifest("v2-d-multi")
        try expectSame(
            "delayed", in: directory.data, as: folder,
            listed: manifest["topics"]?["delayed"]?.elements ?? [])
        let original = try Go.messages(folder)
        #expect(original.contains { $0.visibleAt ?? 0 > 0 })
        // One of them is far ahead; in some years it will not be.
        let future = original.filter { $0.visibleAt ?? 0 > before }.map(\.id)
        let told = report.issues.filter { $0.kind == .delay }.flatMap(\.ids)
        #expect(told == future.map { MessageID($0)...MessageID($0) })
        #expect(report.isComplete == future.isEmpty)
    }
}
