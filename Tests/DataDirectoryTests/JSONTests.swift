import DataDirectory
import Testing
import TestSupport
import WAL

@Suite("JSON reader") struct JSONReaderTests {
    private func parse(_ text: String) throws(JSONError) -> JSONValue {
        try parse(Array(text.utf8))
    }

    private func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
        try JSONValue(parsing: RawSpan(of: bytes))
    }

    @Test func valuesOfAllKindsAreRead() throws {
        #expect(try parse(" null ") == .null)
        #expect(try parse("[true,false]") == .array([.bool(true), .bool(false)]))
        #expect(try parse("\"\"") == .string(""))
        #expect(try parse("{}") == .object([]))
        #expect(try parse("[ ]") == .array([]))
        let nested = try parse("{\"a\": {\"b\": [1, {\"c\": \"d\"}]}}")
        #expect(nested["a"]?["b"]?.elements.last?["c"]?.string == "d")
    }

    @Test func numbersKeepTheirText() throws {
        for text in ["0", "-0", "1.50", "1e5", "1E+05", "-12.5e-3", "18446744073709551616"] {
            #expect(try parse(text) == .number(text))
        }
        #expect(try parse("18446744073709551615").integer == .max)
        #expect(try parse("18446744073709551616").integer == nil)
        #expect(try parse("1.0").integer == nil)
    }

    @Test func integersAreExactUpTo64Bits() throws {
        let good: [(String, UInt64)] = [
            ("0", 0), ("7", 7), ("9007199254740993", 9_007_199_254_740_993),
            ("18446744073709551615", .max), (" 5 ", 5),
        ]
        for (text, value) in good {
            let bytes = Array(text.utf8)
            var reader = try JSONReader(RawSpan(of: bytes))
            #expect(try reader.integer() == value)
            try reader.end()
        }
        for text in [
            "", "-1", "00", "01", "1.0", "1e1", "1E1", "+1", "18446744073709551616", "\"1\"",
            "99999999999999999999", "null",
        ] {
            let bytes = Array(text.utf8)
            #expect(throws: JSONError.self) {
                var reader = try JSONReader(RawSpan(of: bytes))
                _ = try reader.integer()
            }
        }
    }

    @Test func escapesAreDecoded() throws {
        #expect(try parse(#""a\"\\\/\b\f\n\r\tz""#) == .string("a\"\\/\u{8}\u{c}\n\r\tz"))
        #expect(try parse(#""\u0000\u00e9\u20AC\uD83D\ude00""#) == .string("\0\u{e9}€😀"))
        #expect(try parse("\"тема 😀\"") == .string("тема 😀"))
    }

    @Test func whatIsNotJSONIsRefusedWithItsPlace() {
        let broken: [(String, Int)] = [
            ("", 0), (" ", 1), ("nul", 0), ("nullx", 4), ("[1,]", 3), ("[1 2]", 3), ("[,1]", 1),
            ("[1", 2), ("{", 1), ("{\"a\"}", 4), ("{\"a\":}", 5), ("{\"a\":1,}", 7), ("{a:1}", 1),
            ("{\"a\":1 \"b\":2}", 7), ("\"", 1), ("\"\\", 2), ("\"\\x\"", 2), ("\"\\u12\"", 5),
            ("\"\\u12g4\"", 5), ("\"\n\"", 1), ("\"\u{0}\"", 1), ("01", 1), ("-", 1), ("1.", 2),
            ("1e", 2), (".5", 0), ("1 2", 2), ("'a'", 0), ("NaN", 0), ("[1]]", 3), ("\u{feff}1", 0),
            ("\"\\ud800\"", 1), ("\"\\ud800\\u0041\"", 1), ("\"\\udc00\"", 1),
            ("{\"a\":1,\"a\":2}", 7), ("{\"a\":1,\"\\u0061\":2}", 7),
        ]
        for (text, offset) in broken {
            let error = #expect(throws: JSONError.self, "\(text)") { try parse(text) }
            #expect(error?.offset == offset, "\(text)")
        }
        #expect(throws: JSONError(offset: 2, reason: .syntax("not valid UTF-8"))) {
            try parse([0x22, 0x61, 0xc3, 0x22])
        }
    }

    @Test func nestingIsBounded() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        let limit = JSONReader.depthLimit
        let deepest = try parse(nested(limit))
        var writer = JSONWriter()
        writer.value(deepest)
        #expect(writer.buffer.bytes.copied() == Array(nested(limit).utf8))
        let error = #expect(throws: JSONError.self) { try parse(nested(limit + 1)) }
        #expect(error?.offset == limit)
        #expect(throws: JSONError.self) { try parse(String(repeating: "[", count: 1_000_000)) }
    }

    @Test func namesAreComparedByTheirBytes() throws {
        // Two spellings of one letter: equal as Swift strings, two members as JSON.
        let value = try parse("{\"\u{e9}\": 1, \"e\u{301}\": 2}")
        #expect(value.members.count == 2)
    }

    @Test func everyTruncationOfAnObjectIsRefused() throws {
        let object = #"{"a": [1, -2.5e3, "xй😀\u00e9", true, null, {"b": {}}], "c": false}"#
        let text = Array(object.utf8)
        _ = try parse(text)
        for length in 0..<text.count where (try? parse(Array(text[..<length]))) != nil {
            Issue.record("\(length) bytes were accepted")
        }
    }
}

@Suite("JSON writer") struct JSONWriterTests {
    private func text(_ writer: borrowing JSONWriter) -> String {
        String(decoding: writer.buffer.bytes.copied(), as: UTF8.self)
    }

    @Test func commasAndColonsStandWhereTheyBelong() {
        for (isSpaced, expected) in [
            (false, #"{"a":1,"b":[],"c":[true,null,{"d":"e"}],"f":{}}"#),
            (true, #"{"a": 1, "b": [], "c": [true, null, {"d": "e"}], "f": {}}"#),
        ] {
            var json = JSONWriter(spaced: isSpaced)
            for _ in 0..<2 {
                json.beginObject()
                json.name("a")
                json.integer(UInt64(1))
                json.name("b")
                json.beginArray()
                json.endArray()
                json.name("c" as String)
                json.beginArray()
                json.bool(true)
                json.null()
                json.beginObject()
                json.name("d")
                json.string("e")
                json.endObject()
                json.endArray()
                json.name("f")
                json.beginObject()
                json.endObject()
                json.endObject()
                json.newline()
            }
            #expect(text(json) == expected + "\n" + expected + "\n")
        }
    }

    @Test func integersAreWrittenInFull() {
        var json = JSONWriter()
        json.beginArray()
        for value: UInt64 in [0, 9, 10, 1_234_567_890, .max] { json.integer(value) }
        for value: Int in [0, -1, .min, .max] { json.integer(value) }
        json.endArray()
        let unsigned = "0,9,10,1234567890,18446744073709551615"
        #expect(text(json) == "[\(unsigned),0,-1,-9223372036854775808,9223372036854775807]")
    }

    @Test func hexadecimalHasEightLowerCaseDigits() {
        var json = JSONWriter()
        json.beginArray()
        json.hexadecimal(0)
        json.hexadecimal(0xdead_beef)
        json.endArray()
        #expect(text(json) == #"["00000000","deadbeef"]"#)
    }

    @Test func base64IsThatOfTheRFC() {
        let vectors = [
            "": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==",
            "fooba": "Zm9vYmE=", "foobar": "Zm9vYmFy",
        ]
        for (bytes, expected) in vectors {
            var json = JSONWriter()
            json.base64(RawSpan(of: Array(bytes.utf8)))
            #expect(text(json) == "\"\(expected)\"")
        }
        var json = JSONWriter()
        json.base64(RawSpan(of: [0xfb, 0xff, 0xbf]))
        #expect(text(json) == "\"+/+/\"")
    }

    @Test func everyByteAtEveryPlaceOfAWordIsEscapedAsItShould() throws {
        for byte in UInt8(0)..<0x80 {
            for place in 0..<17 {
                var bytes = Array(repeating: UInt8(ascii: "a"), count: 17)
                bytes[place] = byte
                var json = JSONWriter()
                json.string(utf8: RawSpan(of: bytes))
                let written = json.buffer.bytes.copied()
                let string = String(decoding: bytes, as: UTF8.self)
                let read = try JSONValue(parsing: RawSpan(of: written))
                if read != .string(string) { Issue.record("byte \(byte) at \(place)") }
                let isSpecial = byte < 0x20 || byte == 0x22 || byte == 0x5c
                if !isSpecial, written.count != 19 { Issue.record("byte \(byte) was escaped") }
            }
        }
    }

    @Test func anyStringIsReadAsItWasWritten() throws {
        var random = Seeded(1)
        for _ in 0..<300 {
            var scalars = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0..<40, using: &random) {
                let limit: UInt32 = Bool.random(using: &random) ? 0x80 : 0x110000
                let number = UInt32.random(in: 0..<limit, using: &random)
                if let scalar = Unicode.Scalar(number) { scalars.append(scalar) }
            }
            let string = String(scalars)
            var json = JSONWriter()
            json.string(string)
            let written = json.buffer.bytes.copied()
            let read = try JSONValue(parsing: RawSpan(of: written)).string ?? ""
            #expect(Array(read.utf8) == Array(string.utf8))
        }
    }
}

@Suite("UTF-8") struct UTF8Tests {
    private func isValid(_ bytes: [UInt8]) -> Bool { RawSpan(of: bytes).firstInvalidUTF8 == nil }

    @Test func allShortSequencesAreJudgedAsTheStandardLibraryDoes() {
        var wrong: [[UInt8]] = []
        func check(_ bytes: [UInt8]) {
            let expected = String(validating: bytes, as: UTF8.self) != nil
            if isValid(bytes) != expected { wrong.append(bytes) }
        }
        for first in UInt8.min...UInt8.max {
            check([first])
            for second in UInt8.min...UInt8.max { check([first, second]) }
        }
        let edges: [UInt8] = [
            0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xed, 0xf4, 0xff,
        ]
        for first in UInt8(0xdf)...0xf6 {
            for second in edges {
                for third in edges {
                    check([first, second, third])
                    for fourth in edges { check([first, second, third, fourth]) }
                }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test func theFirstBadByteIsTold() {
        let good = Array("0123456789й😀абв".utf8)
        for place in 0...good.count where String(validating: good[..<place], as: UTF8.self) != nil {
            let bytes = Array(good[..<place]) + [0xff] + Array("behind".utf8)
            #expect(RawSpan(of: bytes).firstInvalidUTF8 == place)
        }
        #expect(RawSpan(of: Array("abc\u{20ac}".utf8.dropLast())).firstInvalidUTF8 == 3)
        #expect(isValid([]))
    }
}
