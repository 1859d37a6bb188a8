import DataDirectory
import Inspection
import SystemPackage
import Testing
import TestSupport
import WAL

@Suite("Go layout") struct GoLayoutTests {
    @Test func segmentNamesHaveSixDigitsOrMoreWithoutPadding() {
        let names: [(String, UInt64?)] = [
            ("000000.log", 0), ("000001.log", 1), ("999999.log", 999_999),
            ("1000000.log", 1_000_000), ("9999999999999999999.log", 9_999_999_999_999_999_999),
            ("0000001.log", nil), ("00001.log", nil), ("00000000000000000000.log", nil),
            ("segment.log", nil), ("000000.log.tmp", nil), ("000000", nil), ("00000a.log", nil),
            ("+00001.log", nil), (".log", nil), ("٠٠٠٠٠٠.log", nil),
        ]
        for (name, number) in names { #expect(GoSegment.number(name) == number, "\(name)") }
    }

    @Test func theFirstFrameTellsTheDialectWhateverTheName() throws {
        var native = ByteBuffer()
        FrameEncoder.appendMark(
            at: .init(id: 0, position: 5, timestamp: 1), to: &native)
        let mark = native.bytes.copied()
        let go = GoBytes.frame(0, payload: [1, 2, 3])
        for name in ["segment.log", "000000.log", "00000000000000000000.log", "x"] {
            #expect(GoLayout.dialect(of: RawSpan(of: mark + go), name: name) == .native)
            #expect(GoLayout.dialect(of: RawSpan(of: go + mark), name: name) == .go)
        }
    }

    @Test func theNameTellsWhereTheFirstFrameIsNotWhole() {
        let broken: [[UInt8]] = [
            [], [1, 2], Array(repeating: 0, count: 100), Array(repeating: 0xff, count: 100),
            Array(GoBytes.frame(0).dropLast()),
        ]
        for bytes in broken {
            let first = RawSpan(of: bytes)
            #expect(GoLayout.dialect(of: first, name: "000007.log") == .go)
            #expect(GoLayout.dialect(of: first, name: "segment.log") == .native)
            #expect(GoLayout.dialect(of: first, name: "00000000000000000007.log") == .native)
            #expect(GoLayout.dialect(of: first, name: "x") == nil)
        }
    }

    @Test func noMoreOfAFileThanItsFirstFrameIsRead() throws {
        let large = GoBytes.frame(0, payload: Array(repeating: 7, count: 100_000))
        let disk = GoMemoryDisk([large + large + large, [], Array(repeating: 0xff, count: 9_000)])
        let storage = Storage(disk)
        #expect(try GoLayout.dialect(ofFileAt: GoMemoryDisk.path(0), on: storage) == .go)
        #expect(disk.bytesRead == UInt64(large.count))
        #expect(try GoLayout.dialect(ofFileAt: GoMemoryDisk.path(1), on: storage) == .go)
        #expect(try GoLayout.dialect(ofFileAt: GoMemoryDisk.path(2), on: storage) == .go)
        #expect(disk.bytesRead == UInt64(large.count) + 30)
    }

    @Test func aFolderIsATopicByItsSegmentsPartitionsOrMeta() throws {
        let scratch = try TemporaryDirectory()
        try scratch.write([], to: "plain/000001.log")
        try scratch.write([], to: "plain/000000.log")
        try scratch.write([], to: "plain/offsets.json")
        try scratch.write([], to: "plain/notes.txt")
        try scratch.write([], to: "parts/10/000000.log")
        try scratch.write([], to: "parts/9/000000.log")
        try scratch.write(GoBytes.text("{\"partitions\":12}"), to: "parts/meta.json")
        try scratch.write(GoBytes.text("{\"partitions\":1}"), to: "empty/meta.json")
        try scratch.write([], to: "native/segment.log")
        try scratch.write(GoBytes.text("{"), to: "odd/meta.json")
        try scratch.write([], to: "odd/0/000000.log")
        let plain = try #require(try GoLayout.topic(at: scratch.path.appending("plain")))
        #expect(plain.meta == .missing)
        #expect(plain.logs.map(\.partition) == [nil])
        #expect(plain.logs[0].segments.map(\.name) == ["000000.log", "000001.log"])
        #expect(plain.logs[0].hasOffsets)
        #expect(plain.logs[0].foreign.map(\.name.string) == ["notes.txt"])
        let parts = try #require(try GoLayout.topic(at: scratch.path.appending("parts")))
        #expect(parts.logs.map(\.partition) == [9, 10])
        #expect(parts.missingPartitions == [0, 1, 2, 3, 4, 5, 6, 7, 8, 11])
        #expect(try GoLayout.topic(at: scratch.path.appending("empty"))?.missingPartitions == [0])
        #expect(try GoLayout.topic(at: scratch.path.appending("native")) == nil)
        let odd = try #require(try GoLayout.topic(at: scratch.path.appending("odd")))
        guard case .unreadable = odd.meta else {
            Issue.record("\(odd.meta)")
            return
        }
        #expect(odd.logs.map(\.partition) == [0])
    }

    @Test func aFolderThatIsNotThereIsAnIOError() {
        #expect(throws: DiskError.self) { try GoLayout.topic(at: "/nowhere/at/all") }
    }
}

@Suite("Go offsets") struct GoOffsetsTests {
    private func parse(_ text: String) throws(JSONError) -> [GoConsumer] {
        let bytes = GoBytes.text(text)
        return try GoOffsets.parse(RawSpan(of: bytes))
    }

    private func consumer(_ entry: String) -> String { "{\"consumers\":{\"c\":{\(entry)}}}" }

    @Test func nothingAcknowledgedIsNotIDZero() throws {
        let none = try parse(consumer(#""has_acked":false,"last_acked":0,"above_last":[]"#))
        let zero = try parse(consumer(#""has_acked":true,"last_acked":0,"above_last":null"#))
        #expect(none == [GoConsumer(name: "c", acked: nil, above: [])])
        #expect(zero == [GoConsumer(name: "c", acked: 0, above: [])])
        #expect(none[0].acknowledgements.firstUnacknowledged == MessageID(0))
        #expect(zero[0].acknowledgements.firstUnacknowledged == MessageID(1))
    }

    @Test func numbersAreExactAndInAnyOrder() throws {
        let text = #""has_acked":true,"last_acked":3,"above_last":[18446744073709551614,9,5,9]"#
        let consumer = try #require(try parse(consumer(text)).first)
        #expect(consumer.above == [.max - 1, 9, 5, 9])
        #expect(consumer.acknowledgements.highest == MessageID(.max - 1))
        #expect(consumer.acknowledgements.above.count == 3)
    }

    @Test func namesThatDifferInBytesOnlyAreTwoConsumers() throws {
        let entry = #"{"has_acked":false,"last_acked":0,"above_last":[]}"#
        let text = "{\"consumers\":{\"\u{e9}\":\(entry),\"e\u{301}\":\(entry),\"\":\(entry)}}\n"
        #expect(try parse(text).count == 3)
    }

    @Test func unknownMembersArePassedOver() throws {
        let entry = #""x":[{}],"has_acked":true,"last_acked":1,"above_last":[],"y":1e400"#
        #expect(try parse("{\"version\":2," + consumer(entry).dropFirst()).first?.acked == 1)
    }

    @Test func whatIsNotWholeIsRefused() {
        for text in [
            "", "{}", "[]", "{\"consumers\":[]}", "{\"consumers\":{\"c\":{}}}", "{\"consumers\":{}",
            consumer(#""has_acked":1,"last_acked":0,"above_last":[]"#),
            consumer(#""has_acked":true,"last_acked":-1,"above_last":[]"#),
            consumer(#""has_acked":true,"last_acked":1.5,"above_last":[]"#),
            consumer(#""has_acked":true,"last_acked":18446744073709551615,"above_last":[]"#),
            consumer(#""has_acked":true,"last_acked":1,"above_last":[18446744073709551615]"#),
            consumer(#""has_acked":true,"last_acked":1,"above_last":[[1,2]]"#),
            consumer(#""has_acked":true,"last_acked":1,"above_last":{}"#),
            consumer(#""last_acked":1,"above_last":[]"#), consumer(#""has_acked":true"#) + "x",
        ] {
            #expect(throws: JSONError.self, "\(text)") { try parse(text) }
        }
    }

    @Test func aMissingFileIsNotADamagedOne() throws {
        let scratch = try TemporaryDirectory()
        try scratch.write([], to: "empty")
        #expect(try GoOffsets.load(scratch.path.appending("offsets.json")) == nil)
        #expect(throws: GoOffsetsError.self) {
            try GoOffsets.load(scratch.path.appending("empty"))
        }
        #expect(throws: GoOffsetsError.self) { try GoOffsets.load(scratch.path) }
    }
}
