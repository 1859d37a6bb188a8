/// Any JSON. Numbers keep their text, so what is read and written again means the same, whatever
/// its size or precision.
package enum JSONValue: Hashable, Sendable {
    /// `null`
    case null
    /// `true` or `false`
    case bool(Bool)
    /// A number as it is written.
    case number(String)
    /// A string, its escapes decoded.
    case string(String)
    /// In the order of the text.
    case array([JSONValue])
    /// In the order of the text; no two names have the same bytes.
    case object([JSONMember])
}

/// A name and a value in an object.
package struct JSONMember: Hashable, Sendable {
    /// The name, its escapes decoded.
    package var name: String
    /// The value.
    package var value: JSONValue

    /// One member.
    package init(name: String, value: JSONValue) {
        self.name = name
        self.value = value
    }
}

/// What is wrong with a text, and where.
package struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Which kind of wrong.
    package enum Reason: Hashable, Sendable {
        /// It is not JSON, or not the strict kind that is read here.
        case syntax(String)
        /// It is JSON, but not what its reader asks for.
        case meaning(String)
    }

    /// Bytes from the beginning of the text.
    package let offset: Int
    /// What is wrong.
    package let reason: Reason

    /// One fault.
    package init(offset: Int, reason: Reason) {
        self.offset = offset
        self.reason = reason
    }

    /// One line for people.
    package var description: String {
        switch reason {
        case .syntax(let text), .meaning(let text): "\(text), at byte \(offset)"
        }
    }
}

extension JSONValue {
    /// Parses a whole text: one value, with nothing but white space around it.
    package init(parsing bytes: RawSpan) throws(JSONError) {
        var reader = try JSONReader(bytes)
        self = try reader.value()
        try reader.end()
    }

    /// The member of an object with this name; nil if there is none, or if it is no object.
    package subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The members, empty if it is no object.
    package var members: [JSONMember] {
        if case .object(let members) = self { members } else { [] }
    }

    /// The elements, empty if it is no array.
    package var elements: [JSONValue] {
        if case .array(let elements) = self { elements } else { [] }
    }

    /// The string; nil if it is none.
    package var string: String? { if case .string(let text) = self { text } else { nil } }

    /// The boolean; nil if it is none.
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

    /// The number, if it is written as an integer from 0 to 2^64 - 1.
    package var integer: UInt64? {
        guard case .number(let text) = self, text.utf8.first != UInt8(ascii: "-") else {
            return nil
        }
        return UInt64(text)
    }
}
