import Glibc

/// Standard output takes nothing more; one line for people.
struct OutputError: Error, CustomStringConvertible {
    let description: String

    /// The error number of the write that failed.
    init(_ number: Int32) {
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
enum StandardOutput {
    static let isTerminal = isatty(STDOUT_FILENO) == 1

    static func put(_ bytes: [UInt8]) throws(OutputError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0 {
                let number = errno
                if number == EINTR { continue }
                throw OutputError(number)
            }
            rest = rest.dropFirst(count)
        }
    }

    static func line(_ text: String) throws(OutputError) { try put(Array((text + "\n").utf8)) }
}
