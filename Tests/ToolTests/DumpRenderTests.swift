import Inspection
import Testing
import WAL

@Suite("Dump: rendering") struct DumpRenderTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (86_399_999_999_999, "1970-01-01T23:59:59.999999999Z"),
            (68_169_600_000_000_000, "1972-02-29T00:00:00.000000000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (951_868_800_000_000_000, "2000-03-01T00:00:00.000000000Z"),
            (1_709_251_199_000_000_000, "2024-02-29T23:59:59.000000000Z"),
            (4_107_542_399_000_000_000, "2100-02-28T23:59:59.000000000Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
            (UInt64(Int64.max), "2262-04-11T23:47:16.854775807Z"),
            (UInt64.max, "2554-07-21T23:34:33.709551615Z"),
        ] as [(UInt64, String)])
    func aTimeIsWrittenAsRFC3339(_ nanoseconds: UInt64, _ text: String) {
        #expect(TimestampText.string(nanoseconds) == text)
        #expect(TimeArgument.parse(text, now: 0) == nanoseconds)
        #expect(TimeArgument.parse(String(nanoseconds), now: 0) == nanoseconds)
    }

    @Test func whatIsKeptOfTheLastTimeDoesNotShow() {
        var text = TimestampText()
        let second: UInt64 = 1_000_000_000
        for time in [5, second, second + 5, 86_400 * second, 5, 0, .max, 0] as [UInt64] {
            _ = text.set(time)
            #expect(String(decoding: text.text, as: UTF8.self) == TimestampText.string(time))
        }
    }

    @Test func agesAndOtherTimesAreRead() {
        let second: UInt64 = 1_000_000_000
        let now = 1_000_000 * second
        #expect(TimeArgument.parse("90s", now: now) == now - 90 * second)
        #expect(TimeArgument.parse("10m", now: now) == now - 600 * second)
        #expect(TimeArgument.parse("2h", now: now) == now - 7200 * second)
        #expect(TimeArgument.parse("3d", now: now) == now - 259_200 * second)
        #expect(TimeArgument.parse("1d12h", now: now) == now - 129_600 * second)
        #expect(TimeArgument.parse("9999d", now: now) == 0)
        #expect(TimeArgument.parse("1970-01-02", now: now) == 86_400 * second)
        #expect(TimeArgument.parse("1970-01-01T02:00:01.5+02:00", now: now) == 1_500_000_000)
        for bad in [
            "", "x", "1y", "2026-02-29", "2026-13-01", "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00", "1969-12-31T23:59:59Z", "2555-01-01", "-1",
            "18446744073709551616", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx",
        ] {
            #expect(TimeArgument.parse(bad, now: now) == nil, "\(bad)")
        }
    }

    // MARK: JSON

    private let start =
        #"{"topic":"t","segment":"segment.log","offset":38,"length":"#

    private func expectJSON(_ frame: DumpFrame, _ rest: String, _ payload: PayloadForm = .text)
        throws
    {
        let commit = frame.id - UInt64(frame.commitIndex)
        let expected =
            start + "\(frame.bytes.count)"
            + #","id":\#(frame.id),"position":\#(frame.position),"#
            + #""timestamp":"2026-11-23T01:29:00.123456789Z","commit":\#(commit),"#
            + #""crc":"x"\#(rest)}"# + "\n"
        #expect(try frame.rendered(payload: payload).replacingCRC == expected)
    }

    @Test func aMessageHasItsMembers() throws {
        let frame = DumpFrame.message(7, Array("hé\"\n".utf8))
        try expectJSON(frame, #","payload":"hé\"\n""#)
        try expectJSON(frame, "", .none)
        try expectJSON(frame, #","payload_hex":"68c3a9220a""#, .hex)
        try expectJSON(frame, #","payload_base64":"aMOpIgo=""#, .base64)
        try expectJSON(DumpFrame.message(0, []), #","payload":"""#)
        try expectJSON(DumpFrame.message(0, [0xff, 0]), #","payload_base64":"/wA=""#)
    }

    @Test func theChecksumHasEightDigits() throws {
        for id in 0..<64 as Range<UInt64> {
            let frame = DumpFrame.message(id, [])
            let stored = RawSpan(of: frame.bytes).u32(at: 34)
            let digits = String(stored, radix: 16)
            let text = String(repeating: "0", count: 8 - digits.count) + digits
            #expect(try frame.rendered().contains(#""crc":"\#(text)""#))
        }
    }

    @Test func keysAndHeadersAreThereOrNot() throws {
        try expectJSON(
            DumpFrame.message(1, [], key: Array("k".utf8)), #","key":"k","payload":"""#)
        try expectJSON(
            DumpFrame.message(1, [], key: [0x80]), #","key_base64":"gA==","payload":"""#)
        try expectJSON(
            DumpFrame.message(
                1, [],
                headers: [(Array("a".utf8), Array("b".utf8)), (Array("a".utf8), [0xc0])]),
            #","headers":[["a","b"],["a",{"base64":"wA=="}]],"payload":"""#)
    }

    @Test func marksAndLostFramesHaveNoPayload() throws {
        try expectJSON(DumpFrame.mark(9), #","mark":true"#)
        try expectJSON(DumpFrame.lost(9, 12), #","lost":12"#)
        try expectJSON(DumpFrame.lost(9, 12), #","lost":12"#, .none)
    }

    @Test func aCommitIsNamedByItsFirstID() throws {
        var frame = DumpFrame.message(9, [])
        frame.commitIndex = 4
        #expect(try frame.rendered().contains(#""commit":5,"#))
        frame.position = .max
        #expect(try frame.rendered().contains(#""position":18446744073709551615,"#))
    }

    @Test func whoFollowsIsToldWhatIsDurable() throws {
        let frame = DumpFrame.message(1, [])
        #expect(try frame.rendered(following: true).contains(#","durable":true,"#))
        #expect(try frame.rendered(following: false).contains(#","durable":false,"#))
        #expect(try !frame.rendered().contains("durable"))
        #expect(try frame.rendered(json: false, following: false).hasPrefix("~ "))
        #expect(try frame.rendered(json: false, following: true).hasPrefix("  "))
    }

    @Test func aGoFrameHasNeitherPositionNorCommit() throws {
        var body = DumpFrame.little(5 as UInt64) + DumpFrame.little(1_000_000_000 as UInt64)
        body += [1, 0, 0x6b] + DumpFrame.little(2 as UInt32) + [0x68, 0x69]
        body += DumpFrame.little(2_000_000_000 as UInt64)
        let sum = CRC32.of(RawSpan(of: body))
        let bytes =
            DumpFrame.little(UInt32(body.count + 4)) + body + DumpFrame.little(sum)
        guard case .success(let frame) = GoFrameDecoder.decode(RawSpan(of: bytes)) else {
            throw DumpTestError("not a valid frame")
        }
        var renderer = FrameRenderer(
            json: true, payload: .text, topicWidth: nil, isFollowing: false)
        renderer.frame(
            FrameFacts(frame, at: 0), bytes: RawSpan(of: bytes), topic: "t\"",
            segment: "000000.log",
            isDurable: false)
        let text = String(decoding: renderer.buffer.bytes.copied(), as: UTF8.self)
        #expect(
            text.replacingCRC == #"{"topic":"t\"","segment":"000000.log","offset":0,"length":41,"#
                + #""id":5,"timestamp":"1970-01-01T00:00:01.000000000Z","crc":"x","#
                + #""visible_at":"1970-01-01T00:00:02.000000000Z","key":"k","payload":"hi"}"#
                + "\n")
    }

    @Test func aFindingHasItsMembers() {
        var renderer = FrameRenderer(
            json: true, payload: .text, topicWidth: nil, isFollowing: false)
        renderer.finding(
            Finding(
                .badCRC, segment: "segment.log", offset: 3, length: 4, detail: "why", lost: 5...6,
                evidence: "it is"),
            topic: "t")
        #expect(
            String(decoding: renderer.buffer.bytes.copied(), as: UTF8.self)
                == #"{"topic":"t","segment":"segment.log","offset":3,"length":4,"#
                + #""finding":"bad-crc","severity":"damage","detail":"why","lost":[[5,6]]}"# + "\n")
    }

    // MARK: Text

    @Test func textEscapesWhatATerminalShouldNotSee() throws {
        let text = try DumpFrame.message(
            1, [0x1b, 0x5b, 0x31, 0x0a, 0xff] + Array("é\u{202e}".utf8)
        )
        .rendered(json: false)
        #expect(text.hasSuffix("  \"\\x1b[1\\n\\xffé\\u{202e}\"\n"), "\(text)")
    }

    @Test func textCutsWhatIsLongAndSaysHowLongItIs() throws {
        let long = DumpFrame.message(1, [UInt8](repeating: 0x61, count: 1000))
        #expect(try long.rendered(json: false).hasSuffix("a\"… (1000 bytes)\n"))
        #expect(try long.rendered(json: false).utf8.count < 300)
        #expect(try long.rendered().contains(String(repeating: "a", count: 1000)))
    }

    @Test func columnsGrowWithTheirNumbers() throws {
        var frame = DumpFrame.message(.max - 1, [])
        #expect(try frame.rendered(json: false).hasPrefix("18446744073709551614  2026-"))
        frame.id = 3
        #expect(try frame.rendered(json: false).hasPrefix("       3  2026-"))
        #expect(try DumpFrame.lost(3, 2).rendered(json: false).contains("lost  2 messages, up to"))
    }
}

extension String {
    /// The same with every checksum left out.
    fileprivate var replacingCRC: String {
        replacing(#/"crc":"[0-9a-f]{8}"/#, with: #""crc":"x""#)
    }
}
