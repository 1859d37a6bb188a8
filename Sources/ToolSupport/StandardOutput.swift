import Glibc

/// Standard output takes nothing more; one line for people.
public struct OutputError: Error, CustomStringConvertible {
    /// Says what to do.
    public let description: String

    /// - Parameter number: the error number of the write that failed.
    public init(_ number: Int32) {
        description =
            switch number {
            case EPIPE: "standard output is closed: nobody reads it any more"
            case EBADF: "standard output is closed: it was when the program was started"
            default:
                "cannot write standard output: \(String(cString: strerror(number))); make room "
                    + "where it goes to, or send it elsewhere"
            }
    }
}

/// Standard output: whole lines, and word of what it did not take.
public enum StandardOutput {
    /// Writes all of it. Blocks.
    public static func put(_ bytes: [UInt8]) throws(OutputError) {
        if let number = StandardStream.output.put(bytes) { throw OutputError(number) }
    }

    /// Writes `text` and a newline. Blocks.
    public static func line(_ text: String) throws(OutputError) {
        try put(Array((text + "\n").utf8))
    }
}
