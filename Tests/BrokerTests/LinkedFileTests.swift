import Broker
import DataDirectory
import Foundation
import Glibc
import SystemPackage
import Testing
import TestSupport
import WAL
import WALTestSupport

/// Names in a topic's directory that are links to nothing.
@Suite struct LinkedFileTests {
    @Test(
        "a file that is a link to nothing keeps the topic closed, and is named",
        arguments: ["offsets.json", "segment.log", "00000000000000000000.log"])
    func danglingLinks(name: String) throws {
        let directory = try TemporaryDirectory()
        let topic = try directory.makeDirectory("topics/t")
        let log = try Log.open(topic, host: .on(PosixDisk()))
        try log.append(TestMessage("a"))
        try log.close()
        let path = topic.appending(name)
        if name == "segment.log" { try FileManager.default.removeItem(atPath: path.string) }
        #expect(symlink("nowhere", path.string) == 0)
        let broker = try Broker(directory.path)
        defer { broker.close() }
        let made = Observed<Result<Topic, BrokerError>?>(nil)
        broker.makeTopic(try TopicName("t")) { result in made.update { $0 = result } }
        #expect(made.wait(until: { $0 != nil }))
        let facts = try #require(made.value).get().facts
        #expect(facts.condition == .unavailable)
        #expect(facts.reason?.contains("cannot open \(path)") == true, "\(facts.reason ?? "")")
        // Neither is anything made in its place.
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path.string) == "nowhere")
    }
}
