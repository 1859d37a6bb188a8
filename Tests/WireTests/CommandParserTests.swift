import Testing
import Wire

@Suite("Commands")
struct CommandParserTests {
    private func publish(
        _ payload: String, topic: String = "t", key: String? = nil, headers: [WireHeader] = []
    ) -> Heard { .publish(topic: topic, key: key, payload: payload, headers: headers) }

    @Test("every verb is understood")
    func everyVerb() {
        let stream = """
            HELLO 2
            PUB orders - 5
            hello
            PUB orders p:1 0

            SUB orders c1
            ACK c1 0
            NACK c1 18446744073709551615
            PING
            INFO
            INFO after=
            INFO after=a%2e
            QUIT

            """
        #expect(
            heard(stream) == [
                .hello(token: nil), publish("hello", topic: "orders"),
                publish("", topic: "orders", key: "p:1"), .subscribe("orders", "c1"),
                .acknowledge("c1", 0), .reject("c1", .max), .ping, .info,
                .infoAfter(""), .infoAfter("a."), .quit, .rest(.clean),
            ])
    }

    @Test("a payload may hold anything, commands and newlines among it")
    func payloadHoldsCommands() {
        #expect(
            heard("PUB t - 11\nPING\nQUIT\n\n\nPING\n") == [
                publish("PING\nQUIT\n\n"), .ping, .rest(.clean),
            ])
    }

    @Test("a carriage return before the newline is dropped, runs of spaces separate")
    func looseSpelling() {
        #expect(
            heard("PUB   t  -    2  \r\nab\nPING\r\n  PING  \n") == [
                publish("ab"), .ping, .ping, .rest(.clean),
            ])
    }

    @Test("the same is heard however the stream is split", arguments: [1, 2, 3, 7, 64])
    func everySplit(size: Int) {
        let stream = Array(
            """
            HELLO 2 AUTH secret
            PUB orders p:1 5 h.a=%20x traceparent=00-1-2-01
            he\nlo
            NOISE
            PUB .. - 3
            abc
            SUB orders c
            ACK c 12
            NACK c x
            PING
            PUB t - 4
            abcd
            """.utf8)
        let whole = heard(stream)
        // Every split into two pieces, and pieces of one size.
        for cut in 0...stream.count {
            var listener = Listener()
            listener.receive(stream[..<cut])
            listener.receive(stream[cut...])
            #expect(listener.end() == whole, "cut at \(cut)")
        }
        var listener = Listener()
        for start in stride(from: 0, to: stream.count, by: size) {
            listener.receive(stream[start..<min(start + size, stream.count)])
        }
        #expect(listener.end() == whole)
        #expect(whole.contains(.refused(.invalid)) && whole.last == .rest(.torn))
    }

    @Test("a stream that ends between commands is told from one that ends inside")
    func ends() {
        let stream = Array("PUB t - 3\nabc\nPING\n".utf8)
        let between = [0, 14, 19]
        for cut in 0...stream.count {
            let end = heard(Array(stream[..<cut])).last
            #expect(end == .rest(between.contains(cut) ? .clean : .torn), "cut at \(cut)")
        }
    }

    @Test(
        "what cannot be understood is refused, and the session goes on",
        arguments: [
            "", "   ", "pub t - 1", "NOISE a b", "SUB t", "SUB t c d", "SUB", "ACK c", "ACK c x",
            "ACK c -1", "ACK c 1 2", "ACK c 18446744073709551616", "ACK c 000000000000000000001",
            "NACK c", "PING x", "INFO x", "INFO after=%", "INFO after=a b", "QUIT now", "HELLO 2 x",
            "HELLO 2 AUTH",
            "HELLO 2 AUTH a b",
        ])
    func refused(line: String) {
        #expect(heard(line + "\nPING\n") == [.refused(.invalid), .ping, .rest(.clean)])
    }

    @Test(
        "a PUB that is refused takes its payload with it",
        arguments: [
            "PUB t - 5 x", "PUB t - 5 unknown=1", "PUB t - 5 h.=1", "PUB t - 5 h.a",
            "PUB t - 5 h.a=%", "PUB t - 5 h.a=%4", "PUB t - 5 h.a=%zz", "PUB t - 5 h.a/b=1",
            "PUB t - 5 traceparent=", "PUB t - 5 traceparent=1 traceparent=2",
            "PUB t - 5 h.traceparent=1", "PUB t - 5 attempt=1",
            "PUB t \(String(repeating: "k", count: 1025)) 5",
            "PUB t - 5 h.\(String(repeating: "n", count: 65))=1",
        ])
    func refusedPublish(line: String) {
        #expect(heard(line + "\nPING\n\nPING\n") == [.refused(.invalid), .ping, .rest(.clean)])
    }

    @Test(
        "without a length nothing behind a PUB is read",
        arguments: [
            "PUB", "PUB t", "PUB t 5", "PUB t - x", "PUB t - -1", "PUB t - 1.5",
            "PUB t - 18446744073709551616", "PUB t - 000000000000000000005", "PUB t - 0x5",
        ])
    func badLength(line: String) {
        #expect(heard(line + "\nPING\n") == [.closed(.invalid)])
    }

    @Test("a payload over the limit is refused before a byte of it has come")
    func oversized() {
        let parser = CommandParser(limits: WireLimits(payloadBytes: 10))
        #expect(heard("PUB t - 11\n", parser) == [.closed(.tooLarge)])
        #expect(heard("PUB t - 107374182400\n", parser) == [.closed(.tooLarge)])
        #expect(heard("PUB t - 18446744073709551615\n", parser) == [.closed(.tooLarge)])
        #expect(
            heard("PUB t - 10\n0123456789\n", parser) == [publish("0123456789"), .rest(.clean)])
    }

    @Test("a payload that is not followed by a newline ends the session")
    func noNewline() {
        #expect(heard("PUB t - 3\nabcPING\n") == [.closed(.invalid)])
        #expect(heard("PUB t - 3\nabc\r\nPING\n") == [.closed(.invalid)])
    }

    @Test("a line has at most 8192 bytes, its end apart")
    func longLine() {
        let longest = String(repeating: "x", count: 8192)
        #expect(heard(longest + "\nPING\n") == [.refused(.invalid), .ping, .rest(.clean)])
        #expect(heard(longest + "\r\nPING\n") == [.refused(.invalid), .ping, .rest(.clean)])
        #expect(heard(longest + "x\nPING\n") == [.closed(.invalid)])
        #expect(heard(longest + "xx") == [.closed(.invalid)])
        #expect(heard(longest) == [.rest(.torn)])
    }

    @Test("a line of ten million bytes is given up after the limit")
    func endlessLine() {
        var listener = Listener()
        listener.receive(Array(repeating: UInt8(ascii: "x"), count: 8192))
        #expect(listener.heard.isEmpty)
        listener.receive([UInt8(ascii: "x")])
        #expect(listener.heard == [.closed(.invalid)])
        var other = Listener()
        other.receive(Array(repeating: UInt8(ascii: "x"), count: 8192) + [UInt8(ascii: "\r")])
        #expect(other.heard.isEmpty, "a line of the largest size, but for its end")
        other.receive([UInt8(ascii: "x")])
        #expect(other.heard == [.closed(.invalid)])
    }

    @Test(
        "another version is refused, and the session ends",
        arguments: ["HELLO", "HELLO 1", "HELLO 3", "HELLO x"])
    func otherVersion(line: String) {
        #expect(heard(line + "\nPING\n") == [.closed(.hello)])
    }

    @Test("where a token is asked for, nothing but HELLO is read")
    func tokenFirst() {
        var parser = CommandParser()
        parser.takesOnlyHello = true
        #expect(heard("HELLO 2 AUTH x\n", parser) == [.hello(token: "x"), .rest(.clean)])
        #expect(heard("PUB t - 1000000\n", parser) == [.closed(.authentication)])
        #expect(heard("\n", parser) == [.closed(.authentication)])
        #expect(heard("HELLO 2 AUTH\n", parser) == [.closed(.authentication)])
        #expect(heard("HELLO 2 AUTH a b\n", parser) == [.closed(.authentication)])
        for line in ["HELLO", "HELLO 3", "HELLO 1 AUTH x", "HELLO x"] {
            #expect(heard(line + "\nPING\n", parser) == [.closed(.hello)], "\(line)")
        }
        let long = "HELLO 2 AUTH " + String(repeating: "x", count: WireLimits.lineBytes) + "\n"
        #expect(heard(long, parser) == [.closed(.authentication)])
        #expect(heard("PING\n", parser) == [.closed(.authentication)])
    }

    @Test("options of PUB become headers, their values decoded")
    func options() {
        let line =
            "PUB t - 0 traceparent=00-ab-cd-01 tracestate=a=1,b=2 h.x=%00%0A%20%25 h.Y-_.9= h.x=2\n\n"
        let headers = [
            WireHeader("traceparent", "00-ab-cd-01"), WireHeader("tracestate", "a=1,b=2"),
            WireHeader(name: [UInt8(ascii: "x")], value: [0, 10, 32, 37]),
            WireHeader("Y-_.9", ""), WireHeader("x", "2"),
        ]
        #expect(heard(line) == [publish("", headers: headers), .rest(.clean)])
    }

    @Test("headers that would not fit a MSG line are refused")
    func headersFit() {
        // 200 bytes of topic more in MSG than these in PUB leave no room.
        let value = String(repeating: "v", count: 8_100)
        #expect(heard("PUB t - 0 h.a=\(value)\n\n") == [.refused(.invalid), .rest(.clean)])
        let shorter = String(repeating: "v", count: 8_000)
        #expect(
            heard("PUB t - 0 h.a=\(shorter)\n\n") == [
                publish("", headers: [WireHeader("a", shorter)]), .rest(.clean),
            ])
    }
}
