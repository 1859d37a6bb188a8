/// How much a connection has given to its socket and its channel, and how far in that its last
/// answer reaches: behind it are only deliveries.
struct SentBytes {
    private var given: UInt64 = 0
    private var answerEnd: UInt64 = 0
    /// The channel was given something since it was last found to have nothing queued.
    private(set) var mayBeQueued = false

    /// The next so many bytes are answers.
    mutating func beginAnswers(_ count: Int) { answerEnd = given + UInt64(count) }

    /// The socket has taken so many.
    mutating func addToSocket(_ count: Int) { given += UInt64(count) }

    /// The channel was given so many.
    mutating func addToChannel(_ count: Int) {
        given += UInt64(count)
        mayBeQueued = true
    }

    /// So many were found to be queued in the channel.
    mutating func found(queued: Int) { mayBeQueued = queued > 0 }

    /// Whether answers are among the last `unsent` bytes, or have not been given at all.
    func hasAnswers(inLast unsent: Int) -> Bool { answerEnd + UInt64(unsent) > given }
}
