import Foundation
import Glibc
import Threads
import WAL

/// Something that a test waits for: it happens, or the deadline passes and the test fails.
package final class Event: Sendable {
    private let state = Monitor(false)

    package init() {}

    package func fire() {
        state.withLock { $0 = true }
        state.broadcast()
    }

    package var hasFired: Bool { state.withLock { $0 } }

    /// False if `seconds` pass first.
    package func wait(_ seconds: Double = 30) -> Bool {
        let deadline = Event.deadline(seconds)
        return state.wait(deadline: { _ in deadline }, until: { $0 ? true : nil }) ?? false
    }

    static func deadline(_ seconds: Double) -> UInt64 {
        DispatchTime.now().uptimeNanoseconds + UInt64(seconds * 1e9)
    }
}

/// A value that threads change and a test waits for.
package final class Observed<Value: Sendable>: Sendable {
    private let state: Monitor<Value>

    package init(_ value: Value) { state = Monitor(value) }

    package var value: Value { state.withLock { $0 } }

    package func update(_ body: (inout Value) -> Void) {
        state.withLock { body(&$0) }
        state.broadcast()
    }

    /// Waits until `isReached` holds; false if `seconds` pass first.
    package func wait(_ seconds: Double = 30, until isReached: (Value) -> Bool) -> Bool {
        let deadline = Event.deadline(seconds)
        return state.wait(deadline: { _ in deadline }, until: { isReached($0) ? true : nil })
            ?? false
    }
}

/// A gate that calls pass one way only when it is open. Closed to begin with.
package final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiting = 0
    }
    private let state = Monitor(State())

    package init() {}

    /// Blocks until the gate is open.
    package func pass() {
        state.withLock { $0.waiting += 1 }
        state.broadcast()
        _ = state.wait { $0.isOpen ? true : nil }
        state.withLock { $0.waiting -= 1 }
    }

    package func open() {
        state.withLock { $0.isOpen = true }
        state.broadcast()
    }

    package func close() { state.withLock { $0.isOpen = false } }

    /// Waits until somebody stands before it.
    package func waitForVisitor(_ seconds: Double = 30) -> Bool {
        let deadline = Event.deadline(seconds)
        return state.wait(
            deadline: { _ in deadline }, until: { $0.waiting > 0 ? true : nil }) ?? false
    }
}

/// Waits, and lets other tasks of the pool run meanwhile; false if `seconds` pass first.
package func eventually(_ seconds: Double = 60, _ condition: () -> Bool) async -> Bool {
    let deadline = Event.deadline(seconds)
    while !condition() {
        if DispatchTime.now().uptimeNanoseconds > deadline { return false }
        await Task.yield()
    }
    return true
}

/// Waits for what nobody announces; false if `seconds` pass first.
package func comesTrue(
    _ seconds: Double = 30, _ condition: () throws -> Bool
) rethrows -> Bool {
    let deadline = Event.deadline(seconds)
    while try !condition() {
        if DispatchTime.now().uptimeNanoseconds > deadline { return false }
        sched_yield()
    }
    return true
}
