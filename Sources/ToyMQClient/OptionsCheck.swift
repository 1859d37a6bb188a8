internal import NIOCore
internal import Wire

extension ClientOptions {
    /// No duration of an option is longer: a year.
    static let longestDuration = Duration.seconds(365 * 86_400)

    /// The first option that nothing can be done with, if there is one.
    var flaw: ClientError? {
        if host.isEmpty || host.utf8.contains(0) { return .invalidArgument("host is no name") }
        if let token, !CommandWriter.isToken(token) {
            // Not shown: it is a secret.
            return .invalidArgument(
                "token has \(token.utf8.count) bytes: it has to be 1 to "
                    + "\(CommandWriter.tokenBytes) visible ASCII letters, without spaces and ends "
                    + "of lines")
        }
        if !(1...65_535).contains(port) {
            return .invalidArgument("port is \(port): it has to be 1 to 65535")
        }
        if let addresses {
            if addresses.isEmpty {
                return .invalidArgument("addresses is empty: nil asks for them")
            }
            for address in addresses
            where (try? SocketAddress(ipAddress: address, port: port)) == nil {
                return .invalidArgument("addresses holds \(address), which is no IP address")
            }
        }
        let counts = [
            ("publishWindow", publishWindow), ("publishWindowBytes", publishWindowBytes),
            ("deliveryWindow", deliveryWindow), ("deliveryWindowBytes", deliveryWindowBytes),
            ("reconnect.attempts", reconnect.attempts ?? 1),
        ]
        for (name, count) in counts where count < 1 {
            return .invalidArgument("\(name) is \(count): it has to be at least 1")
        }
        let durations = [
            ("connectTimeout", connectTimeout), ("keepAlive", keepAlive),
            ("reconnect.firstPause", reconnect.firstPause),
            ("reconnect.longestPause", reconnect.longestPause),
        ]
        for (name, duration) in durations
        where duration < .milliseconds(1) || duration > ClientOptions.longestDuration {
            return .invalidArgument(
                "\(name) is \(duration): it has to be 1 ms to \(ClientOptions.longestDuration)")
        }
        return nil
    }
}
