import Glibc

/// Why a token was not read; one line for people.
public struct TokenFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Names the option and the file.
    public let description: String
}

/// The file that `--token-file` names.
public enum TokenFile {
    /// No token is longer, and nothing is read beyond that.
    private static let byteLimit = 8192

    /// The token in the first line of the file at `path`. Blocks.
    public static func token(_ path: String) throws(TokenFileError) -> String {
        let line = try firstBytes(path).prefix {
            $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r")
        }
        guard !line.isEmpty, line.count < byteLimit, line.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else {
            throw TokenFileError(
                description: "--token-file: \(path) does not begin with a token")
        }
        return String(decoding: line, as: UTF8.self)
    }

    private static func firstBytes(_ path: String) throws(TokenFileError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw failure("open", path) }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: byteLimit)
        var count = 0
        // A pipe gives what it has, which may be less than all.
        while count < byteLimit {
            let got = bytes.withUnsafeMutableBytes {
                read(file, $0.baseAddress.map { $0 + count }, byteLimit - count)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw failure("read", path) }
            if got == 0 { break }
            count += got
        }
        return Array(bytes[..<count])
    }

    private static func failure(_ verb: String, _ path: String) -> TokenFileError {
        TokenFileError(
            description: "--token-file: cannot \(verb) \(path): \(String(cString: strerror(errno)))"
        )
    }
}
