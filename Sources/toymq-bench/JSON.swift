/// A JSON value to print. Members keep their order.
enum JSON {
    case null
    case bool(Bool)
    case integer(UInt64)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([(String, JSON)])

    /// An integer, or null.
    init(_ value: UInt64?) { self = value.map { .integer($0) } ?? .null }

    /// The text, in one line.
    var text: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): String(value)
        // JSON has no infinity; a thousandth is finer than anything measured here.
        case .number(let value): value.isFinite ? fixed(value, digits: 3) : "null"
        case .string(let value): JSON.quoted(value)
        case .array(let values): "[" + values.map(\.text).joined(separator: ", ") + "]"
        case .object(let members):
            "{" + members.map { JSON.quoted($0) + ": " + $1.text }.joined(separator: ", ") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
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

/// A number with so many digits behind the point.
func fixed(_ value: Double, digits: Int) -> String {
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

/// Lines of cells in columns as wide as they have to be, aligned to the right.
func table(_ rows: [[String]]) -> String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
        rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
        zip(row, widths).map { cell, width in
            String(repeating: " ", count: width - cell.count) + cell
        }.joined(separator: "  ")
    }.joined(separator: "\n")
}
