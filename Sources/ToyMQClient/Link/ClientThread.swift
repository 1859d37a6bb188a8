internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix

/// The event loop of a client, and of those that share it, and whether it still takes work. For any
/// thread.
final class ClientThread: Sendable {
    let loop: any EventLoop
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let isOver = NIOLockedValueBox(false)

    init() { loop = group.next() }

    /// Has the loop do this. False if it takes nothing any more, and then never does.
    @discardableResult
    func execute(_ work: @escaping @Sendable () -> Void) -> Bool {
        // The lock is held meanwhile: a loop that has gone throws work away, and tells nobody.
        isOver.withLockedValue { isOver in
            if !isOver { loop.execute(work) }
            return !isOver
        }
    }

    /// Takes no more work, and ends the thread. May be called on the loop.
    func end(_ done: @escaping @Sendable () -> Void) {
        isOver.withLockedValue { $0 = true }
        group.shutdownGracefully { _ in done() }
    }
}
