import Glibc
import SystemPackage

/// Input that cannot be used.
struct InputError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Bytes from a file or, for `-`, from standard input.
final class Input {
    private let file: FileDescriptor
    private let name: String
    /// Read and not handed out.
    private var rest: [UInt8] = []
    private var isAtEnd = false

    init(_ path: String) throws {
        name = path == "-" ? "standard input" : path
        do {
            file = path == "-" ? .standardInput : try .open(FilePath(path), .readOnly)
        } catch {
            throw InputError("cannot open \(path): \(error)")
        }
    }

    deinit { if file != .standardInput { try? file.close() } }

    /// All of it, at most `limit` bytes: nothing is read beyond that.
    static func whole(_ path: String, limit: Int) throws -> [UInt8] {
        let input = try Input(path)
        var bytes: [UInt8] = []
        while let more = try input.read() {
            bytes += more
            guard bytes.count <= limit else {
                throw InputError("\(input.name) has more than \(limit) bytes")
            }
        }
        return bytes
    }

    /// The lines that are there to be read at once, without their ends, waiting for the first; nil at
    /// the end. A last line needs no end.
    func lines(limit: Int) throws -> [[UInt8]]? {
        while true {
            if let last = rest.lastIndex(of: UInt8(ascii: "\n")) {
                let lines = rest[..<last].split(
                    separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
                let whole = lines.map { Array($0) }
                rest.removeSubrange(...last)
                return whole
            }
            guard rest.count <= limit else {
                throw InputError("\(name) has a line of more than \(limit) bytes")
            }
            guard let more = try read() else {
                guard !rest.isEmpty else { return nil }
                defer { rest = [] }
                return [rest]
            }
            rest += more
        }
    }

    private func read() throws -> [UInt8]? {
        guard !isAtEnd else { return nil }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count: Int
        do {
            count = try bytes.withUnsafeMutableBytes { try file.read(into: $0) }
        } catch {
            throw InputError("cannot read \(name): \(error)")
        }
        isAtEnd = count == 0
        return count == 0 ? nil : Array(bytes[..<count])
    }
}
