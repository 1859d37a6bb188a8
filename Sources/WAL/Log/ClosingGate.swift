internal import Threads

/// How many logs of a host are being closed at the same time: as many as there are callers, until
/// descriptors run out. A log that is closed gives its own back, so whoever found none waits for
/// that, and only one that was alone has to do without.
final class ClosingGate: Sendable {
    private struct State {
        var active = 0
        /// Nil as long as none was in want of a descriptor.
        var limit: Int?
        /// Turns that came to their end since the limit was last changed.
        var ended = 0
    }
    private let state = Monitor(State())

    /// Waits for its turn. True if nobody else has one until it is given back.
    func enter() -> Bool {
        state.wait { state in
            if let limit = state.limit, state.active >= limit { return nil }
            state.active += 1
            return state.limit == 1
        }
    }

    /// Gives the turn back. After it found no descriptor, fewer are let in from then on.
    func leave(foundNone: Bool = false) {
        state.withLock { state in
            state.ended += 1
            if foundNone {
                // Others that found none at the same time may have been in each other's way only.
                state.limit = max(1, min(state.limit ?? state.active, state.active) - 1)
                state.ended = 0
            } else if let limit = state.limit, state.ended >= 4 * limit {
                state.limit = limit + 1
                state.ended = 0
            }
            state.active -= 1
        }
        state.broadcast()
    }
}
