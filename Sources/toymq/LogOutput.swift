import Glibc
import JSONText
import Logging

/// How log lines look.
enum LogFormat: String, CaseIterable, Sendable {
    case text
    case json
}

/// One line per event on standard error, each with one write(2).
struct LineLogHandler: LogHandler {
    let label: String
    let format: LogFormat
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
            .sorted { $0.key < $1.key }
        var line = ""
        switch format {
        case .text:
            line =
                "\(LineLogHandler.time()) \(event.level) \(LineLogHandler.clean("\(event.message)"))"
            for (key, value) in all { line += " \(key)=\(LineLogHandler.clean("\(value)"))" }
        case .json:
            line = "{\"time\": \"\(LineLogHandler.time())\", \"level\": \"\(event.level)\""
            line += ", \"message\": \(JSON.quoted("\(event.message)"))"
            for (key, value) in all {
                line += ", \(JSON.quoted(key)): \(JSON.quoted("\(value)"))"
            }
            line += "}"
        }
        line += "\n"
        StandardStream.error.put(line)
    }

    /// RFC 3339 in UTC with milliseconds.
    private static func time() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        gmtime_r(&now.tv_sec, &parts)
        func padded(_ number: Int, _ digits: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        let date =
            "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))"
            + "-\(padded(Int(parts.tm_mday), 2))"
        let time =
            "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2))"
            + ":\(padded(Int(parts.tm_sec), 2)).\(padded(now.tv_nsec / 1_000_000, 3))"
        return "\(date)T\(time)Z"
    }

    /// One line, whatever the text holds.
    private static func clean(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }
}

/// Standard output and error, unbuffered.
enum StandardStream: Int32 {
    case output = 1
    case error = 2

    func put(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { write(rawValue, $0.baseAddress, $0.count) }
            if written > 0 { rest = rest.dropFirst(written) }
            if written < 0, errno != EINTR { return }
        }
    }
}
