internal import WAL

/// Pieces that a fuzzer had better not have to guess, in the form that libFuzzer and AFL++ read.
package enum FuzzDictionary {
    /// The file: one `name="value"` a line.
    package static var text: String {
        var lines = [
            "# Pieces of frames, segments and offsets.json, for libFuzzer (-dict=) and AFL++ (-x)."
        ]
        for (name, bytes) in entries {
            lines.append("\(name)=\"\(bytes.map(escaped).joined())\"")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static var entries: [(String, [UInt8])] {
        let mark = WrittenFrame.mark(id: 0, position: 0, timestamp: 1)
        return [
            ("length_smallest", little(UInt32(34))), ("length_below", little(UInt32(33))),
            ("length_largest", little(UInt32(4_194_300))),
            ("length_above", little(UInt32(4_194_301))), ("length_lost", little(UInt32(42))),
            ("number_zero", little(UInt64(0))), ("number_one", little(UInt64(1))),
            ("number_last", little(UInt64.max)), ("number_before_last", little(UInt64.max - 1)),
            ("number_half", little(UInt64(1) << 63)), ("presence_none", little(UInt16(0))),
            ("presence_key", little(UInt16(1))), ("presence_headers", little(UInt16(2))),
            ("presence_both", little(UInt16(3))), ("presence_lost", little(UInt16(4))),
            ("presence_mark", little(UInt16(8))), ("presence_newer", little(UInt16(16))),
            ("mark", mark.bytes), ("key_one", FrameParts.key([65])),
            ("headers_one", FrameParts.headers([(name: [66], value: [67])])),
            ("go_length_smallest", little(UInt32(26))),
            ("go_length_largest", little(UInt32(4_194_304))),
            ("json_consumers", Array("\"consumers\": {".utf8)),
            ("json_consumer", Array("\"c\": {\"acked\": null, \"above\": []}".utf8)),
            ("json_acked", Array("\"acked\": ".utf8)), ("json_above", Array("\"above\": [[".utf8)),
            ("json_null", Array("null".utf8)), ("json_crc", Array(", \"crc32\": \"".utf8)),
            ("json_last_id", Array("18446744073709551615".utf8)),
            ("go_json", Array("\"has_acked\": true, \"last_acked\": 2, \"above_last\": ".utf8)),
        ]
    }

    private static func escaped(_ byte: UInt8) -> String {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): return "\\" + String(UnicodeScalar(byte))
        case 0x20...0x7E: return String(UnicodeScalar(byte))
        default:
            let digits = String(byte, radix: 16, uppercase: true)
            return "\\x" + (byte < 16 ? "0" : "") + digits
        }
    }
}
