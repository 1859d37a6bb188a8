internal import WAL

/// Why a text may not be a name.
public struct InvalidName: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was to be named.
    public enum Subject: String, Hashable, Sendable {
        /// A topic.
        case topic = "topic name"
        /// A consumer.
        case consumer = "consumer id"
    }

    /// The rule that is broken; the first one, from the front.
    public enum Reason: Hashable, Sendable {
        /// It has no bytes.
        case empty
        /// It has more bytes than the limit.
        case tooLong(bytes: Int)
        /// A topic's name may not begin with a dot: no path may lead upwards or be hidden.
        case leadingDot
        /// A byte outside the alphabet, `offset` bytes from the front.
        case forbidden(byte: UInt8, offset: Int)
    }

    /// What was to be named.
    public let subject: Subject
    /// Which rule is broken.
    public let reason: Reason

    /// One broken rule.
    public init(subject: Subject, reason: Reason) {
        self.subject = subject
        self.reason = reason
    }

    /// One line for people, without the name itself: it may hold anything.
    public var description: String {
        switch reason {
        case .empty: return "a \(subject.rawValue) is empty"
        case .tooLong(let bytes):
            return "a \(subject.rawValue) has \(bytes) bytes, "
                + "at most \(NameRules.limit) are allowed"
        case .leadingDot: return "a \(subject.rawValue) begins with a dot"
        case .forbidden(let byte, let offset):
            let digits = String(byte, radix: 16)
            return "a \(subject.rawValue) has the byte 0x\(byte < 16 ? "0" : "")\(digits) "
                + "at offset \(offset), allowed are \(NameRules.alphabet(subject))"
        }
    }
}

/// The name of a topic: 1 to 200 bytes of `A-Z a-z 0-9 . _ -`, not beginning with a dot.
///
/// Whatever has this type can stand in a path as it is.
public struct TopicName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The name.
    public let text: String

    /// Checks `text`; throws the first rule that it breaks.
    public init(_ text: String) throws(InvalidName) {
        try NameRules.check(Array(text.utf8), .topic)
        self.text = text
    }

    /// Checks `bytes`, as they come from a connection; throws the first rule that they break.
    public init(_ bytes: RawSpan) throws(InvalidName) {
        let copy = try NameRules.checkedCopy(bytes, .topic)
        self.text = String(decoding: copy, as: UTF8.self)
    }

    /// In the order of the bytes.
    public static func < (a: TopicName, b: TopicName) -> Bool { a.text < b.text }

    /// The name.
    public var description: String { text }
}

/// The name of a consumer: 1 to 200 bytes of `A-Z a-z 0-9 . _ : -`.
public struct ConsumerID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The name.
    public let text: String

    /// Checks `text`; throws the first rule that it breaks.
    public init(_ text: String) throws(InvalidName) {
        try NameRules.check(Array(text.utf8), .consumer)
        self.text = text
    }

    /// Checks `bytes`, as they come from a connection; throws the first rule that they break.
    public init(_ bytes: RawSpan) throws(InvalidName) {
        let copy = try NameRules.checkedCopy(bytes, .consumer)
        self.text = String(decoding: copy, as: UTF8.self)
    }

    /// In the order of the bytes.
    public static func < (a: ConsumerID, b: ConsumerID) -> Bool { a.text < b.text }

    /// The name.
    public var description: String { text }
}

/// The two alphabets. Everything allowed is ASCII, so a valid name has one spelling only and
/// comparing names as strings compares their bytes.
private enum NameRules {
    /// Bytes that a name may have; with the longest suffix that we put behind it, it stays below
    /// the 255 bytes that file systems allow.
    static let limit = 200

    static func alphabet(_ subject: InvalidName.Subject) -> String {
        switch subject {
        case .topic: "A-Z a-z 0-9 . _ -"
        case .consumer: "A-Z a-z 0-9 . _ : -"
        }
    }

    static func check(_ bytes: [UInt8], _ subject: InvalidName.Subject) throws(InvalidName) {
        if let reason = reason(bytes, subject) {
            throw InvalidName(subject: subject, reason: reason)
        }
    }

    /// Bounds the length before anything is allocated for it.
    static func checkedCopy(
        _ bytes: RawSpan, _ subject: InvalidName.Subject
    ) throws(InvalidName) -> [UInt8] {
        guard bytes.byteCount <= limit else {
            throw InvalidName(subject: subject, reason: .tooLong(bytes: bytes.byteCount))
        }
        let copy = bytes.copied()
        try check(copy, subject)
        return copy
    }

    private static func reason(
        _ bytes: [UInt8], _ subject: InvalidName.Subject
    ) -> InvalidName.Reason? {
        guard let first = bytes.first else { return .empty }
        guard bytes.count <= limit else { return .tooLong(bytes: bytes.count) }
        if subject == .topic, first == UInt8(ascii: ".") { return .leadingDot }
        for (offset, byte) in bytes.enumerated() where !isAllowed(byte, subject) {
            return .forbidden(byte: byte, offset: offset)
        }
        return nil
    }

    private static func isAllowed(_ byte: UInt8, _ subject: InvalidName.Subject) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "-"):
            true
        case UInt8(ascii: ":"): subject == .consumer
        default: false
        }
    }
}
