import TestSupport
import Testing
import ToolSupport

/// What the programs share.
@Suite("Tools: what they share", .timeLimit(.minutes(10))) struct ToolSupportTests {
    private struct Failure: Error, Hashable {}

    @Test func anAddressHasAPortBehindItsLastColon() {
        let read = { HostPort($0, ports: 1...65_535, defaultHost: "127.0.0.1") }
        let cases: [(String, String, Int)] = [
            ("10.0.0.1:1", "10.0.0.1", 1), ("[::1]:6789", "::1", 6789), ("::1:6789", "::1", 6789),
            (":65535", "127.0.0.1", 65_535), ("a.example:80", "a.example", 80),
        ]
        for (text, host, port) in cases {
            #expect(read(text)?.host == host && read(text)?.port == port, "\(text)")
        }
        for text in ["", "a", "a:", "a:0", "a:65536", "a:-1", "a:1x", "6789"] {
            #expect(read(text) == nil, "\(text)")
        }
        #expect(HostPort("a:0", ports: 0...65_535, defaultHost: "b")?.port == 0)
    }

    @Test func whatATaskGivesAndThrowsComesToWhoWaits() async {
        #expect(await onThread { waitFor { 7 } } == 7)
        let thrown = await onThread {
            Result { try waitFor { () async throws(Failure) -> Int in throw Failure() } }
        }
        #expect(throws: Failure()) { try thrown.get() }
    }

    @Test func aTaskThatTakesTooLongIsCancelledAndItsResultCounts() async {
        let isCancelled = await onThread {
            waitFor(seconds: 0.01) {
                while !Task.isCancelled { await Task.yield() }
                return true
            }
        }
        #expect(isCancelled)
    }

    @Test func aTaskIsCancelledOnceTheWaitIsOverForAnotherReason() async {
        let isCancelled = await onThread {
            var looks = 0
            return waitFor(
                until: {
                    looks += 1
                    return looks == 2
                },
                {
                    while !Task.isCancelled { await Task.yield() }
                    return true
                })
        }
        #expect(isCancelled)
        // What is there already is not looked away from.
        #expect(await onThread { waitFor(until: { false }) { 7 } } == 7)
    }
}
