import ArgumentParser
import ToolSupport
import ToyMQClient

struct PubCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pub",
        abstract: "Publishes to a broker.",
        discussion: """
            The payload is the argument, or the content of --file, or what standard input holds. \
            With --lines every line of --file or standard input is a message; they are sent ahead, \
            without waiting for the answers. The id of each message is printed when the broker has it \
            on stable storage, `duplicate` behind it if its key was known already.

            With a key a message is sent again when the connection ends before its answer, and \
            appended once. --key-prefix P gives the lines the keys P:0, P:1 and so on: after a failure \
            the same command may simply be run again.

            A line that is too long for any broker fails like a message that was refused, and the next \
            one is published. Without a broker, or when standard output takes nothing more, the rest is \
            not sent; it is said where that begins.

            Exit codes: 0 all were published; 1 not all, or of some it is not known; those are listed \
            on standard error; 2 none was, for certain; 64 usage.
            """)

    @OptionGroup var remote: RemoteOptions

    @Argument(help: "The topic; made by its first message.")
    var topic: String

    @Argument(help: "The payload.")
    var payload: String?

    @Option(
        help: ArgumentHelp("Take the payload from here; - is standard input.", valueName: "path"))
    var file: String?

    @Flag(help: "Each line is a message.")
    var lines = false

    @Option(help: "The dedupe key of the one message.")
    var key: String?

    @Option(help: "With --lines: what the keys begin with.")
    var keyPrefix: String?

    @Option(
        help: ArgumentHelp("A header, as often as needed.", valueName: "name=value"))
    var header: [String] = []

    @Option(help: "The W3C trace context.")
    var traceparent: String?

    @Option(help: "What vendors add to the trace context.")
    var tracestate: String?

    @Flag(help: "Print a JSON object for each message.")
    var json = false

    func validate() throws {
        if file?.isEmpty ?? false { throw ValidationError("--file: the path is empty.") }
        if payload != nil, file != nil { throw ValidationError("a payload or --file, not both") }
        if payload != nil, lines {
            throw ValidationError("--lines is for --file or standard input")
        }
        if key != nil, lines { throw ValidationError("--key is for one message; use --key-prefix") }
        if keyPrefix != nil, !lines { throw ValidationError("--key-prefix goes with --lines") }
        _ = try headers()
    }

    private func headers() throws -> [Header] {
        try header.map { text in
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw ValidationError("--header: '\(text)' is not NAME=VALUE")
            }
            let name = text[..<equals]
            guard name != "traceparent", name != "tracestate" else {
                throw ValidationError("--header: use --\(name) for the \(name)")
            }
            return Header(String(name), String(text[text.index(after: equals)...]))
        }
    }

    func run() throws {
        try remote.withClient { client in
            var pattern = Message([], headers: try headers())
            pattern.traceparent = traceparent
            pattern.tracestate = tracestate
            let limit = Message.largestPayloadBytes
            let publisher = LinePublisher(
                client: client, topic: topic, pattern: pattern, limit: limit, json: json)
            guard lines else {
                let bytes: [UInt8]
                if let payload {
                    bytes = Array(payload.utf8)
                } else {
                    bytes = try Input.whole(file ?? "-", limit: limit)
                }
                publisher.publish([.whole(bytes)]) { _ in key }
                return publisher.finish(hasMore: false)
            }
            let input = try Input(file ?? "-")
            do {
                while !publisher.isOver, let lines = try input.lines(limit: limit) {
                    publisher.publish(lines) { number in keyPrefix.map { "\($0):\(number)" } }
                }
            } catch {
                // What was published before stays published.
                voice.say("\(error)")
                return publisher.finish(hasMore: true)
            }
            return publisher.finish(hasMore: publisher.isOver && input.hasMore)
        }
    }
}
