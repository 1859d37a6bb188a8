import DataDirectory
import Testing
import WAL

@Suite("offsets.json") struct OffsetsFormatTests {
    /// `body` with its checksum behind it, as the contract has it.
    private func sealed(_ body: String) -> [UInt8] { sealed(Array(body.utf8)) }

    private func sealed(_ body: [UInt8]) -> [UInt8] {
        let crc = String(CRC32.of(RawSpan(of: body)), radix: 16)
        let digits = String(repeating: "0", count: 8 - crc.count) + crc
        return body + Array(", \"crc32\": \"\(digits)\"}\n".utf8)
    }

    private func parse(_ bytes: [UInt8]) throws(OffsetsDamage) -> Offsets {
        try OffsetsFormat.parse(RawSpan(of: bytes))
    }

    private func render(_ offsets: Offsets) -> [UInt8] {
        let buffer = OffsetsFormat.render(offsets)
        return buffer.bytes.copied()
    }

    private func damage(_ bytes: [UInt8]) -> OffsetsDamage? {
        do {
            _ = try parse(bytes)
            return nil
        } catch {
            return error
        }
    }

    private func sample() throws -> Offsets {
        var offsets = Offsets()
        let billing = try ConsumerID("billing:1")
        offsets.acknowledge(MessageID(0), by: billing)
        offsets.acknowledge(MessageID(7), by: billing)
        offsets.acknowledge(MessageID(8), by: billing)
        offsets.acknowledge(MessageID(.max - 1), by: billing)
        offsets[try ConsumerID("audit")] = Acknowledgements()
        return offsets
    }

    @Test func theBytesAreThoseOfTheContract() throws {
        let text = """
            {"consumers": {"audit": {"acked": null, "above": []}, "billing:1": {"acked": 0, \
            "above": [[7, 8], [18446744073709551614, 18446744073709551614]]}}
            """
        #expect(render(try sample()) == sealed(text))
        #expect(render(Offsets()) == sealed("{\"consumers\": {}"))
        // The checksum of the empty one, as Python's zlib gives it.
        let empty = "{\"consumers\": {}, \"crc32\": \"1b7ac5e3\"}\n"
        #expect(String(decoding: render(Offsets()), as: UTF8.self) == empty)
    }

    @Test func whatIsWrittenIsReadAgain() throws {
        let offsets = try sample()
        #expect(try parse(render(offsets)) == offsets)
        #expect(offsets.highestAcknowledged == MessageID(.max - 1))
        #expect(Offsets().highestAcknowledged == nil)
    }

    @Test func nullIsNotZero() throws {
        let none = try parse(sealed(#"{"consumers": {"c": {"acked": null, "above": []}}"#))
        let zero = try parse(sealed(#"{"consumers": {"c": {"acked": 0, "above": []}}"#))
        let consumer = try ConsumerID("c")
        #expect(none[consumer]?.acked == nil)
        #expect(none.highestAcknowledged == nil)
        #expect(zero[consumer]?.acked == MessageID(0))
        #expect(zero.highestAcknowledged == MessageID(0))
        #expect(none[try ConsumerID("d")] == nil)
    }

    @Test func everyFlippedBitIsFound() throws {
        let bytes = render(try sample())
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            if damage(flipped) == nil { Issue.record("bit \(bit) was missed") }
        }
    }

    @Test func everyTruncationIsFound() throws {
        let bytes = render(try sample())
        for length in 0..<bytes.count where damage(Array(bytes[..<length])) == nil {
            Issue.record("a file of \(length) bytes was accepted")
        }
    }

    @Test func anyByteBehindIsFound() throws {
        let bytes = render(try sample())
        for byte in UInt8.min...UInt8.max where damage(bytes + [byte]) == nil {
            Issue.record("byte \(byte) behind the newline was accepted")
        }
    }

    @Test func unknownMembersSurviveARewrite() throws {
        let body = """
            {"written-by": {"v": [1.50e+3, -0, 18446744073709551616, "\\u00e9\\n", true, null]}, \
            "consumers": {"c": {"since": "x", "acked": 1, "above": [[3, 4]], "n": 0.10}}, "z": 1
            """
        var offsets = try parse(sealed(body))
        offsets.acknowledge(MessageID(2), by: try ConsumerID("c"))
        let written = render(offsets)
        let text = """
            {"consumers": {"c": {"acked": 4, "above": [], "since": "x", "n": 0.10}}, \
            "written-by": {"v": [1.50e+3, -0, 18446744073709551616, "\u{e9}\\n", true, null]}, \
            "z": 1
            """
        #expect(written == sealed(text))
        #expect(try parse(written) == offsets)
    }

    @Test func aConsumerWithANameOfALaterVersionIsKeptAndCounts() throws {
        let body = """
            {"consumers": {"имя": {"acked": 9, "above": []}, "": {"acked": 1, "above": []}}
            """
        var offsets = try parse(sealed(body))
        #expect(offsets.consumers.isEmpty)
        #expect(offsets.highestAcknowledged == MessageID(9))
        offsets.acknowledgeForAll(MessageID(10)...MessageID(12))
        #expect(try parse(render(offsets)).highestAcknowledged == MessageID(12))
    }

    @Test func removingAConsumerRemovesAllOfIt() throws {
        let consumer = try ConsumerID("c")
        var offsets = try parse(sealed(#"{"consumers": {"c": {"x": 1, "acked": 1, "above": []}}"#))
        offsets[consumer] = nil
        #expect(offsets == Offsets())
    }

    @Test func whatCannotBeIsRefused() {
        let impossible = [
            #"{"consumers": []"#, #"{"consumers": null"#, #"{"consumer": {}"#, #"{"x": 1"#,
            #"{"consumers": {"c": 1}"#, #"{"consumers": {"c": {}}"#,
            #"{"consumers": {"c": {"acked": 1}}"#, #"{"consumers": {"c": {"above": []}}"#,
            entry("\"1\"", "[]"), entry("-1", "[]"), entry("-0", "[]"), entry("1.0", "[]"),
            entry("1e2", "[]"), entry("true", "[]"), entry("[]", "[]"),
            entry("18446744073709551615", "[]"), entry("18446744073709551616", "[]"),
            entry("99999999999999999999999", "[]"), entry("0", "null"), entry("0", "{}"),
            entry("0", "[5]"), entry("0", "[[]]"), entry("0", "[[5]]"), entry("0", "[[5, 6, 7]]"),
            entry("0", "[[6, 5]]"), entry("0", "[[5, 18446744073709551615]]"),
            entry("0", "[[5, null]]"),
            // Not above acked, or not apart from it: then acked would be higher.
            entry("4", "[[3, 3]]"), entry("4", "[[4, 6]]"), entry("4", "[[5, 6]]"),
            entry("null", "[[0, 6]]"),
            // Not ascending, overlapping, touching.
            entry("0", "[[7, 8], [4, 5]]"), entry("0", "[[4, 6], [6, 7]]"),
            entry("0", "[[4, 6], [7, 9]]"), entry("0", "[[4, 4], [4, 4]]"),
        ]
        for body in impossible {
            let damage = damage(sealed(body))
            guard case .impossible = damage?.reason else {
                Issue.record("\(body): \(damage?.description ?? "accepted")")
                continue
            }
        }
    }

    private func entry(_ acked: String, _ above: String) -> String {
        "{\"consumers\": {\"c\": {\"acked\": \(acked), \"above\": \(above)}}"
    }

    @Test func rangesThatAreApartAreTakenAsTheyAre() throws {
        let offsets = try parse(sealed(entry("4", "[[6, 6], [8, 18446744073709551614]]")))
        let above = offsets[try ConsumerID("c")]?.above
        #expect(above == [MessageID(6)...MessageID(6), MessageID(8)...MessageID(.max - 1)])
        #expect(try parse(sealed(entry("null", "[[1, 2]]"))).consumers.count == 1)
    }

    @Test func whatIsNotJSONIsRefusedThoughItsChecksumHolds() {
        let broken = [
            #"{"consumers": {}, "consumers": {}"#, #"{"consumers": {},"#, #"{"consumers" {}"#,
            #"["consumers", {}"#, entry("01", "[]"), entry("0", "[[1 2]]"), entry("0", "[],"),
            #"{"consumers": {}, "x": nul"#, #"{"consumers": {}, "x": "\x""#,
            #"{"consumers": {"c": {"acked": 1, "acked": 1, "above": []}}"#,
            #"{"consumers": {"c": {"acked": 1, "above": []}, "c": {"acked": 1, "above": []}}"#,
            #"{"consumers": {}, "x": {"a": 1, "\u0061": 2}"#, "{\"consumers\": {}, \"x\": \"\t\"",
            #"{"consumers": {}, "x": \#(String(repeating: "[", count: 100_000))"#,
        ]
        for body in broken {
            let damage = damage(sealed(body))
            switch damage?.reason {
            case .syntax, .impossible: break
            default: Issue.record("\(body): \(damage?.description ?? "accepted")")
            }
        }
        let invalid = Array("{\"consumers\": {}, \"x\": \"".utf8) + [0xff, 0x22]
        #expect(damage(sealed(invalid))?.reason == .syntax("not valid UTF-8"))
        #expect(damage(sealed(invalid))?.offset == 24)
    }

    @Test func theChecksumHasOneSpelling() throws {
        let text = String(decoding: render(try sample()), as: UTF8.self)
        let body = Array(text.utf8.dropLast(#", "crc32": "01234567"}"#.utf8.count + 1))
        let crc = CRC32.of(RawSpan(of: body))
        #expect(sealed(body) == Array(text.utf8))
        let digits = String(crc, radix: 16)
        let others = [
            ", \"crc32\": \"\(digits.uppercased())\"}\n", ", \"crc32\": \(crc)}\n",
            ", \"crc32\": \"0\(digits)\"}\n", ", \"crc\": \"\(digits)\"}\n",
            ", \"crc32\": \"\(digits)\"}", ", \"crc32\": \"\(digits)\"}\r\n",
            ", \"crc32\": \"\(digits)\" , \"x\": 1}\n", " \"crc32\": \"\(digits)\"}\n",
            ", \"crc32\": \"\(digits)\"}}\n", ", \"crc32\": \"\(digits)\"\n}",
        ]
        for other in others where damage(body + Array(other.utf8)) == nil {
            Issue.record("\(other) was accepted")
        }
        #expect(damage(body + Array(",\"crc32\":\t\"\(digits)\" }\n".utf8)) == nil)
    }

    @Test func damageSaysWhatAndWhere() throws {
        #expect(damage([])?.reason == .notOneLine)
        #expect(damage(Array("{}\n".utf8))?.reason == .noChecksum)
        #expect(damage(Array("{\n}\n".utf8)) == OffsetsDamage(reason: .notOneLine, offset: 1))
        var bytes = render(Offsets())
        bytes[3] ^= 1
        #expect(damage(bytes) == OffsetsDamage(reason: .checksum, offset: 16))
        let order = damage(sealed(entry("4", "[[6, 7], [6, 9]]")))
        #expect(order?.offset == 51)
        #expect(order?.description.hasSuffix("at byte 51") == true)
    }
}
