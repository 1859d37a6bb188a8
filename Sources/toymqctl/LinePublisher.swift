import JSONText
import ToolSupport
import ToyMQClient

/// Publishes one message after the other, and tells of each in the same order.
final class LinePublisher {
    private let client: ToyMQClient
    private let topic: String
    /// What all messages have in common.
    private let pattern: Message
    /// How many bytes a line may have.
    private let limit: Int
    private let json: Bool
    /// Messages that were tried to send.
    private var number = 0
    private var published = 0
    /// Of some nobody can tell whether the broker has them.
    private var hasUnknown = false
    /// There were messages behind those, which were not.
    private var hasLeft = false
    private var pending: [(number: Int, promise: PendingPublish)] = []
    private let counter = Counter("published")
    /// Standard output takes nothing more.
    private var isMute = false
    /// No more are of use: there is no broker, or nobody who reads the answers.
    private(set) var isOver = false

    init(client: ToyMQClient, topic: String, pattern: Message, limit: Int, json: Bool) {
        self.client = client
        self.topic = topic
        self.pattern = pattern
        self.limit = limit
        self.json = json
    }

    func publish(_ lines: [Input.Line], key: (Int) -> String?) {
        for line in lines {
            if isOver {
                hasLeft = true
                break
            }
            let number = number
            self.number += 1
            switch line {
            case .tooLong: failed(number, "a payload has at most \(limit) bytes")
            case .whole(let payload): start(number, payload, key: key(number))
            }
            if pending.count >= 1024 { settle() }
        }
        // What has come at once is answered before more is waited for.
        settle()
    }

    private func start(_ number: Int, _ payload: [UInt8], key: String?) {
        var message = pattern
        message.payload = payload
        message.key = key
        do throws(ClientError) {
            let (client, topic, sent) = (client, topic, message)
            let promise = try waitFor { () async throws(ClientError) in
                try await client.startPublishing(sent, to: topic)
            }
            pending.append((number, promise))
        } catch { failed(number, error) }
    }

    private func settle() {
        for (number, promise) in pending {
            do throws(ClientError) {
                let receipt = try waitFor { () async throws(ClientError) in
                    try await promise.receipt()
                }
                published += 1
                counter.show(published)
                tell(receipt)
            } catch { failed(number, error) }
        }
        pending = []
    }

    /// Prints the id. When that fails it is said once, whatever else is under way.
    private func tell(_ receipt: PublishReceipt) {
        if isMute { return }
        let text =
            json
            ? JSON.object([
                ("topic", .string(topic)), ("id", .integer(receipt.id)),
                ("duplicate", .bool(receipt.isDuplicate)),
            ]).text : "\(receipt.id)\(receipt.isDuplicate ? " duplicate" : "")"
        do {
            try StandardOutput.line(text)
        } catch {
            counter.clear()
            voice.say("\(error); nothing more is published")
            (isMute, isOver) = (true, true)
        }
    }

    private func failed(_ number: Int, _ error: ClientError) {
        failed(number, "\(error)")
        if case .outcomeUnknown = error { hasUnknown = true }
        if case .unreachable = error { isOver = true }
        if case .refused(let code, _) = error,
            code == .authentication || code == .hello || code == .denied || code == .damaged
        {
            isOver = true
        }
    }

    private func failed(_ number: Int, _ reason: String) {
        counter.clear()
        voice.say("message \(number + 1): \(reason)")
    }

    /// How it ended; `hasMore` tells whether the input holds messages that were not taken.
    func finish(hasMore: Bool) -> Outcome {
        counter.clear()
        if hasMore || hasLeft {
            voice.say("messages from \(number + 1) on were not sent")
        }
        let isWhole = published == number && !isOver && !hasMore
        // Who is told that none was may publish all of them once more.
        let isNone = published == 0 && !hasUnknown
        return isWhole ? .done : isNone ? .failed : .incomplete
    }
}
