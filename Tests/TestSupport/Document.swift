public import Foundation

/// What the documents of this repository say.
public enum Document {
    /// The clone that the tests are of.
    public static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// A section that is not there, or there twice.
    public struct NoSection: Error {
        /// Its name.
        public let name: String
        /// The document's.
        public let path: String
    }

    /// All of a file, by its path in the clone.
    public static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    /// The lines between `<!-- name -->` and `<!-- end -->`.
    public static func section(_ name: String, of path: String) throws -> [String] {
        let parts = try text(path).components(separatedBy: "<!-- \(name) -->")
        guard parts.count == 2 else { throw NoSection(name: name, path: path) }
        return parts[1].components(separatedBy: "<!-- end -->")[0]
            .split(separator: "\n").map(String.init)
    }

    /// The cells of the table in that section, row by row, without its head.
    public static func table(_ name: String, of path: String) throws -> [[String]] {
        try section(name, of: path).dropFirst(2).map { row in
            row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }
}

extension String {
    /// Without the grave accents around it, if it has them.
    public var unquoted: String { trimmingCharacters(in: CharacterSet(charactersIn: "`")) }
}
