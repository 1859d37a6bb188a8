import Foundation
import Glibc
import ProcessSupport
import Testing
import Threads
import WAL
import WALTestSupport

/// prlimit(2), which the Glibc module does not show.
private func limitDescriptors(of process: Int32, to count: UInt) -> Bool {
    typealias Function =
        @convention(c) (
            pid_t, UInt32, UnsafePointer<rlimit>, UnsafeMutablePointer<rlimit>?
        ) -> CInt
    guard let symbol = dlsym(nil, "prlimit") else { return false }
    var limit = rlimit(rlim_cur: count, rlim_max: count)
    return unsafeBitCast(symbol, to: Function.self)(process, RLIMIT_NOFILE.rawValue, &limit, nil)
        == 0
}

@Suite("The process", .timeLimit(.minutes(10)))
struct ProcessTests {
    @Test(
        "SIGTERM and SIGINT with idle clients: gone at once, exit 0", arguments: [SIGTERM, SIGINT])
    func stopsAtOnce(signal: Int32) throws {
        // For so long it might wait. 200 ms are promised, and measured elsewhere; here it waits for
        // nobody, or is still there when the test gives it up.
        let broker = try BrokerProcess(try DataFolder(), ["--shutdown-timeout", "1h"])
        let clients = try (0..<20).map { _ in try broker.client() }
        #expect(try clients[0].command("SUB t c") == "OK 0")
        #expect(try clients[1].publish("t", "x") == "OK 0")
        #expect(try clients[0].message().id == 0)
        try clients[2].send("PUB t - 100\nhalf")
        #expect(broker.stop(signal) == 0)
        #expect(try clients[3].isClosed())
    }

    @Test("a listening line that nobody gets is told in the log, and the broker serves")
    func listeningLineThatIsNotPrinted() throws {
        let data = try DataFolder()
        let log = data.url.deletingLastPathComponent().path + "/log"
        let child = try ChildProcess(
            [builtProgram("toymq"), "--data-dir", data.path, "--addr", "127.0.0.1:0"],
            output: .file("/dev/full"), error: .file(log))
        let isTold = child.comes {
            let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            return text.contains("the line with the address was not printed: ")
                && text.contains("No space left")
        }
        #expect(isTold)
        child.signal(SIGTERM)
        #expect(child.wait() == .exit(0))
    }

    @Test("what was taken before SIGTERM is answered, however slowly the client reads")
    func slowReaderAtStop() throws {
        let data = try DataFolder()
        var broker = try BrokerProcess(data)
        let slow = try RawClient(port: broker.port, receiveBytes: 4096)
        let sender = OwnedThread {
            try? slow.send(String(repeating: "PUB t - 1\nx\n", count: 200_000))
        }
        let other = try broker.client()
        try #require(comesTrue(60) { try other.count("published_total") >= 20_000 })
        broker.signal(SIGTERM)
        #expect(try other.isClosed())
        var answers: UInt64 = 0
        while let line = try? slow.line() {
            guard line == "OK \(answers)" else {
                Issue.record("\(line) instead of \(answers)")
                break
            }
            answers += 1
        }
        #expect(broker.wait() == 0)
        slow.close()
        sender.join()
        broker = try BrokerProcess(data)
        #expect(try broker.client().publish("t", "y") == "OK \(answers)", "nothing unanswered")
    }

    @Test("a disk that hangs does not keep it from stopping within --shutdown-timeout")
    func hangingDisk() throws {
        let data = try DataFolder()
        let broker = try BrokerProcess(data, ["--shutdown-timeout", "1s"])
        let client = try broker.client()
        #expect(try client.publish("t", "x") == "OK 0")
        // A log of four tebibytes, all of them holes, takes as long to open as a disk that hangs:
        // who waits for it is given up first.
        let topic = data.url.appendingPathComponent("topics/endless")
        try FileManager.default.createDirectory(at: topic, withIntermediateDirectories: false)
        let segment = topic.appendingPathComponent("segment.log")
        #expect(FileManager.default.createFile(atPath: segment.path, contents: nil))
        try FileHandle(forWritingTo: segment).truncate(atOffset: 4 << 40)
        try client.send("PUB endless - 1\nx\n")
        try #require(comesTrue { broker.hasOpen(segment.path) })
        #expect(broker.stop() == 1)
        #expect(broker.log.contains("before the disk had answered"))
    }

    @Test("what was taken before SIGTERM is answered")
    func answersBeforeStopping() throws {
        let data = try DataFolder()
        let broker = try BrokerProcess(data)
        let client = try broker.client()
        var text = ""
        for _ in 0..<2_000 { text += "PUB t - 100\n\(String(repeating: "x", count: 100))\n" }
        try client.send(text)
        #expect(try client.line() == "OK 0")
        #expect(broker.stop() == 0)
        var answered: UInt64 = 0
        while let line = try? client.line() {
            answered += 1
            #expect(line == "OK \(answered)")
        }
        // Every answer is a message that is there; what was not read was never taken.
        let again = try BrokerProcess(data)
        let next = try again.client().publish("t", "x")
        #expect(next == "OK \(answered + 1)")
    }

    @Test("acknowledged before SIGTERM stays acknowledged; before SIGKILL and a pause, too")
    func positions() throws {
        let data = try DataFolder()
        var broker = try BrokerProcess(data)
        var client = try broker.client()
        for number in 0..<4 { #expect(try client.publish("t", "x") == "OK \(number)") }
        #expect(try client.command("SUB t c") == "OK 0")
        for number in 0..<4 as Range<UInt64> { #expect(try client.message().id == number) }
        #expect(try client.command("ACK c 2") == "OK 2")
        broker.stop()
        broker = try BrokerProcess(data)
        client = try broker.client()
        #expect(try client.command("SUB t c") == "OK 0")
        for id in [0, 1, 3] as [UInt64] { #expect(try client.message().id == id) }
        let file = data.url.appendingPathComponent("topics/t/offsets.json")
        let before = try Data(contentsOf: file)
        #expect(try client.command("ACK c 0") == "OK 0")
        try #require(comesTrue { try Data(contentsOf: file) != before })
        broker.kill()
        broker = try BrokerProcess(data)
        client = try broker.client()
        #expect(try client.command("SUB t c") == "OK 0")
        for id in [1, 3] as [UInt64] { #expect(try client.message().id == id) }
        #expect(try client.isQuiet())
    }

    @Test("everything answered OK is there after SIGKILL, in order and whole")
    func kill() throws {
        let data = try DataFolder()
        var answered = 0
        for round in 0..<3 {
            let broker = try BrokerProcess(data)
            let client = try broker.client()
            var text = ""
            for number in 0..<3_000 { text += "PUB t \(round):\(number) 4\n\(1000 + number)\n" }
            try client.send(text)
            var seen = 0
            while seen < 500 * (round + 1) {
                #expect(try client.line().hasPrefix("OK "))
                seen += 1
            }
            broker.kill()
            while let line = try? client.line(), line.hasPrefix("OK ") { seen += 1 }
            answered += seen
            let again = try BrokerProcess(data)
            let publisher = try again.client()
            // What was answered is known.
            for number in [0, seen - 1] {
                let text = try publisher.publish(
                    "t", String(1000 + number), key: "\(round):\(number)")
                #expect(text.hasPrefix("DUP "))
            }
            again.stop()
        }
        let broker = try BrokerProcess(data)
        let reader = try broker.client()
        #expect(try reader.command("SUB t fresh") == "OK 0")
        var next: UInt64 = 0
        while next < UInt64(answered) {
            let line = try reader.line()
            if line.hasPrefix("OK ") { continue }
            #expect(line == "MSG t \(next) 4")
            _ = try reader.line()
            try reader.send("ACK fresh \(next)\n")
            next += 1
        }
    }

    @Test("a damaged topic is closed with the command to run, and the others serve")
    func damaged() throws {
        let data = try DataFolder()
        var broker = try BrokerProcess(data)
        var client = try broker.client()
        for topic in ["bad", "good"] {
            for number in 0..<3 { #expect(try client.publish(topic, "abc") == "OK \(number)") }
        }
        broker.stop()
        let file = data.url.appendingPathComponent("topics/bad/segment.log")
        var bytes = try Data(contentsOf: file)
        bytes[38 + 36] ^= 1
        try bytes.write(to: file)
        broker = try BrokerProcess(data)
        client = try broker.client()
        for command in ["SUB bad c", "PUB bad - 0\n"] {
            let answer = try client.command(command)
            #expect(answer.hasPrefix("ERR DAMAGED ") && answer.contains("toymq-fsck"), "\(answer)")
        }
        #expect(try client.publish("good", "x") == "OK 3")
        #expect(try Data(contentsOf: file) == bytes)
    }

    @Test("connections over the limit are told BUSY; there is room again when one has left")
    func connectionLimit() throws {
        let broker = try BrokerProcess(try DataFolder(), ["--max-connections", "3"])
        var clients = try (0..<3).map { _ in try broker.client() }
        for client in clients { #expect(try client.isQuiet()) }
        let refused = try broker.client()
        #expect(try refused.line().hasPrefix("ERR BUSY "))
        #expect(try refused.isClosed())
        clients.removeLast().close()
        let deadline = Date().addingTimeInterval(20)
        while Date() < deadline {
            let client = try broker.client()
            try? client.send("PING\n")
            if try client.line() == "PONG" { return }
        }
        Issue.record("no room again")
    }

    @Test("connections that say nothing, or half a command, are closed and logged once")
    func timeouts() throws {
        let broker = try BrokerProcess(
            try DataFolder(),
            ["--handshake-timeout", "200ms", "--frame-timeout", "200ms", "--idle-timeout", "400ms"])
        let silent = try broker.client()
        #expect(try silent.isClosed())
        let half = try broker.client()
        #expect(try half.isQuiet())
        try half.send("PUB t - 100\nabc")
        #expect(try half.isClosed())
        let idle = try broker.client()
        #expect(try idle.isQuiet())
        #expect(try idle.isClosed())
        // They did not leave, and did not crash either.
        let info = try broker.client().command("INFO")
        for text in ["timeouts_total\": 3", "ends_torn_total\": 0", "ends_clean_total\": 0"] {
            #expect(info.contains(text), "\(text) in \(info)")
        }
        broker.stop()
        for text in ["no command in", "half a command", "idle for"] {
            #expect(broker.log.components(separatedBy: text).count == 2, "\(text)")
        }
        #expect(!broker.log.contains("inside a command"))
    }

    @Test("a client that sends noise is logged once, with its address")
    func noise() throws {
        let broker = try BrokerProcess(try DataFolder())
        let clients = try (0..<2).map { _ in try broker.client() }
        for client in clients {
            try client.send(String(repeating: "NOISE\n", count: 500) + "PUB t - 5\nab")
            for _ in 0..<500 { #expect(try client.line().hasPrefix("ERR INVALID ")) }
            client.endInput()
            #expect(try client.isClosed())
        }
        broker.stop()
        let lines = broker.log.split(separator: "\n").filter { $0.contains("peer=") }
        #expect(lines.count == 2)
        #expect(lines.allSatisfy { $0.contains("refused: INVALID") })
        #expect(Set(lines.compactMap { $0.split(separator: "=").last }).count == 2)
    }

    // How long it pauses is in AcceptingTests.
    @Test("without descriptors accepting pauses, and goes on when there are some")
    func noDescriptors() throws {
        let data = try DataFolder()
        let broker = try BrokerProcess(data)
        let served = try broker.client()
        #expect(try served.isQuiet())
        // The process writes its number into the file that it has locked.
        let text = try String(contentsOf: data.url.appendingPathComponent("LOCK"), encoding: .utf8)
        let process = try #require(Int32(text.split(separator: "\n").first ?? ""))
        #expect(limitDescriptors(of: process, to: 40))
        let waiting = try (0..<60).map { _ in try broker.client() }
        func errors() throws -> Int {
            let info = try JSONSerialization.jsonObject(with: Data(served.command("INFO").utf8))
            return (info as? [String: Any])?["accept_errors_total"] as? Int ?? 0
        }
        try #require(comesTrue(60) { try errors() >= 7 })
        for client in waiting { client.close() }
        #expect(try broker.client().isQuiet())
        broker.stop()
        #expect(broker.log.components(separatedBy: "accepting pauses").count == 2)
    }

    /// Who takes descriptors, and how the broker is started.
    enum Takers: CaseIterable {
        case clients, clientsOfManyLoops, refused, metrics

        var arguments: [String] {
            switch self {
            case .clients: []
            case .clientsOfManyLoops: ["--event-loops", "8"]
            case .refused: ["--max-connections", "2"]
            case .metrics: ["--metrics-addr", "127.0.0.1:0"]
            }
        }
    }

    @Test(
        "however many clients there are, descriptors are left to make topics and to read them",
        arguments: Takers.allCases)
    func descriptorsForTopics(_ takers: Takers) throws {
        let broker = try BrokerProcess(try DataFolder(), takers.arguments, descriptors: 80)
        let served = try broker.client()
        #expect(try served.isQuiet())
        var waiting = try (0..<100).map { _ in try broker.client() }
        let reason = "all descriptors but those kept for topics"
        try #require(comesTrue { broker.log.contains(reason) })
        if takers == .metrics {
            let port = try #require(broker.metricsPort)
            // However many clients there are; and those who ask for nothing have their part, too.
            #expect(try broker.get("/healthz").hasPrefix("HTTP/1.1 200"))
            waiting += try (0..<30).map { _ in try RawClient(port: port) }
            let reason = "all connections that there may be for metrics"
            try #require(comesTrue { broker.log.contains(reason) })
        }
        for round in 0..<2 {
            for topic in 0..<30 {
                #expect(try served.publish("t\(topic)", "x") == "OK \(round)")
            }
        }
        #expect(try served.command("SUB t0 c") == "OK 0")
        #expect(try served.message().id == 0)
        for client in waiting { client.close() }
        #expect(comesTrue { (try? broker.client().isQuiet()) == true })
    }

    @Test("a topic of the Go program is closed, with the command that imports it, and not touched")
    func goData() throws {
        let data = try DataFolder()
        let fixtures = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fixtures/go/v2-d-multi/data")
        try FileManager.default.copyItem(at: fixtures, to: data.url)
        func names() throws -> Set<String> {
            Set(try FileManager.default.subpathsOfDirectory(atPath: data.path + "/topics"))
        }
        let before = try names()
        let broker = try BrokerProcess(data)
        let client = try broker.client()
        for topic in ["flat", "parts"] {
            for command in ["PUB \(topic) - 1\nx", "SUB \(topic) c"] {
                let answer = try client.command(command)
                #expect(answer.hasPrefix("ERR "))
                #expect(answer.contains("toymqctl import "), "\(answer)")
            }
        }
        #expect(try client.publish("native", "x") == "OK 0")
        #expect(broker.stop() == 0)
        #expect(try names().filter { !$0.hasPrefix("native") } == before)
    }
}
