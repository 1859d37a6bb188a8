import SystemPackage
import WAL

// Opens the log in the directory given, appends a message, and prints all there are.
let directory = FilePath(CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : "example.log")
let host = LogHost()
let log = try Log.open(directory, host: host)
print("recovered \(log.recovery.ids)")

// Blocks until the message is on stable storage. In async code: `try await log.append(…)`.
let text = Array("hello from run \(log.durable.upperBound)".utf8)
let id = try log.appendBlocking(Message(payload: text.span.bytes))
print("message \(id) is durable")

// A reader sees what is durable, and says how many messages it has shown.
var reader = log.reader(from: MessageID(0))
var shown = 0
repeat {
    shown = try reader.read(upTo: 100) { message in
        let text = message.payload.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        print("\(message.id): \(text)")
        return .next
    }
} while shown > 0

// Commits what is left, writes a closing mark, and gives the directory up.
try log.close()
host.shutdown()
