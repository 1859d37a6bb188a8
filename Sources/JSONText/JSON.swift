/// A JSON value to print, for people's scripts: answers and reports that are small and made once.
/// Members keep their order.
public enum JSON: Sendable {
    /// `null`
    case null
    /// `true` or `false`
    case bool(Bool)
    /// A number in full.
    case integer(UInt64)
    /// A number with three digits behind the point; `null` if it is not finite, for which JSON has
    /// no word.
    case number(Double)
    /// Any text.
    case string(String)
    /// In this order.
    case array([JSON])
    /// In this order; nobody checks that the names differ.
    case object([(String, JSON)])

    /// An integer, or null.
    public init(_ value: UInt64?) { self = value.map { .integer($0) } ?? .null }

    /// The text, in one line.
    public var text: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): String(value)
        case .number(let value): value.isFinite ? JSON.fixed(value, digits: 3) : "null"
        case .string(let value): JSON.quoted(value)
        case .array(let values): "[" + values.map(\.text).joined(separator: ", ") + "]"
        case .object(let members):
            "{" + members.map { JSON.quoted($0) + ": " + $1.text }.joined(separator: ", ") + "}"
        }
    }

    /// The text as a JSON string, in one line (RFC 8259, section 7).
    public static func quoted(_ text: String) -> String {
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

    /// A number with so many digits behind the point, 0 to 9; as Swift writes it from 10^18 on.
    public static func fixed(_ value: Double, digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (value.magnitude * scale).rounded()
        guard scaled < 1e18 else { return "\(value)" }
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return sign + String(UInt64(scaled)) }
        let whole = String(UInt64(scaled) / UInt64(scale))
        let rest = String(UInt64(scaled) % UInt64(scale))
        return sign + whole + "." + String(repeating: "0", count: digits - rest.count) + rest
    }
}
