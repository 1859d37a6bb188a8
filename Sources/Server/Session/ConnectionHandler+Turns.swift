import Broker
import Threads

/// How much of the loop's time a connection has had since the loop looked at its sockets. The clock
/// is looked at once for many commands that take little.
struct Turn {
    private static let commandsPerLook = 64

    private var commands = 0
    /// Monotonic nanoseconds, as of the first look.
    private var begin: UInt64?

    /// The next command may take long.
    mutating func expectLong() {
        commands = Turn.commandsPerLook
        if begin == nil { begin = MonotonicClock.now() }
    }

    /// Another command was taken: whether the clock is to be looked at.
    mutating func count() -> Bool {
        commands += 1
        return commands >= Turn.commandsPerLook
    }

    /// Whether it has lasted for `limit` nanoseconds or longer.
    mutating func isOver(_ limit: UInt64) -> Bool {
        commands = 0
        let now = MonotonicClock.now()
        guard let begin else {
            self.begin = now
            return false
        }
        return now - begin >= limit
    }
}

/// No client keeps the loop from the others, whatever it sends ahead.
extension ConnectionHandler {
    /// A command was taken: whether another one is, now or later.
    func commandTaken() {
        stallIfFull()
        // Of a connection whose command had to wait, this one was taken before the broker stopped.
        if loop.isStopping { return finish() }
        guard turn.count(), turn.isOver(loop.turns.limit), stall == nil, case .open = phase else {
            return
        }
        stall = .turn
        loop.turns.add(self)
    }

    /// The others had their turn.
    func takeTurn() {
        guard case .turn? = stall else { return }
        turn = Turn()
        resume(nil)
        flush()
    }
}
