import Foundation
import Glibc
import ProcessSupport
import Testing
import Threads
import WAL
import WALTestSupport

@Suite("The log")
struct LogTests {
    @Test(
        "a pipe that nobody reads holds nobody; what had no room is counted, and told later",
        arguments: [false, true])
    func fullPipe(isReadAtLast: Bool) throws {
        let broker = try BrokerProcess(
            try DataFolder(), ["--log-level", "debug"], pipesLog: true)
        let noisy = try broker.client()
        // A line of about 90 bytes each: more than the pipe and the queue hold.
        for _ in 0..<25 {
            try noisy.send(String(repeating: "NOISE\n", count: 1_000))
            _ = try noisy.lines(1_000)
        }
        let client = try broker.client()
        #expect(try client.publish("t", "x") == "OK 0")
        let text = Observed("")
        let reader =
            isReadAtLast ? OwnedThread { text.update { $0 = broker.readErrorToEnd() } } : nil
        #expect(broker.stop() == 0)
        guard let reader else { return }
        reader.join()
        let lines = text.value.split(separator: "\n").map(String.init)
        #expect(
            lines.contains {
                $0.hasSuffix(" lines were left out: standard error was not read in time")
            })
        #expect(lines.last?.contains(" info stopped") == true)
    }

    @Test("a second signal ends it while the pipe is full")
    func secondSignal() throws {
        let data = try DataFolder()
        let broker = try BrokerProcess(data, ["--log-level", "debug"], pipesLog: true)
        let noisy = try broker.client()
        try noisy.send(String(repeating: "NOISE\n", count: 3_000))
        _ = try noisy.lines(3_000)
        // Opening it takes as long as a disk that hangs.
        let topic = data.url.appendingPathComponent("topics/endless")
        try FileManager.default.createDirectory(at: topic, withIntermediateDirectories: false)
        let segment = topic.appendingPathComponent("segment.log")
        #expect(FileManager.default.createFile(atPath: segment.path, contents: nil))
        try FileHandle(forWritingTo: segment).truncate(atOffset: 4 << 40)
        try noisy.send("PUB endless - 1\nx\n")
        try #require(comesTrue { broker.hasOpen(segment.path) })
        let idle = try broker.client()
        #expect(try idle.isQuiet())
        broker.signal(SIGTERM)
        #expect(try idle.isClosed())
        #expect(broker.stop(SIGINT) == 1)
    }
}
