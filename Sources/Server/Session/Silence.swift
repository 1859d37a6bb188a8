/// How long a client has said nothing, and whether that is too long. Looked at now and then: never
/// early, and up to three looks late. No clock is asked for what is read.
struct Silence {
    /// What a client may leave undone.
    struct Standing {
        /// It has sent no whole command yet.
        var isNew = false
        /// A command of it has not come whole.
        var isWithinCommand = false
        /// It has a subscription, and need not say anything.
        var isSubscribed = false
    }

    private let openedAt: UInt64
    /// Something has come, or was waited for, since the last look.
    private var hasStirred = true
    /// The look behind the last time that anything had.
    private var quietSince: UInt64
    /// It was over time at the last look.
    private var isLate = false

    /// A connection that was made now, in monotonic nanoseconds.
    init(_ now: UInt64) {
        openedAt = now
        quietSince = now
    }

    /// Something has come, or may come from now on.
    mutating func stir() { hasStirred = true }

    /// A look at a client that waits for an answer or for messages, or from which nothing is read:
    /// it is not idle, nor late with what nobody reads. Its time begins when that is over.
    mutating func excuse() {
        hasStirred = true
        isLate = false
    }

    /// A look at a client that has nothing to wait for: what it has not done in time, if it is
    /// late.
    mutating func look(_ now: UInt64, _ client: Standing, _ options: ServerOptions) -> String? {
        if hasStirred {
            hasStirred = false
            quietSince = now
        }
        guard let text = lateness(now, client, options) else {
            isLate = false
            return nil
        }
        // A loop that stood still meets this before it reads what came in time: the next look
        // comes behind that.
        guard isLate else {
            isLate = true
            return nil
        }
        return text
    }

    private func lateness(
        _ now: UInt64, _ client: Standing, _ options: ServerOptions
    ) -> String? {
        if client.isNew, let limit = options.handshakeTimeout, isOver(limit, since: openedAt, now) {
            return "no command in \(limit / 1_000_000) ms"
        }
        if client.isWithinCommand, let limit = options.frameTimeout,
            isOver(limit, since: quietSince, now)
        {
            return "half a command, and nothing more in \(limit / 1_000_000) ms"
        }
        if !client.isSubscribed, let limit = options.idleTimeout,
            isOver(limit, since: quietSince, now)
        {
            return "idle for \(limit / 1_000_000) ms"
        }
        return nil
    }

    private func isOver(_ timeout: UInt64, since start: UInt64, _ now: UInt64) -> Bool {
        now > start && now - start >= timeout
    }
}
