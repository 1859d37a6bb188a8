internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix

/// The event loop of a client, and of those that share it, and whether it still takes work. For any
/// thread.
final class ClientThread: Sendable {
    let loop: any EventLoop
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    private struct State {
        var isOver = false
        /// Those that share it and are not over: what they wait for would never come without it.
        var guests: [ObjectIdentifier: ClientCore] = [:]
    }
    private let state = NIOLockedValueBox(State())

    init() { loop = group.next() }

    /// Has the loop do this. False if it takes nothing any more, and then never does.
    @discardableResult
    func execute(_ work: @escaping @Sendable () -> Void) -> Bool {
        // The lock is held meanwhile: a loop that has gone throws work away, and tells nobody.
        state.withLockedValue { state in
            if !state.isOver { loop.execute(work) }
            return !state.isOver
        }
    }

    /// Another client is on it, until it is removed; if it is over, that one finds it so.
    func add(_ guest: ClientCore) {
        state.withLockedValue { state in
            if !state.isOver { state.guests[ObjectIdentifier(guest)] = guest }
        }
    }

    /// The guest is over.
    func remove(_ guest: ClientCore) {
        state.withLockedValue { $0.guests[ObjectIdentifier(guest)] = nil }
    }

    /// On the loop. Calls `done` when all guests that there are now are over.
    func endGuests(within timeout: TimeAmount, _ done: @escaping () -> Void) {
        let guests = state.withLockedValue { Array($0.guests.values) }
        var left = guests.count + 1
        func oneIsOver() {
            left -= 1
            if left == 0 { done() }
        }
        for guest in guests { guest.end(within: timeout, oneIsOver) }
        oneIsOver()
    }

    /// On the loop. Ends the guests, those that come meanwhile too, takes no more work, and ends
    /// the thread.
    func end(within timeout: TimeAmount, _ done: @escaping @Sendable () -> Void) {
        let isOver = state.withLockedValue { state in
            state.isOver = state.guests.isEmpty
            return state.isOver
        }
        guard isOver else { return endGuests(within: timeout) { self.end(within: timeout, done) } }
        group.shutdownGracefully { _ in done() }
    }
}
