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
    /// The beginning of a line that has not ended.
    private var rest: [UInt8] = []
    /// Read to see whether there is anything.
    private var ahead: [UInt8]?
    /// What is read belongs to a line that is too long already.
    private var isInLongLine = false
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

    /// A line of the input.
    enum Line {
        /// Without its end.
        case whole([UInt8])
        /// It has more bytes than were to be kept, and was passed over.
        case tooLong
    }

    /// The lines that are there to be read at once, waiting for the first; nil at the end. A last
    /// line needs no end. No more is kept of a line than `limit` bytes and one reading.
    func lines(limit: Int) throws -> [Line]? {
        let end = UInt8(ascii: "\n")
        while let more = try ahead.take() ?? read() {
            guard let last = more.lastIndex(of: end) else {
                keep(more[...], limit)
                continue
            }
            let text = rest + more[..<last]
            var lines = text.split(separator: end, omittingEmptySubsequences: false)
                .map { $0.count > limit ? Line.tooLong : .whole(Array($0)) }
            if isInLongLine { lines[0] = .tooLong }
            (rest, isInLongLine) = ([], false)
            keep(more[(last + 1)...], limit)
            return lines
        }
        guard !rest.isEmpty || isInLongLine else { return nil }
        defer { (rest, isInLongLine) = ([], false) }
        return [isInLongLine ? .tooLong : .whole(rest)]
    }

    /// Keeps what belongs to a line that has not ended, unless it is too long already.
    private func keep(_ bytes: ArraySlice<UInt8>, _ limit: Int) {
        if isInLongLine { return }
        rest += bytes
        guard rest.count > limit else { return }
        (rest, isInLongLine) = ([], true)
    }

    /// Whether there is more, as far as that can be told without waiting: from whoever writes it
    /// and has not ended it there will be.
    var hasMore: Bool {
        if !rest.isEmpty || isInLongLine || ahead != nil { return true }
        var poller = pollfd(fd: file.rawValue, events: Int16(POLLIN), revents: 0)
        if poll(&poller, 1, 0) == 0 { return true }
        ahead = try? read()
        return ahead != nil
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
