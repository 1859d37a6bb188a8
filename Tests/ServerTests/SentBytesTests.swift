import Testing

@testable import Server

@Suite("Bytes that were sent")
struct SentBytesTests {
    @Test("deliveries behind the last answer are not waited for")
    func answers() {
        var sent = SentBytes()
        #expect(!sent.hasAnswers(inLast: 0))
        sent.beginAnswers(10)
        #expect(sent.hasAnswers(inLast: 0))
        sent.addToSocket(4)
        #expect(sent.hasAnswers(inLast: 0))
        sent.addToChannel(6)
        #expect(!sent.hasAnswers(inLast: 0))
        #expect(sent.hasAnswers(inLast: 1))
        sent.addToChannel(100)
        #expect(!sent.hasAnswers(inLast: 100))
        #expect(sent.hasAnswers(inLast: 101))
        sent.beginAnswers(5)
        sent.addToChannel(5)
        #expect(sent.hasAnswers(inLast: 100))
    }

    @Test("nothing is queued before the channel has it, nor when it was found to be gone")
    func queued() {
        var sent = SentBytes()
        sent.addToSocket(1)
        #expect(!sent.mayBeQueued)
        sent.addToChannel(1)
        #expect(sent.mayBeQueued)
        sent.found(queued: 1)
        #expect(sent.mayBeQueued)
        sent.found(queued: 0)
        #expect(!sent.mayBeQueued)
    }
}
