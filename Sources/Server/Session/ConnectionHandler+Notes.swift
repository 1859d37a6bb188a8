import Logging

/// What people are told of a connection.
extension ConnectionHandler {
    /// Tells people what a client does wrong, with its address: once, or whoever sends noise would
    /// fill the log. What it does next is told at debug.
    func note(_ text: @autoclosure () -> String) {
        let level = isNoted ? Logger.Level.debug : .notice
        isNoted = true
        service.logger.log(level: level, "\(text())", metadata: metadata())
    }

    func metadata(_ key: String? = nil, _ value: String = "") -> Logger.Metadata {
        var metadata: Logger.Metadata = ["peer": "\(peer)"]
        if let key { metadata[key] = "\(value)" }
        return metadata
    }
}
