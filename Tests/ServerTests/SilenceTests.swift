import Testing

@testable import Server

/// Times are small numbers here: nothing but their order counts.
@Suite("Silence")
struct SilenceTests {
    private let options: ServerOptions = {
        var options = ServerOptions()
        options.handshakeTimeout = 100
        options.frameTimeout = 10
        options.idleTimeout = 50
        return options
    }()

    /// The first of `looks` that finds the client late, and what with.
    private func late(
        _ silence: inout Silence, _ client: Silence.Standing, _ looks: some Sequence<UInt64>
    ) -> (UInt64, String)? {
        for now in looks {
            if let text = silence.look(now, client, options) { return (now, text) }
        }
        return nil
    }

    @Test(
        "time begins at the look behind the last byte, and is over at the second look that says so")
    func idle() throws {
        var silence = Silence(1_000)
        let firstLook = late(&silence, .init(), stride(from: 1_001, through: 2_000, by: 10))
        let first = try #require(firstLook)
        #expect(first.0 == 1_061 && first.1.hasPrefix("idle for "))
        silence.stir()
        let secondLook = late(&silence, .init(), stride(from: 1_071, through: 2_000, by: 10))
        let second = try #require(secondLook)
        #expect(second.0 == 1_131)
    }

    @Test("a loop that stood still for long reads what came meanwhile before anybody is late")
    func stoodStill() {
        var silence = Silence(0)
        #expect(silence.look(1, .init(), options) == nil)
        #expect(silence.look(5_000, .init(), options) == nil)
        silence.stir()
        #expect(silence.look(5_001, .init(), options) == nil)
        #expect(silence.look(5_050, .init(), options) == nil)
        #expect(silence.look(5_051, .init(), options) == nil)
        #expect(silence.look(5_052, .init(), options) != nil)
    }

    @Test("who waits for something is not late, and has the whole time from then on")
    func excused() throws {
        var silence = Silence(0)
        #expect(silence.look(1, .init(), options) == nil)
        #expect(silence.look(60, .init(), options) == nil)
        silence.excuse()
        let foundLook = late(&silence, .init(), 61...200)
        let found = try #require(foundLook)
        #expect(found.0 == 112)
    }

    @Test("half a command, the first command and idleness have times of their own")
    func kinds() throws {
        var half = Silence(0)
        let halfFoundLook = late(&half, .init(isWithinCommand: true), 1...200)
        let halfFound = try #require(halfFoundLook)
        #expect(halfFound.0 == 12 && halfFound.1.hasPrefix("half a command"))
        // However much comes that is no whole command.
        var new = Silence(0)
        for now in 1...100 as ClosedRange<UInt64> {
            new.stir()
            #expect(new.look(now, .init(isNew: true), options) == nil)
        }
        new.stir()
        #expect(new.look(101, .init(isNew: true), options)?.hasPrefix("no command in ") == true)
        var subscribed = Silence(0)
        #expect(late(&subscribed, .init(isSubscribed: true), 1...200) == nil)
        #expect(
            late(&subscribed, .init(isWithinCommand: true, isSubscribed: true), 201...300) != nil)
    }
}
