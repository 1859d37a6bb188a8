internal import Wire

/// A command that is answered with one line.
struct Request {
    enum Kind {
        case publish(Promise<PublishReceipt>)
        case info(Promise<String>)
    }
    let kind: Kind
    let command: [UInt8]
    /// May be sent again when a connection has ended before its answer.
    let isRepeatable: Bool
    /// Some connection has carried it.
    var wasSent = false

    func fail(_ error: ClientError) {
        switch kind {
        case .publish(let promise): promise.complete(.failure(error))
        case .info(let promise): promise.complete(.failure(error))
        }
    }

    /// Fails because nothing will come of it: whether it was done is known only if it was not sent.
    func abandon(_ error: ClientError, _ reason: String) {
        fail(wasSent ? .outcomeUnknown(reason: reason) : error)
    }
}

/// The two forms of INFO.
enum InfoCommand {
    static var totals: [UInt8] {
        var command: [UInt8] = []
        CommandWriter.info(to: &command)
        return command
    }

    static func topics(after name: String) -> [UInt8] {
        var command: [UInt8] = []
        CommandWriter.info(after: name, to: &command)
        return command
    }
}
