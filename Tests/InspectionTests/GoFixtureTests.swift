import DataDirectory
import Inspection
import SystemPackage
import Testing
import WAL

/// What the Go program left, against what the one who ran it wrote down.
@Suite("Go fixtures") struct GoFixtureTests {
    private func topic(_ sample: String, _ name: String) throws -> GoTopic {
        let folder = GoFixtures.path(sample).appending("data").appending("topics")
        return try #require(try GoLayout.topic(at: folder.appending(name)))
    }

    private func walk(_ log: GoLog) throws -> GoWalkResult {
        try GoWalkResult(log.segments, on: PosixDisk())
    }

    private func expectSame(_ messages: [GoWalkResult.Message], as listed: [JSONValue]) {
        #expect(messages.count == listed.count)
        for (message, entry) in zip(messages, listed) {
            let isSame =
                message.id == entry["id"]?.integer && message.key ?? "" == entry["key"]?.string
                && UInt64(message.payload.count) == entry["len"]?.integer
                && SHA256.hexadecimal(message.payload) == entry["sha256"]?.string
            if !isSame { Issue.record("message \(message.id) of \(message.segment)") }
        }
    }

    private func expectClean(_ result: GoWalkResult, count: Int) {
        #expect(result.summary.verdict == .clean)
        #expect(result.summary.firstID == (count > 0 ? 0 : nil))
        #expect(result.summary.nextID == UInt64(count))
        #expect(result.summary.messages == UInt64(count))
        #expect(result.summary.lostIDs == 0)
        #expect(result.kinds == (count > 0 ? [] : [.emptySegment]))
    }

    @Test func theFilesAreThoseOfTheManifests() throws {
        for sample in ["v1-a-clean", "v1-b-kill9-permsg", "v1-c-consumers-kill9", "v2-d-multi"] {
            let files = try GoFixtures.manifest(sample)["files"]?.members ?? []
            #expect(!files.isEmpty)
            for file in files where !file.name.hasSuffix("heavy/000000.log") {
                let path = GoFixtures.path(sample).pushing(FilePath(file.name))
                let sum = SHA256.hexadecimal(try GoFixtures.bytes(path))
                #expect(sum == file.value["sha256"]?.string, "\(file.name)")
            }
        }
    }

    @Test func aCleanlyStoppedLogHasExactlyItsMessages() throws {
        let topics = try GoFixtures.manifest("v1-a-clean")["topics"]?.members ?? []
        #expect(topics.map(\.name) == ["clean"])
        for entry in topics {
            let topic = try topic("v1-a-clean", entry.name)
            let result = try walk(try #require(topic.logs.first))
            expectClean(result, count: entry.value.elements.count)
            expectSame(result.messages, as: entry.value.elements)
        }
    }

    @Test func aKilledLogHasWhatWasAcknowledgedAndAtMostWhatWasInFlight() throws {
        let manifest = try GoFixtures.manifest("v1-b-kill9-permsg")
        let acked = manifest["acked"]?.elements ?? []
        let inFlight = manifest["in_flight_unknown"]?.elements ?? []
        let result = try walk(try #require(try topic("v1-b-kill9-permsg", "heavy").logs.first))
        expectClean(result, count: 3050)
        #expect(acked.count == 3049)
        var found: [UInt64: GoWalkResult.Message] = [:]
        for message in result.messages { found[message.id] = message }
        for entry in acked {
            let message = entry["id"]?.integer.flatMap { found.removeValue(forKey: $0) }
            let isSame =
                message?.key == entry["key"]?.string
                && message.map { UInt64($0.payload.count) } == entry["len"]?.integer
                && message.map { SHA256.hexadecimal($0.payload) } == entry["sha256"]?.string
            if !isSame { Issue.record("acknowledged message \(entry)") }
        }
        for message in found.values {
            let entry = inFlight.first { $0["key"]?.string == message.key }
            #expect(entry?["sha256"]?.string == SHA256.hexadecimal(message.payload))
        }
        #expect(found.count == 1)
    }

    @Test func namesOfAnyKindAndConsumersAreRead() throws {
        let sample = "v1-c-consumers-kill9"
        let manifest = try GoFixtures.manifest(sample)
        for entry in manifest["topics"]?.members ?? [] {
            let log = try #require(try topic(sample, entry.name).logs.first)
            let result = try walk(log)
            expectClean(result, count: entry.value.elements.count)
            expectSame(result.messages, as: entry.value.elements)
            let consumers = try GoOffsets.load(log.offsetsFile)
            let seen = manifest["offsets_json_seen"]?[entry.name]
            #expect((consumers == nil) == (seen == .null))
            let listed = seen?["consumers"]?.members ?? []
            #expect(Set((consumers ?? []).map(\.name)) == Set(listed.map(\.name)))
            for consumer in consumers ?? [] {
                let expected = seen?["consumers"]?[consumer.name]
                let hasAcked = expected?["has_acked"]?.bool == true
                #expect(consumer.acked == (hasAcked ? expected?["last_acked"]?.integer : nil))
                let above = expected?["above_last"]?.elements.compactMap(\.integer)
                #expect(consumer.above == above)
                let sent = manifest["acks_sent_in_order"]?[entry.name]?[consumer.name]
                let ids = Set((sent?.elements ?? []).compactMap(\.integer))
                for id in UInt64(0)..<30 {
                    let isAcked = consumer.acknowledgements.isAcknowledged(MessageID(id))
                    #expect(isAcked == ids.contains(id), "\(consumer.name) \(id)")
                }
            }
        }
    }

    @Test func segmentsPartitionsAndDelaysAreRead() throws {
        let manifest = try GoFixtures.manifest("v2-d-multi")
        for name in ["flat", "delayed"] {
            let listed = manifest["topics"]?[name]?.elements ?? []
            let log = try #require(try topic("v2-d-multi", name).logs.first)
            let result = try walk(log)
            expectClean(result, count: listed.count)
            expectSame(result.messages, as: listed)
            #expect(result.messages.allSatisfy { $0.visibleAt != nil })
            for (message, entry) in zip(result.messages, listed) {
                guard let delay = entry["delay_ms"]?.integer else { continue }
                let visible = try #require(message.visibleAt)
                // No delay is written as 0, another one as a time that is so far ahead.
                let isRight =
                    delay == 0
                    ? visible == 0
                    : visible > message.timestamp
                        && (visible - message.timestamp + 999_999) / 1_000_000 >= delay
                        && (visible - message.timestamp) / 1_000_000 <= delay + 5
                #expect(isRight || visible == 0, "\(message)")
            }
        }
        #expect(try walk(try #require(try topic("v2-d-multi", "flat.dlq").logs.first)).ids == [0])
        let parts = try topic("v2-d-multi", "parts")
        #expect(parts.meta == .partitions(4))
        #expect(parts.missingPartitions.isEmpty)
        #expect(parts.logs.map(\.partition) == [0, 1, 2, 3])
        for log in parts.logs {
            let number = try #require(log.partition)
            let listed = manifest["topics"]?["parts"]?["\(number)"]?.elements ?? []
            let result = try walk(log)
            expectClean(result, count: listed.count)
            expectSame(result.messages, as: listed)
        }
        let fan = (manifest["fan_acked"]?.elements ?? []).filter {
            $0["partition"]?.integer == 2
        }
        let consumer = try #require(try GoOffsets.load(parts.logs[2].offsetsFile)?.first)
        #expect(consumer.name == "fan")
        for id in fan.compactMap({ $0["id"]?.integer }) {
            #expect(consumer.acknowledgements.isAcknowledged(MessageID(id)))
        }
    }

    @Test func theSumsThemselvesAreRight() {
        #expect(
            SHA256.hexadecimal(GoBytes.text("abc"))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            SHA256.hexadecimal([])
                == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }
}
