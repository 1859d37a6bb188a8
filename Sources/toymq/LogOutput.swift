import Glibc
import JSONText
import Logging
import ToolSupport

/// How log lines look.
enum LogFormat: String, CaseIterable, Sendable {
    case text
    case json
}

/// One line per event, handed to the thread that writes them.
struct LineLogHandler: LogHandler {
    let writer: LogWriter
    let format: LogFormat
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        writer.put(LineLogHandler.line(format, event.level, "\(event.message)", all))
    }

    /// The line of an event, with its end.
    static func line(
        _ format: LogFormat, _ level: Logger.Level, _ message: String,
        _ metadata: Logger.Metadata = [:]
    ) -> String {
        let all = metadata.sorted { $0.key < $1.key }
        var line = ""
        switch format {
        case .text:
            line = "\(time()) \(level) \(clean(message))"
            for (key, value) in all { line += " \(key)=\(clean("\(value)"))" }
        case .json:
            line = "{\"time\": \"\(time())\", \"level\": \"\(level)\""
            line += ", \"message\": \(JSON.quoted(message))"
            for (key, value) in all {
                line += ", \(JSON.quoted(key)): \(JSON.quoted("\(value)"))"
            }
            line += "}"
        }
        return line + "\n"
    }

    /// RFC 3339 in UTC with milliseconds.
    private static func time() -> String {
        let now = WallClock.nanoseconds
        var seconds = time_t(now / 1_000_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func padded(_ number: Int, _ digits: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        let date =
            "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))"
            + "-\(padded(Int(parts.tm_mday), 2))"
        let time =
            "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2))"
            + ":\(padded(Int(parts.tm_sec), 2)).\(padded(Int(now / 1_000_000 % 1000), 3))"
        return "\(date)T\(time)Z"
    }

    /// One line, whatever the text holds.
    private static func clean(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }
}
