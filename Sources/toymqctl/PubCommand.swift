import ArgumentParser
import Glibc
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

            Exit codes: 0 all were published; 1 not all, the others are listed on standard error; 2 \
            none was; 64 usage.
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

    @Flag(help: "Print a JSON object for each message.")
    var json = false

    func validate() throws {
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
            return Header(String(text[..<equals]), String(text[text.index(after: equals)...]))
        }
    }

    /// What no broker takes more than.
    private static let limit = 3 << 20

    func run() throws {
        try remote.withClient { client in
            let publisher = LinePublisher(
                client: client, topic: topic, headers: try headers(), traceparent: traceparent,
                json: json)
            if !lines {
                let bytes: [UInt8]
                if let payload {
                    bytes = Array(payload.utf8)
                } else {
                    bytes = try Input.whole(file ?? "-", limit: PubCommand.limit)
                }
                publisher.publish([bytes]) { _ in key }
            } else {
                let input = try Input(file ?? "-")
                while !publisher.isOver, let lines = try input.lines(limit: PubCommand.limit) {
                    publisher.publish(lines) { number in keyPrefix.map { "\($0):\(number)" } }
                }
            }
            return publisher.finish()
        }
    }
}

/// Publishes one message after the other, and tells of each in the same order.
private final class LinePublisher {
    private let client: ToyMQClient
    private let topic: String
    private let headers: [Header]
    private let traceparent: String?
    private let json: Bool
    private var number = 0
    private var published = 0
    private var pending: [(number: Int, promise: PendingPublish)] = []
    private let counter = Counter("published")
    /// No more are of use: there is no broker, or nobody who reads the answers.
    private(set) var isOver = false

    init(
        client: ToyMQClient, topic: String, headers: [Header], traceparent: String?, json: Bool
    ) {
        self.client = client
        self.topic = topic
        self.headers = headers
        self.traceparent = traceparent
        self.json = json
    }

    func publish(_ payloads: [[UInt8]], key: (Int) -> String?) {
        for payload in payloads where !isOver {
            let message = Message(
                payload, key: key(number), headers: headers, traceparent: traceparent)
            let number = number
            self.number += 1
            do throws(ClientError) {
                let (client, topic) = (client, topic)
                let promise = try waitFor { () async throws(ClientError) in
                    try await client.startPublishing(message, to: topic)
                }
                pending.append((number, promise))
            } catch { failed(number, error) }
            if pending.count >= 1024 { settle() }
        }
        // What has come at once is answered before more is waited for.
        settle()
    }

    private func settle() {
        for (number, promise) in pending {
            do throws(ClientError) {
                let receipt = try waitFor { () async throws(ClientError) in
                    try await promise.receipt()
                }
                published += 1
                counter.show(published)
                if !tell(receipt) {
                    isOver = true
                    StandardError.say("standard output is closed; nothing more is published")
                }
            } catch { failed(number, error) }
        }
        pending = []
    }

    private func tell(_ receipt: PublishReceipt) -> Bool {
        guard json else {
            return StandardOutput.line("\(receipt.id)\(receipt.isDuplicate ? " duplicate" : "")")
        }
        return StandardOutput.line(
            JSON.object([
                ("topic", .string(topic)), ("id", .integer(receipt.id)),
                ("duplicate", .bool(receipt.isDuplicate)),
            ]).text)
    }

    private func failed(_ number: Int, _ error: ClientError) {
        counter.clear()
        StandardError.say("message \(number + 1): \(error)")
        if case .unreachable = error { isOver = true }
        if case .refused(let code, _) = error,
            code == .authentication || code == .hello || code == .denied || code == .damaged
        {
            isOver = true
        }
    }

    func finish() -> Outcome {
        counter.clear()
        return published == number && !isOver ? .done : published == 0 ? .failed : .incomplete
    }
}
