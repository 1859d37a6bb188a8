import Testing
import Wire

@Suite("Replies")
struct ReplyTests {
    private func text(_ write: (inout [UInt8]) -> Void) -> String {
        var bytes: [UInt8] = []
        write(&bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private func replies(_ bytes: [UInt8]) -> [Reply] {
        var parser = ReplyParser()
        var rest = bytes
        var replies: [Reply] = []
        while case .reply(let reply, let count) = parser.next(in: rest.span) {
            replies.append(reply)
            rest.removeFirst(count)
        }
        return replies
    }

    @Test(
        "numbers are written in full",
        arguments: [
            0, 1, 9, 10, 11, 99, 100, 12_345, 9_999_999_999, 10_000_000_000_000_000_000,
            UInt64.max,
        ])
    func numbers(number: UInt64) {
        #expect(text { ReplyWriter.ok(number, to: &$0) } == "OK \(number)\n")
        #expect(text { ReplyWriter.duplicate(number, to: &$0) } == "DUP \(number)\n")
    }

    @Test("a run of answers is one line each")
    func runs() {
        #expect(
            text { ReplyWriter.ok(first: 8, count: 4, to: &$0) } == "OK 8\nOK 9\nOK 10\nOK 11\n")
    }

    @Test("an error is one line, whatever its text holds")
    func errors() {
        #expect(
            text { ReplyWriter.error(Refusal(.publishFailed, "a\nb\u{7}"), to: &$0) }
                == "ERR PUB_FAILED a?b?\n")
        let long = Refusal(.invalid, String(repeating: "x", count: 20_000))
        #expect(text { ReplyWriter.error(long, to: &$0) }.utf8.count <= WireLimits.lineBytes)
    }

    @Test("a client reads what a broker writes, however it is split")
    func roundTrip() throws {
        var bytes: [UInt8] = []
        ReplyWriter.hello(to: &bytes)
        ReplyWriter.ok(0, to: &bytes)
        ReplyWriter.duplicate(7, to: &bytes)
        ReplyWriter.message(topic: Array("t".utf8), id: 0, payloadBytes: 3, to: &bytes)
        bytes += Array("a\nb\n".utf8)
        ReplyWriter.error(Refusal(.busy, "later please"), to: &bytes)
        ReplyWriter.pong(to: &bytes)
        ReplyWriter.info("{\"a\": 1}", to: &bytes)
        let whole = replies(bytes)
        #expect(whole.count == 7)
        guard case .message(let delivery) = whole[3] else {
            Issue.record("no message")
            return
        }
        #expect(delivery.id == 0 && delivery.attempt == nil && delivery.payload.count == 3)
        for cut in 0...bytes.count {
            var parser = ReplyParser()
            var pending: [UInt8] = []
            var seen: [Reply] = []
            for piece in [bytes[..<cut], bytes[cut...]] {
                pending += piece
                while case .reply(let reply, let count) = parser.next(in: pending.span) {
                    seen.append(reply)
                    pending.removeFirst(count)
                }
            }
            #expect(seen == whole, "cut at \(cut)")
        }
    }

    @Test("options of MSG come through, and what does not fit the line is left out")
    func messageOptions() {
        let headers = [
            WireHeader("traceparent", "00-1-2-01"),
            WireHeader(name: Array("x".utf8), value: [0, 32]),
            WireHeader("not sendable", "x"),
            WireHeader("long", String(repeating: "y", count: 9_000)), WireHeader("z", ""),
        ]
        var bytes: [UInt8] = []
        ReplyWriter.message(
            topic: Array("t".utf8), id: 5, payloadBytes: 0, attempt: 2, timestamp: 99,
            key: Array("a b".utf8), headers: headers, to: &bytes)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == "MSG t 5 0 attempt=2 ts=99 key=a%20b traceparent=00-1-2-01 h.x=%00%20 h.z=\n")
        bytes.append(UInt8(ascii: "\n"))
        guard case .message(let delivery)? = replies(bytes).first else {
            Issue.record("no message")
            return
        }
        #expect(delivery.attempt == 2 && delivery.timestamp == 99)
        #expect(delivery.key == Array("a b".utf8))
        #expect(delivery.headers == [headers[0], headers[1], headers[4]])
    }

    @Test("options of a later broker are left out, and are no headers")
    func laterOptions() {
        let line = "MSG t 5 0 traceflags=01 trace=1 attempt=2 partition=3 tracestate=a h.x=y\n\n"
        guard case .message(let delivery)? = replies(Array(line.utf8)).first else {
            Issue.record("no message")
            return
        }
        #expect(delivery.attempt == 2)
        #expect(delivery.headers == [WireHeader("tracestate", "a"), WireHeader("x", "y")])
    }

    @Test(
        "what no broker says breaks the stream",
        arguments: [
            "HI\n", "\n", "OK\n", "OK x\n", "MSG t 1\n", "MSG t 1 5000000\n", "MSG t 1 1\nab\n",
            "ERR\n", "MSG t 1 0 attempt\n\n", "MSG t 1 0 key=%x\n\n",
        ])
    func broken(text: String) {
        var parser = ReplyParser()
        let bytes = Array(text.utf8)
        guard case .broken = parser.next(in: bytes.span) else {
            Issue.record("\(text) was understood")
            return
        }
    }

    @Test("a token is what fits one field of one line")
    func tokens() {
        #expect(CommandWriter.isToken("!~"))
        #expect(CommandWriter.isToken(String(repeating: "t", count: CommandWriter.tokenBytes)))
        #expect(!CommandWriter.isToken(String(repeating: "t", count: CommandWriter.tokenBytes + 1)))
        for text in ["", "a b", "a\n", "\ra", "a\u{0}", "a\u{7F}", "é"] {
            #expect(!CommandWriter.isToken(text))
        }
        var bytes: [UInt8] = []
        CommandWriter.hello(
            token: String(repeating: "t", count: CommandWriter.tokenBytes), to: &bytes)
        #expect(bytes.count == WireLimits.lineBytes + 1)
    }

    @Test("a client's commands are what the parser understands")
    func commands() {
        var bytes: [UInt8] = []
        CommandWriter.hello(token: "s", to: &bytes)
        #expect(
            CommandWriter.publish(
                topic: "t", key: Array("k".utf8), payload: Array("pay\nload".utf8),
                headers: [WireHeader("traceparent", "00"), WireHeader("a", " ")], to: &bytes))
        CommandWriter.subscribe(topic: "t", consumer: "c", to: &bytes)
        CommandWriter.acknowledge(consumer: "c", id: 0, to: &bytes)
        CommandWriter.reject(consumer: "c", id: .max, to: &bytes)
        CommandWriter.ping(to: &bytes)
        CommandWriter.info(to: &bytes)
        CommandWriter.quit(to: &bytes)
        #expect(
            heard(bytes) == [
                .hello(token: "s"),
                .publish(
                    topic: "t", key: "k", payload: "pay\nload",
                    headers: [WireHeader("traceparent", "00"), WireHeader("a", " ")]),
                .subscribe("t", "c"), .acknowledge("c", 0), .reject("c", .max), .ping, .info,
                .quit, .rest(.clean),
            ])
    }
}
