import Foundation
import SystemPackage
import Testing
import WAL

/// `--follow` beside a writer.
@Suite("Dump: following", .serialized, .timeLimit(.minutes(10)))
struct DumpFollowTests {
    private func append(_ log: Log, _ text: String) throws {
        let bytes = Array(text.utf8)
        _ = try log.appendBlocking(Message(payload: RawSpan(of: bytes)))
    }

    private func payloads(_ process: DumpProcess) -> [String] {
        process.objects.compactMap { $0.text("payload") }
    }

    @Test func framesAppearAcrossSealsAndEachOnce() throws {
        let folder = try DumpFolder()
        let topic = try folder.topic("a")
        let host = LogHost()
        defer { host.shutdown() }
        var options = LogOptions()
        options.segmentBytes = 4096
        let log = try Log.open(FilePath(topic.path), host: host, options: options)
        var expected: [String] = []
        func more(_ count: Int) throws {
            for _ in 0..<count {
                expected.append("message \(expected.count) " + String(repeating: "x", count: 200))
                try append(log, expected[expected.count - 1])
            }
        }
        try more(30)
        let process = try DumpProcess([folder.path, "--json", "--follow"])
        #expect(process.waits { payloads($0) == expected })
        for _ in 0..<5 {
            try more(40)
            #expect(process.waits { payloads($0) == expected })
        }
        #expect(process.objects.compactMap { $0.number("id") } == (0..<230).map(UInt64.init))
        #expect(Set(process.objects.compactMap { $0.text("segment") }).count > 1)
        #expect(process.objects.allSatisfy { $0["durable"] is Bool })
        #expect(process.objects.first?["durable"] as? Bool == true)
        #expect(process.isRunning)
        process.interrupt()
        #expect(process.exit() == 0)
        #expect(process.error == "")
        try log.close()
    }

    @Test func whatNothingProvesIsSaidNotToBeDurable() throws {
        let folder = try DumpFolder()
        let file = try folder.topic("a").appendingPathComponent("segment.log")
        var frames = [DumpFrame.mark(0), .message(0, Array("a".utf8))]
        func put(_ extra: [UInt8] = []) throws {
            let handle = try FileHandle(forWritingTo: file)
            try handle.write(contentsOf: Data(DumpFrame.segment(frames) + extra))
            try handle.close()
        }
        try Data().write(to: file)
        try put()
        let process = try DumpProcess([folder.path, "--json", "--follow"])
        #expect(process.waits { payloads($0) == ["a"] })
        // Half a frame, and zeros behind the last one, say nothing.
        try put(Array(DumpFrame.message(1, []).bytes.prefix(20)))
        // It looks at all topics in turn: when it has shown one that is made now, it has seen that.
        let other = try folder.topic("b").appendingPathComponent("segment.log")
        try Data(DumpFrame.segment([.mark(0), .message(0, Array("other".utf8))])).write(to: other)
        #expect(process.waits { payloads($0).contains("other") })
        #expect(payloads(process) == ["a", "other"])
        frames.append(.message(1, Array("b".utf8)))
        frames.append(.message(2, Array("c".utf8)))
        frames[3].commitIndex = 1
        try put([UInt8](repeating: 0, count: 500))
        #expect(process.waits { payloads($0) == ["a", "other", "b", "c"] })
        frames.append(.message(3, Array("d".utf8)))
        frames.append(.mark(4))
        frames.append(.message(4, Array("e".utf8)))
        try put()
        #expect(process.waits { payloads($0) == ["a", "other", "b", "c", "d", "e"] })
        let shown = process.objects.filter { $0.text("topic") == "a" }
        let durable = shown.compactMap { $0["durable"] as? Bool }
        #expect(durable == [false, false, false, true, false])
        process.terminate()
        #expect(process.exit() == 0)
    }

    @Test func itMayBeginAtHalfAFrame() throws {
        let folder = try DumpFolder()
        let whole = DumpFrame.segment([
            .mark(0), .message(0, Array("a".utf8)), .mark(1), .message(1, Array("later".utf8)),
        ])
        let native = try folder.topic("native").appendingPathComponent("segment.log")
        let other = try folder.topic("go").appendingPathComponent("000000.log")
        let go = DumpFrame.go(0) + DumpFrame.go(1)
        for (file, bytes, topic) in [(native, whole, "native"), (other, go, "go")] {
            let half = bytes.count - 10
            try Data(bytes[..<half]).write(to: file)
            let process = try DumpProcess([folder.path, "--topic", topic, "--json", "--follow"])
            #expect(process.waits { $0.objects.count == 1 })
            let handle = try FileHandle(forWritingTo: file)
            try handle.seekToEnd()
            try handle.write(contentsOf: Data(bytes[half...]))
            try handle.close()
            #expect(process.waits { $0.objects.count == 2 }, "\(topic)")
            #expect(process.objects.compactMap { $0.number("id") } == [0, 1], "\(topic)")
            process.interrupt()
            #expect(process.exit() == 0, "\(topic)")
        }
    }

    @Test func itEndsWithItsReader() throws {
        let folder = try DumpFolder()
        let file = try folder.topic("a").appendingPathComponent("segment.log")
        try Data(DumpFrame.segment([.mark(0), .message(0, [])])).write(to: file)
        let pipe = Pipe()
        let process = try DumpProcess(
            [folder.path, "--follow"], to: pipe.fileHandleForWriting)
        try pipe.fileHandleForWriting.close()
        // It has printed what there is, and waits for more.
        var output = pollfd(
            fd: pipe.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
        #expect(poll(&output, 1, 20_000) == 1 && output.revents & Int16(POLLIN) != 0)
        #expect(process.isRunning)
        try pipe.fileHandleForReading.close()
        #expect(process.waits { !$0.isRunning })
        #expect(process.exit() == 0)
    }

    @Test func aLimitEndsItToo() throws {
        let folder = try DumpFolder()
        let file = try folder.topic("a").appendingPathComponent("segment.log")
        try Data(DumpFrame.segment([.mark(0), .message(0, []), .message(1, [])])).write(to: file)
        let process = try DumpProcess([folder.path, "--follow", "--limit", "2"])
        #expect(process.waits { !$0.isRunning })
        #expect(process.exit() == 0)
        #expect(process.lines.count == 2)
    }

    @Test func aGoLogIsFollowedFromFileToFile() throws {
        let folder = try DumpFolder()
        let frame = DumpFrame.go
        let first = folder.url.appendingPathComponent("000000.log")
        try Data(frame(0)).write(to: first)
        let process = try DumpProcess([folder.path, "--json", "--follow"])
        #expect(process.waits { $0.objects.count == 1 })
        let handle = try FileHandle(forWritingTo: first)
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(frame(1) + frame(2).prefix(10)))
        #expect(process.waits { $0.objects.count == 2 })
        try handle.write(contentsOf: Data(frame(2).dropFirst(10)))
        try Data(frame(3)).write(to: folder.url.appendingPathComponent("000001.log"))
        #expect(process.waits { $0.objects.count == 4 })
        #expect(process.objects.compactMap { $0.number("id") } == [0, 1, 2, 3])
        #expect(process.objects.last?.text("segment") == "000001.log")
        process.interrupt()
        #expect(process.exit() == 0)
    }
}
