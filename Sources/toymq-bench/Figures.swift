import JSONText

/// A number with so many digits behind the point.
func fixed(_ value: Double, digits: Int) -> String { JSON.fixed(value, digits: digits) }

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
