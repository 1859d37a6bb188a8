/// Writes one JSON object in one line.
struct JSONText {
    private(set) var text = "{"
    private var isFirst = true

    mutating func member(_ name: String, _ value: UInt64) { member(name, raw: String(value)) }
    mutating func member(_ name: String, _ value: Int) { member(name, raw: String(value)) }
    mutating func member(_ name: String, _ value: Bool) { member(name, raw: "\(value)") }
    mutating func member(_ name: String, _ value: String) {
        member(name, raw: JSONText.quoted(value))
    }

    /// A member whose value is JSON already.
    mutating func member(_ name: String, raw value: String) {
        if !isFirst { text += ", " }
        isFirst = false
        text += JSONText.quoted(name) + ": " + value
    }

    mutating func end() -> String {
        text += "}"
        return text
    }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\0"..<" ":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
