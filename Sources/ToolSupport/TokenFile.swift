import Glibc
import Wire

/// Why a token was not read; one line for people.
public struct TokenFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Names the setting and the file.
    public let description: String
}

/// A file whose first line is a token: the broker's and the clients', which have to agree about it.
public enum TokenFile {
    /// One byte more than a token may have, so that a longer line is seen to be one.
    private static let byteLimit = CommandWriter.tokenBytes + 1

    /// The token in the first line of the file at `path`, which `setting` names: `--token-file`.
    /// Blocks.
    public static func token(
        _ path: String, setting: String
    ) throws(TokenFileError) -> String {
        let line = try firstBytes(path, setting).prefix {
            $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r")
        }
        let token = String(decoding: line, as: UTF8.self)
        guard CommandWriter.isToken(token) else {
            let most = CommandWriter.tokenBytes
            let count = line.count > most ? "more than \(most)" : "\(line.count)"
            // Not shown: it is a secret.
            throw TokenFileError(
                description: "\(setting): the first line of \(path) has \(count) bytes: it has to "
                    + "be a token, 1 to \(most) visible ASCII letters without spaces")
        }
        return token
    }

    private static func firstBytes(
        _ path: String, _ setting: String
    ) throws(TokenFileError) -> [UInt8] {
        func failure(_ verb: String) -> TokenFileError {
            let reason = String(cString: strerror(errno))
            return TokenFileError(description: "\(setting): cannot \(verb) \(path): \(reason)")
        }
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw failure("open") }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: byteLimit)
        var count = 0
        // A pipe gives what it has, which may be less than all.
        while count < byteLimit {
            let got = bytes.withUnsafeMutableBytes {
                read(file, $0.baseAddress.map { $0 + count }, byteLimit - count)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw failure("read") }
            if got == 0 { break }
            count += got
        }
        return Array(bytes[..<count])
    }
}
