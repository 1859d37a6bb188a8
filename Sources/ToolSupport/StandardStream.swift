import Glibc

/// Standard output and standard error, unbuffered.
public enum StandardStream: Int32, Sendable {
    /// What a program was asked for.
    case output = 1
    /// For people.
    case error = 2

    /// Whether it leads to a terminal.
    public var isTerminal: Bool { isatty(rawValue) == 1 }

    /// Writes all of `bytes`, or returns the error number of the write that failed. Blocks. A
    /// reader who has gone is such an error (EPIPE) only where SIGPIPE is ignored.
    @discardableResult
    public func put(_ bytes: [UInt8]) -> Int32? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(rawValue, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return errno
            }
            rest = rest.dropFirst(count)
        }
        return nil
    }

    /// The same of text.
    @discardableResult
    public func put(_ text: String) -> Int32? { put(Array(text.utf8)) }
}

/// What a program says of itself on standard error, which is the only place for what went wrong.
public struct ToolVoice: Sendable {
    private let tool: String

    /// - Parameter tool: the name of the program.
    public init(_ tool: String) { self.tool = tool }

    /// Writes a line with the program's name in front. Where nobody listens there is nothing left
    /// to do about it.
    public func say(_ text: String) { StandardStream.error.put("\(tool): \(text)\n") }
}
