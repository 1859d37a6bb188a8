import Foundation
import Testing
import Threads
import WALTestSupport

@Suite("Sessions", .timeLimit(.minutes(10)))
struct SessionTests {
    @Test("message 0: publish, subscribe, acknowledge, restart, subscribe, no replay")
    func messageZero() throws {
        let data = try DataFolder()
        var broker = try BrokerProcess(data)
        var client = try broker.client()
        #expect(try client.publish("t", "first") == "OK 0")
        #expect(try client.command("SUB t c") == "OK 0")
        #expect(try client.message() == .init(id: 0, payload: "first"))
        #expect(try client.command("ACK c 0") == "OK 0")
        #expect(broker.stop() == 0)
        broker = try BrokerProcess(data)
        client = try broker.client()
        #expect(try client.command("SUB t c") == "OK 0")
        #expect(try client.isQuiet())
        #expect(try client.publish("t", "second") == "OK 1")
        #expect(try client.message() == .init(id: 1, payload: "second"))
    }

    @Test("pipelined commands are answered in their order, whatever they wait for")
    func pipelined() throws {
        let broker = try BrokerProcess(try DataFolder())
        let client = try broker.client()
        try client.send(
            """
            PING
            PUB a - 1
            x
            PUB b - 1
            x
            NOISE
            PUB a k 1
            x
            PUB a k 1
            y
            PUB ../../x - 4
            PING
            PUB a - 0

            ACK c 1
            INFO
            QUIT
            PING

            """)
        let answers = try client.lines(11)
        #expect(answers[0...2] == ["PONG", "OK 0", "OK 0"])
        #expect(answers[3].hasPrefix("ERR INVALID "))
        #expect(answers[4...5] == ["OK 1", "DUP 1"])
        #expect(answers[6].hasPrefix("ERR INVALID "))
        #expect(answers[7] == "OK 2")
        #expect(answers[8].hasPrefix("ERR NO_SUB "))
        let info = try JSONSerialization.jsonObject(with: Data(answers[9].utf8))
        #expect((info as? [String: Any])?["topics"] as? Int == 2)
        #expect(answers[10] == "OK 0")
        #expect(try client.isClosed())
    }

    @Test("MSG never comes before its SUB's OK, nor inside another answer")
    func orderOfSubscribe() throws {
        let broker = try BrokerProcess(try DataFolder())
        let client = try broker.client()
        var text = ""
        for number in 0..<200 { text += "PUB t - 3\n\(100 + number)\n" }
        text += "SUB t c\n"
        for number in 0..<200 { text += "PUB t - 3\n\(300 + number)\n" }
        try client.send(text)
        for number in 0..<200 { #expect(try client.line() == "OK \(number)") }
        #expect(try client.line() == "OK 0")
        var answers = 0
        var messages: [UInt64] = []
        while answers < 200 || messages.count < 256 {
            let line = try client.line()
            if line.hasPrefix("OK ") {
                #expect(line == "OK \(200 + answers)")
                answers += 1
            } else {
                let fields = line.split(separator: " ")
                #expect(fields.first == "MSG")
                messages.append(UInt64(fields[2]) ?? .max)
                #expect(try client.line().utf8.count == 3)
            }
        }
        // The receive window: 256, and not one more.
        #expect(messages == Array(0..<256))
        #expect(try client.isQuiet())
        #expect(try client.command("ACK c 255") == "OK 255")
        #expect(try client.message().id == 256)
    }

    @Test("a client that leaves in the middle of a MSG gets it again, and others are served")
    func leavesInside() throws {
        let broker = try BrokerProcess(try DataFolder())
        let publisher = try broker.client()
        let payload = String(repeating: "x", count: 300)
        #expect(try publisher.publish("t", payload) == "OK 0")
        let client = try broker.client()
        #expect(try client.command("SUB t c") == "OK 0")
        _ = try client.bytes(200)
        client.close()
        let next = try broker.client()
        #expect(try next.command("SUB t c") == "OK 0")
        #expect(try next.message() == .init(id: 0, payload: payload))
        #expect(try publisher.isQuiet())
    }

    @Test("an oversized body is never read as commands, and the answer arrives")
    func oversized() throws {
        let broker = try BrokerProcess(try DataFolder(), ["--max-payload", "64KiB"])
        let client = try broker.client()
        let body = String(repeating: "PUB evil - 0\n\n", count: 40_000)
        try? client.send("PUB t - \(body.utf8.count)\n" + body + "\n")
        #expect(try client.line().hasPrefix("ERR TOO_LARGE "))
        #expect(try client.isClosed())
        let other = try broker.client()
        #expect(try other.command("INFO after=").contains("\"topics\": []"))
    }

    @Test(
        "what puts the stream out of step is answered once and closed",
        arguments: [
            "PUB t - 107374182400\n", "PUB t - -1\n", "PUB t\n", "PUB t - 3\nabcdefgh\n",
            "HELLO 3\n",
        ])
    func outOfStep(text: String) throws {
        let broker = try BrokerProcess(try DataFolder())
        let client = try broker.client()
        try client.send(text + "PING\n")
        #expect(try client.line().hasPrefix("ERR "))
        #expect(try client.isClosed())
        #expect(try broker.client().isQuiet())
    }

    @Test("a line of ten million bytes is answered and closed, with memory bounded")
    func endlessLine() throws {
        let broker = try BrokerProcess(try DataFolder())
        let before = broker.residentBytes
        let client = try broker.client()
        try? client.send([UInt8](repeating: UInt8(ascii: "x"), count: 10_000_000))
        #expect(try client.line().hasPrefix("ERR INVALID "))
        #expect(try client.isClosed())
        #expect(broker.residentBytes < before + (16 << 20))
        broker.stop()
        #expect(broker.log.components(separatedBy: "closing: INVALID").count == 2)
    }

    @Test("a client that closes its sending side still gets every answer")
    func halfClosed() throws {
        let broker = try BrokerProcess(try DataFolder())
        let client = try broker.client()
        var text = ""
        for _ in 0..<500 { text += "PUB t - 2\nab\n" }
        try client.send(text)
        client.endInput()
        for number in 0..<500 { #expect(try client.line() == "OK \(number)") }
        #expect(try client.isClosed())
    }

    @Test("INFO lists consumers of before a restart, and stays within a line")
    func consumersOfBefore() throws {
        let data = try DataFolder()
        var broker = try BrokerProcess(data)
        var client = try broker.client()
        #expect(try client.publish("t", "x") == "OK 0")
        let names = (0..<200).map { "consumer-\(1000 + $0)" }
        for name in names {
            #expect(try client.command("SUB t \(name)") == "OK 0")
            #expect(try client.message().id == 0)
            #expect(try client.command("ACK \(name) 0") == "OK 0")
        }
        broker.stop()
        broker = try BrokerProcess(data)
        client = try broker.client()
        #expect(try client.command("SUB t consumer-1150") == "OK 0")
        let line = try broker.client().command("INFO after=")
        #expect(line.utf8.count <= 8192)
        #expect(line.contains("\"consumers_total\": 200, "))
        // The one that is there, whatever its name, then as many as there is room for.
        #expect(line.contains("\"consumers\": [{\"consumer\": \"consumer-1150\", "))
        let entry =
            "{\"consumer\": \"consumer-1010\", \"first_unacknowledged\": 1, \"unacknowledged\": 0, \"in_flight\": 0, "
            + "\"due\": 0, \"connected\": false}"
        #expect(line.contains(entry))
        #expect(line.hasSuffix("]}], \"more\": false}"))
    }

    @Test("every PUB that is answered with ERR is counted as such, and nothing else is")
    func publishErrors() throws {
        let broker = try BrokerProcess(try DataFolder())
        let client = try broker.client()
        for text in [
            "PUB t - 1 unknown=1\nx", "PUB bad/ - 1\nx",
            "PUB t \(String(repeating: "k", count: 1025)) 1\nx",
            "  PUB t - 1 h.a=%\nx",
        ] {
            #expect(try client.command(text).hasPrefix("ERR INVALID "))
        }
        for text in ["NOISE", "PUBLISH t - 0", "ACK c 1", "SUB t", "HELLO 2"] {
            #expect(try client.command(text).hasPrefix("ERR "))
        }
        for text in ["PUB t - 100000000", "PUB t", "PUB t - 1\nxyz"] {
            let other = try broker.client()
            #expect(try other.command(text).hasPrefix("ERR "))
        }
        #expect(try client.count("publish_errors_total") == 7)
        #expect(try client.count("errors_total") == 5)
        #expect(try client.publish("t", "x") == "OK 0")
    }

    @Test("an end inside a command is told from one between commands")
    func ends() throws {
        let broker = try BrokerProcess(try DataFolder())
        for text in ["PING\n", "PUB t - 5\nab", "PI"] {
            let client = try broker.client()
            try client.send(text)
            client.endInput()
            if text == "PING\n" { #expect(try client.line() == "PONG") }
            #expect(try client.isClosed())
        }
        let info = try broker.client().command("INFO")
        #expect(info.contains("\"ends_clean_total\": 1"))
        #expect(info.contains("\"ends_torn_total\": 2"))
        broker.stop()
        #expect(broker.log.components(separatedBy: "inside a command").count == 3)
    }

    @Test("options come out of MSG after HELLO, and not before")
    func options() throws {
        let broker = try BrokerProcess(try DataFolder())
        let client = try broker.client()
        try client.send(
            "PUB t p:1 2 traceparent=00-ab-cd-01 tracestate=a=1 h.x=%20\nhi\n")
        #expect(try client.line() == "OK 0")
        #expect(try client.command("SUB t old") == "OK 0")
        #expect(try client.message() == .init(id: 0, payload: "hi"))
        let new = try broker.client()
        #expect(try new.command("HELLO 2") == "HELLO 2 OK")
        #expect(try new.command("SUB t new") == "OK 0")
        let message = try new.message()
        #expect(message.options.first == "attempt=1")
        #expect(message.options.dropFirst().first?.hasPrefix("ts=1") == true)
        #expect(
            message.options.suffix(4) == [
                "key=p:1", "traceparent=00-ab-cd-01", "tracestate=a=1", "h.x=%20",
            ])
        #expect(try new.command("NACK new 0") == "OK 0")
        #expect(try new.message().options.first == "attempt=2")
        #expect(try new.command("HELLO 2").hasPrefix("ERR HELLO "))
    }

    @Test("with a token nothing is answered before it")
    func token() throws {
        let data = try DataFolder()
        let file = data.url.deletingLastPathComponent().appendingPathComponent("token")
        try Data("s3cret\n".utf8).write(to: file)
        let broker = try BrokerProcess(data, ["--auth-token-file", file.path])
        for text in [
            "PING", "PUB t - 1000000", "HELLO 2", "HELLO 2 AUTH wrong", "HELLO 2 AUTH", "",
            String(repeating: "x", count: 9000),
        ] {
            let client = try broker.client()
            #expect(try client.command(text).hasPrefix("ERR AUTH "), "\(text)")
            #expect(try client.isClosed())
        }
        // Whoever speaks another version is told which one to speak, not to show a token.
        for text in ["HELLO", "HELLO 3", "HELLO 1 AUTH s3cret", "HELLO 3 AUTH wrong"] {
            let client = try broker.client()
            let answer = try client.command(text)
            #expect(answer.hasPrefix("ERR HELLO version 2 "), "\(text): \(answer)")
            #expect(try client.isClosed())
        }
        let client = try broker.client()
        #expect(try client.command("HELLO 2 AUTH s3cret") == "HELLO 2 OK")
        #expect(try client.command("HELLO 2").hasPrefix("ERR HELLO "))
        // Whoever guesses is seen.
        #expect(try client.count("errors_total") == 11)
        #expect(try client.publish("t", "x") == "OK 0")
    }

    @Test("a second connection of a consumer detaches the first")
    func secondConnection() throws {
        let broker = try BrokerProcess(try DataFolder())
        let first = try broker.client()
        #expect(try first.publish("t", "x") == "OK 0")
        #expect(try first.command("SUB t c") == "OK 0")
        #expect(try first.message().id == 0)
        let second = try broker.client()
        #expect(try second.command("SUB t c") == "OK 0")
        #expect(try second.message().id == 0)
        #expect(try first.command("ACK c 0").hasPrefix("ERR ACK_FAILED "))
        #expect(try second.command("ACK c 0") == "OK 0")
        #expect(try second.command("ACK d 0").hasPrefix("ERR ACK_FAILED "))
        #expect(try first.publish("t", "y") == "OK 1")
        #expect(try second.message().id == 1)
        #expect(try first.isQuiet())
    }

    @Test("a new SUB on a connection replaces the one before")
    func replacesSubscription() throws {
        let broker = try BrokerProcess(try DataFolder())
        let client = try broker.client()
        #expect(try client.publish("a", "in a") == "OK 0")
        #expect(try client.publish("b", "in b") == "OK 0")
        #expect(try client.command("SUB a c") == "OK 0")
        #expect(try client.message().payload == "in a")
        #expect(try client.command("SUB b c") == "OK 0")
        #expect(try client.message().payload == "in b")
        #expect(try client.publish("a", "more") == "OK 1")
        #expect(try client.isQuiet())
        #expect(try client.command("SUB a c") == "OK 0")
        #expect(try client.message().id == 0)
        #expect(try client.message().id == 1)
    }

    @Test("2,000 messages acknowledged one by one inside the loop")
    func backlogOneByOne() throws {
        let broker = try BrokerProcess(try DataFolder())
        let client = try broker.client()
        var text = ""
        for number in 0..<2_000 { text += "PUB t - 4\n\(1000 + number)\n" }
        try client.send(text)
        _ = try client.lines(2_000)
        #expect(try client.command("SUB t c") == "OK 0")
        for number in 0..<2_000 as Range<UInt64> {
            var line = try client.line()
            while line.hasPrefix("OK ") { line = try client.line() }
            #expect(line == "MSG t \(number) 4")
            _ = try client.line()
            try client.send("ACK c \(number)\n")
        }
    }

    @Test("a client that asks much and reads late gets every answer once, in order")
    func readsLate() throws {
        let broker = try BrokerProcess(try DataFolder())
        let client = try broker.client()
        let before = broker.residentBytes
        let rounds = 10_000
        let sent = Event()
        let sender = OwnedThread {
            let text = "PING\nPUB t - 1\nx\nINFO\nNOISE\n"
            for _ in 0..<(rounds / 100) {
                try? client.send(String(repeating: text, count: 100))
            }
            sent.fire()
        }
        defer {
            // One that still stands in send(2) goes on.
            client.endInput()
            sender.join()
        }
        // All of it fits the kernel's buffers; the answers do not fit those of the other direction.
        #expect(sent.wait())
        #expect(broker.residentBytes < before + (24 << 20))
        for number in 0..<rounds {
            try #require(try client.line() == "PONG")
            try #require(try client.line() == "OK \(number)")
            try #require(try client.line().hasPrefix("{"))
            try #require(try client.line().hasPrefix("ERR INVALID"))
        }
        #expect(try client.isQuiet())
    }

    @Test("answers that the socket does not take at once come whole, once and in order")
    func answersThatDoNotFit() throws {
        let broker = try BrokerProcess(try DataFolder())
        // The kernel keeps little for it. Each time there is one answer for all that it waits for,
        // which is written at once; until nothing more is taken, because the answers have filled
        // the socket.
        let client = try RawClient(port: broker.port, receiveBytes: 4096)
        let other = try broker.client()
        let text = String(repeating: "PUB t - 1\nx\n", count: 1_000)
        var sent = 0
        var asked = 0
        while asked < 1_000, sent < 1_000_000 {
            try client.send(text)
            sent += 1_000
            asked = 0
            while asked < 1_000, try other.count("published_total") < sent { asked += 1 }
        }
        for number in 0..<sent { try #require(try client.line() == "OK \(number)") }
        #expect(try client.isQuiet())
    }

    @Test("a client that does not read stops its deliveries; the others are served")
    func slowReader() throws {
        let broker = try BrokerProcess(try DataFolder())
        let publisher = try broker.client()
        let payload = String(repeating: "x", count: 512 << 10)
        for number in 0..<64 { #expect(try publisher.publish("t", payload) == "OK \(number)") }
        let before = broker.residentBytes
        let slow = try broker.client()
        try slow.send("SUB t slow\n")
        let quick = try broker.client()
        #expect(try quick.command("SUB t quick") == "OK 0")
        for number in 0..<64 as Range<UInt64> { #expect(try quick.message().id == number) }
        #expect(broker.residentBytes < before + (24 << 20))
        #expect(try slow.line() == "OK 0")
        for number in 0..<64 as Range<UInt64> { #expect(try slow.message().id == number) }
    }
}
