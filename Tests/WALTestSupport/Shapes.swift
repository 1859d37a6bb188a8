import Foundation
import TestSupport
import WAL

/// What is tested at length only when asked for: TOYMQ_TEST_LONG=1.
package let isLongRun = ProcessInfo.processInfo.environment["TOYMQ_TEST_LONG"] == "1"

/// Whether `tools/sanitize` runs the tests: each step takes ten times as long, and a test that only
/// computes keeps a thread of the pool from those that wait with a deadline.
package let isSanitized = ProcessInfo.processInfo.environment["TOYMQ_SANITIZED"] == "1"

/// Logs of different making, to sweep over.
package struct Shape: Sendable {
    package let name: String
    package let segment: SegmentBuilder

    /// Messages of a shape in commits of so many.
    private static func build(
        _ name: String, bytes: Int, closed: Bool, commits: [Int],
        _ message: (inout Seeded) -> TestMessage
    ) -> Shape {
        var random = Seeded(42)
        var segment = SegmentBuilder(base: 0x3FFF_0000_1234_5678)
        var round = 0
        while segment.bytes.count < bytes {
            let count = commits[round % commits.count]
            segment.add((0..<count).map { _ in message(&random) })
            round += 1
        }
        if closed { segment.addMark() }
        return Shape(name: name + (closed ? ", closed" : ", killed"), segment: segment)
    }

    private static func keyed(_ random: inout Seeded, payload: Int) -> TestMessage {
        TestMessage(
            random.bytes(payload), key: random.bytes(Int.random(in: 1...40, using: &random)),
            headers: (0..<Int.random(in: 0...3, using: &random)).map { _ in
                MessageHeader(
                    name: random.bytes(Int.random(in: 1...9, using: &random)),
                    value: random.bytes(Int.random(in: 0...99, using: &random)))
            })
    }

    /// Shapes of about `bytes`, each killed and closed.
    package static func all(bytes: Int, payload: Int) -> [Shape] {
        [false, true].flatMap { closed in
            [
                build("single commits", bytes: bytes, closed: closed, commits: [1]) {
                    TestMessage($0.bytes(payload))
                },
                build("group commits", bytes: bytes, closed: closed, commits: [5, 1, 17]) {
                    TestMessage($0.bytes(payload / 4))
                },
                build("keys and headers", bytes: bytes, closed: closed, commits: [3, 1]) {
                    keyed(&$0, payload: payload)
                },
                build("empty payloads", bytes: bytes / 8, closed: closed, commits: [1, 4]) { _ in
                    TestMessage([])
                },
                build("zeros", bytes: bytes, closed: closed, commits: [2, 1]) { _ in
                    TestMessage([UInt8](repeating: 0, count: payload))
                },
            ]
        }
    }

    /// A frame of 4 MiB between two small ones.
    package static func largest(closed: Bool) -> Shape {
        var random = Seeded(43)
        var segment = SegmentBuilder(base: 99)
        segment.add([TestMessage("before"), TestMessage("too")])
        segment.add(
            TestMessage(random.bytes(FrameLayout.largestFrame - FrameLayout.smallestFrame)))
        segment.add(TestMessage("behind"))
        if closed { segment.addMark() }
        return Shape(name: "largest frame" + (closed ? ", closed" : ", killed"), segment: segment)
    }
}
