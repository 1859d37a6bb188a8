import ArgumentParser
import Foundation
import JSONText
import ToolSupport
import ToyMQClient

struct SubCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sub",
        abstract: "Prints what a consumer has not acknowledged of a topic, then what comes live.",
        discussion: """
            Each message is acknowledged when it has been printed, unless --no-ack is given. It goes on \
            until --count or --timeout, or until SIGINT (Ctrl-C) or SIGTERM: then it prints no further \
            message, waits up to a second for the broker to take the acknowledgements, and ends. A \
            second signal ends it at once, with 1. When the connection ends it is made again; what was \
            not acknowledged by then is printed once more.

            Text: the payload and a newline. --json: topic, id, payload (or payload_base64 if it is \
            not UTF-8), and if the broker tells them attempt, timestamp_ns, key, headers, traceparent \
            and tracestate.

            This takes over from another connection of the same consumer, and a topic that does not \
            exist is made.

            Exit codes: 0 stopped as asked, by a signal too; 1 --count was not reached, the broker went away for good or \
            was not there when --timeout was over, the topic was found damaged, standard output takes \
            nothing more, or messages that were printed may come again, since the broker has not \
            confirmed their acknowledgements; 2 no subscription; 64 usage.
            """)

    @OptionGroup var remote: RemoteOptions

    @Argument(help: "The topic.")
    var topic: String

    @Option(help: "Whose messages.")
    var consumer = "toymqctl"

    @Option(help: "Stop after so many messages.")
    var count: Int?

    @Option(
        help: ArgumentHelp("Stop when no message has come for so long.", valueName: "seconds"))
    var timeout: Double?

    @Option(help: "How many messages are taken ahead.")
    var window = 256

    @Flag(help: "Acknowledge nothing: all of it comes again. The broker sends 256 at most then.")
    var noAck = false

    @Flag(help: "Print a JSON object for each message.")
    var json = false

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count is at least 1") }
        guard timeout ?? 1 > 0 else { throw ValidationError("--timeout is above 0") }
        guard window >= 1 else { throw ValidationError("--window is at least 1") }
    }

    func run() throws {
        Cancellation.listen(secondExits: Outcome.incomplete.rawValue)
        try remote.withClient(adjust: { $0.deliveryWindow = window }) { client in
            let subscription = try client.subscribe(to: topic, as: consumer)
            guard try isAccepted(subscription, client.options) else {
                voice.say(
                    Cancellation.isRequested
                        ? "stopped before the broker had accepted the subscription"
                        : "the broker answers, and has no subscription to \(topic)")
                return .failed
            }
            let acknowledger = Acknowledger(subscription)
            var outcome: Outcome
            do {
                outcome = try printAll(subscription, acknowledger)
            } catch {
                // There was a subscription, and what was printed was.
                voice.say("\(error)")
                outcome = .incomplete
            }
            return max(outcome, acknowledger.finish())
        }
    }

    /// Waits for the subscription; false if the broker says nothing of it, or a signal comes
    /// before. Throws why there is none.
    private func isAccepted(
        _ subscription: Subscription, _ options: ClientOptions
    ) throws(ClientError) -> Bool {
        // --timeout is for messages; a subscription may take as long as --attempts do.
        let attempt = options.connectTimeout + options.reconnect.longestPause
        let limit = timeout.map { _ in Double(remote.attempts) * (attempt / .seconds(1)) }
        do throws(ClientError) {
            try waitFor(seconds: limit, until: { Cancellation.isRequested }) {
                () async throws(ClientError) in
                try await subscription.waitUntilAccepted()
            }
            return true
        } catch {
            if error == .cancelled { return false }
            throw error
        }
    }

    private func printAll(
        _ subscription: Subscription, _ acknowledger: Acknowledger
    ) throws -> Outcome {
        let counter = Counter("received")
        defer { counter.clear() }
        var received = 0
        while received < count ?? .max, !Cancellation.isRequested,
            let delivery = try next(subscription)
        {
            let text = json ? Array(DeliveryJSON.text(delivery).utf8) : delivery.payload
            try StandardOutput.put(text + [UInt8(ascii: "\n")])
            received += 1
            if !StandardStream.output.isTerminal { counter.show(received) }
            if !noAck { acknowledger.acknowledge(delivery) }
        }
        let isShort = count.map { received < $0 }
        // Whoever is told to end has not waited for one.
        if isShort ?? true, !Cancellation.isRequested, let reason = subscription.interruption {
            voice.say("--timeout is over, and there is no subscription just now: \(reason)")
            return .incomplete
        }
        return isShort ?? false ? .incomplete : .done
    }

    private func next(_ subscription: Subscription) throws(ClientError) -> Delivery? {
        try waitFor(seconds: timeout, until: { Cancellation.isRequested }) {
            () async throws(ClientError) in
            var iterator = subscription.makeAsyncIterator()
            return try await iterator.next()
        }
    }
}

/// A delivery as one JSON object in one line.
enum DeliveryJSON {
    static func text(_ delivery: Delivery) -> String {
        var members: [(String, JSON)] = [
            ("topic", .string(delivery.topic)), ("id", .integer(delivery.id)),
            bytes("payload", delivery.payload),
        ]
        if let attempt = delivery.attempt { members.append(("attempt", .integer(attempt))) }
        if let time = delivery.timestamp { members.append(("timestamp_ns", .integer(time))) }
        if let key = delivery.key { members.append(bytes("key", key)) }
        if !delivery.headers.isEmpty {
            members.append(
                (
                    "headers",
                    .array(
                        delivery.headers.map { header in
                            let value = bytes("base64", header.value)
                            return .array([
                                .string(header.name),
                                value.0 == "base64" ? value.1 : .object([("base64", value.1)]),
                            ])
                        })
                ))
        }
        if let context = delivery.traceparent { members.append(("traceparent", .string(context))) }
        if let state = delivery.tracestate { members.append(("tracestate", .string(state))) }
        return JSON.object(members).text
    }

    /// As text if it is UTF-8; else in base64, under a name that says so.
    private static func bytes(_ name: String, _ bytes: [UInt8]) -> (String, JSON) {
        if let text = String(validating: bytes, as: UTF8.self) { return (name, .string(text)) }
        return ("\(name)_base64", .string(Data(bytes).base64EncodedString()))
    }
}
