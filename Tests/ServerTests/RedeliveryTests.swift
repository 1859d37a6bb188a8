import Testing

@Suite("Deliveries once more")
struct RedeliveryTests {
    @Test("what was given back comes before what was never delivered, the lowest id first")
    func givenBackGoesFirst() throws {
        let broker = try BrokerProcess(try DataFolder())
        let publisher = try broker.client()
        try publisher.send(String(repeating: "PUB t - 1\nx\n", count: 1000))
        for number in 0..<1000 { #expect(try publisher.line() == "OK \(number)") }
        // Some of the next ones have been read for each consumer by then, and wait for room.
        for number in 0..<5 {
            let client = try broker.client()
            #expect(try client.command("SUB t c\(number)") == "OK 0")
            for id in 0..<256 { #expect(try client.message().id == UInt64(id)) }
            try client.send((0..<4).map { "NACK c\(number) \($0)\n" }.joined())
            try client.send((4..<8).map { "ACK c\(number) \($0)\n" }.joined())
            var ids: [UInt64] = []
            var answers: [String] = []
            while ids.count < 8 || answers.count < 8 {
                let line = try client.line()
                let fields = line.split(separator: " ")
                if fields.first == "MSG" {
                    ids.append(UInt64(fields[2]) ?? .max)
                    _ = try client.line()
                } else {
                    answers.append(line)
                }
            }
            #expect(ids == [0, 1, 2, 3, 256, 257, 258, 259])
            #expect(answers == (0..<8).map { "OK \($0)" })
        }
    }

    @Test("a consumer that has left and acknowledged nothing makes room for another one")
    func limitOfConsumers() throws {
        let broker = try BrokerProcess(try DataFolder(), ["--max-consumers", "2"])
        let staying = try broker.client()
        #expect(try staying.command("SUB t a") == "OK 0")
        let leaving = try broker.client()
        #expect(try leaving.command("SUB t b") == "OK 0")
        let coming = try broker.client()
        let refusal = try coming.command("SUB t c")
        #expect(refusal == "ERR BUSY topic t has 2 consumers already")
        #expect(try leaving.command("QUIT") == "OK 0")
        #expect(try leaving.isClosed())
        #expect(try coming.command("SUB t c") == "OK 0")
    }
}
