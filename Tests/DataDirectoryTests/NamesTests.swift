import DataDirectory
import Testing
import WAL

@Suite("Names") struct NamesTests {
    private let topicBytes = Set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-".utf8)

    @Test func topicAllowsExactlyItsAlphabet() {
        for byte in UInt8.min...UInt8.max {
            let bytes = [UInt8(ascii: "a"), byte]
            let isValid = (try? TopicName(RawSpan(of: bytes))) != nil
            #expect(isValid == topicBytes.contains(byte), "byte \(byte)")
        }
    }

    @Test func consumerAllowsTheSameAndAColon() {
        for byte in UInt8.min...UInt8.max {
            let bytes = [byte]
            let isValid = (try? ConsumerID(RawSpan(of: bytes))) != nil
            #expect(isValid == (topicBytes.contains(byte) || byte == UInt8(ascii: ":")))
        }
    }

    @Test func topicMayNotBeginWithADot() throws {
        for text in [".", "..", ".hidden", "...."] {
            #expect(throws: InvalidName(subject: .topic, reason: .leadingDot)) {
                try TopicName(text)
            }
        }
        #expect(try TopicName("a..b").text == "a..b")
        #expect(try ConsumerID(".a").text == ".a")
    }

    @Test func lengthIsOneToTwoHundredBytes() throws {
        #expect(throws: InvalidName(subject: .topic, reason: .empty)) { try TopicName("") }
        #expect(throws: InvalidName(subject: .consumer, reason: .empty)) { try ConsumerID("") }
        #expect(try TopicName(String(repeating: "x", count: 200)).text.count == 200)
        #expect(throws: InvalidName(subject: .topic, reason: .tooLong(bytes: 201))) {
            try TopicName(String(repeating: "x", count: 201))
        }
        #expect(throws: InvalidName(subject: .consumer, reason: .tooLong(bytes: 10_000))) {
            try ConsumerID(RawSpan(of: Array(repeating: 65, count: 10_000)))
        }
    }

    @Test func errorTellsTheByteAndWhereItIs() {
        let slash = InvalidName(subject: .topic, reason: .forbidden(byte: 0x2f, offset: 2))
        #expect(throws: slash) { try TopicName("ab/c") }
        #expect(
            slash.description
                == "a topic name has the byte 0x2f at offset 2, allowed are A-Z a-z 0-9 . _ -")
    }

    @Test func lookAlikesOutsideASCIIAreRefused() {
        // U+212A is canonically equivalent to K: as strings the two are equal.
        #expect("\u{212a}" == "K")
        #expect(throws: InvalidName.self) { try TopicName("\u{212a}") }
        #expect(throws: InvalidName.self) { try ConsumerID("тема") }
    }
}
