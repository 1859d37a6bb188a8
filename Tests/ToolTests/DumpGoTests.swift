import Foundation
import ProcessSupport
import Testing

/// Samples of the Go program against what the one who ran it wrote down.
@Suite("Dump: Go logs", .timeLimit(.minutes(10))) struct DumpGoTests {
    private static var samples: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Fixtures/go")
    }

    private func manifest(_ sample: String) throws -> [String: Any] {
        let file = DumpGoTests.samples.appendingPathComponent("\(sample)/manifest.json")
        let object = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
        return try #require(object as? [String: Any])
    }

    /// What is printed of a topic.
    private func dump(_ sample: String, _ topic: String) throws -> [[String: Any]] {
        let data = DumpGoTests.samples.appendingPathComponent("\(sample)/data").path
        let process = try DumpProcess.run(
            data, "--json", "--payload", "base64", "--topic", topic)
        #expect(process.exit() == 0)
        return process.objects.filter { $0["finding"] == nil }
    }

    private func payload(_ frame: [String: Any]) throws -> Data {
        try #require(Data(base64Encoded: frame.text("payload_base64") ?? "-"))
    }

    /// The sums that sha256sum computes.
    private func sums(_ payloads: [Data]) throws -> [String] {
        if payloads.isEmpty { return [] }
        let folder = try DumpFolder()
        var names: [String] = []
        for (index, payload) in payloads.enumerated() {
            names.append(folder.path + "/\(index)")
            try payload.write(to: URL(fileURLWithPath: names[index]))
        }
        let ran = try FinishedProcess(["/usr/bin/sha256sum"] + names)
        return ran.output.split(separator: "\n").map {
            String($0.prefix(64))
        }
    }

    private func expectSame(_ frames: [[String: Any]], _ listed: [[String: Any]]) throws {
        #expect(frames.count == listed.count)
        let payloads = try frames.map(payload)
        let sums = try sums(payloads)
        for (index, (frame, entry)) in zip(frames, listed).enumerated() {
            let key = entry.text("key") ?? ""
            let isSame =
                frame.number("id") == entry.number("id") && frame.text("key") ?? "" == key
                && UInt64(payloads[index].count) == entry.number("len")
                && sums[index] == entry.text("sha256")
            if !isSame { Issue.record("message \(entry)") }
            #expect(frame["position"] == nil && frame["commit"] == nil)
        }
    }

    @Test func topicsHaveTheMessagesOfTheirManifests() throws {
        for sample in ["v1-a-clean", "v1-c-consumers-kill9", "v2-d-multi"] {
            let topics = try #require(try manifest(sample)["topics"] as? [String: Any])
            for (name, value) in topics {
                if let listed = value as? [[String: Any]] {
                    try expectSame(try dump(sample, name), listed)
                }
                guard let partitions = value as? [String: Any] else { continue }
                for (partition, value) in partitions {
                    guard let listed = value as? [[String: Any]], UInt64(partition) != nil else {
                        continue
                    }
                    try expectSame(try dump(sample, "\(name).\(partition)"), listed)
                }
            }
        }
    }

    @Test func aKilledLogHasWhatWasAcknowledged() throws {
        let listed = try #require(
            try manifest("v1-b-kill9-permsg")["acked"] as? [[String: Any]])
        var frames: [UInt64: [String: Any]] = [:]
        for frame in try dump("v1-b-kill9-permsg", "heavy") {
            frames[try #require(frame.number("id"))] = frame
        }
        #expect(frames.count == 3050)
        let found = try listed.map { try #require(frames[$0.number("id") ?? .max]) }
        try expectSame(found, listed)
    }
}
