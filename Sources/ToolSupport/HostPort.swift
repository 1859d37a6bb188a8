/// `ADDRESS:PORT` as it is given to a program: `127.0.0.1:6789`, `[::1]:6789`, `:6789`.
public struct HostPort: Hashable, Sendable {
    /// Without the brackets of an IPv6 address.
    public let host: String
    /// The number behind the last colon.
    public let port: Int

    /// Nil if `text` is none, or has no port in `ports`.
    ///
    /// - Parameter defaultHost: what is meant where nothing stands before the colon.
    public init?(_ text: String, ports: ClosedRange<Int>, defaultHost: String) {
        guard let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]), ports.contains(port)
        else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        self.host = host.isEmpty ? defaultHost : host
        self.port = port
    }
}
